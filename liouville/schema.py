"""The groups of a result file: their axes, variables and formulas."""

import numpy as np
from numpy.typing import NDArray

from liouville.distance import ENDS
from liouville.plan import Plan
from liouville.refinement import Trial
from liouville.storage import Group, Variable
from liouville.verdicts import Verdict

Array = NDArray[np.floating]


def _inputs(plan: Plan) -> Array:
    """The x axis: the nodes of mu, or their numbers where an input has two components."""
    x = plan.problem.x
    return x if x.ndim == 1 else np.arange(len(x), dtype=float)


def _measure(plan: Plan, kept: slice | NDArray[np.integer] = slice(None)) -> tuple[Variable, ...]:
    problem = plan.problem
    inputs: Array = problem.x.T if problem.x.ndim == 2 else np.empty((0, 0))
    return (
        *(
            Variable(f"input{k}", ("x",), f"component {k} of the input x", data=component[kept])
            for k, component in enumerate(inputs, 1)
        ),
        Variable(
            "weight", ("x",), "weights of mu (summing to 1 where all x are kept)", "w_k", data=problem.weights[kept]
        ),
        Variable("target", ("x",), "target", "f(x)", data=problem.f[kept]),
    )


def components(plan: Plan, name: str = "y") -> list[str]:
    """Names of the components of y: y, or y1, y2, ..."""
    N = plan.problem.dimension
    return [name] if N == 1 else [f"{name}{a}" for a in range(1, N + 1)]


def axes(plan: Plan) -> list[str]:
    """Names of the axes of the density."""
    return [*components(plan), "c"]


def density(plan: Plan) -> Group:
    """/density: rho_0 on the grid. The axes of y and c are set when their ranges are known."""
    ys = tuple(components(plan))
    places = {name: np.full(n, np.nan) for name, n in zip((*ys, "c"), plan.cells, strict=True)}
    return Group(
        "/density",
        {"time": plan.times, **places, "x": _inputs(plan)},
        "time",
        (
            Variable("rho", ("time", *ys, "c"), "density, cell averages", "rho_0(t, y, c)"),
            Variable("moment", ("time", *ys), "first moment of c, cell averages", "int c rho dc"),
            Variable("potential", ("time", *ys), "potential at cell centres", "U(y) = <f_0 - f, phi(., y)>  (13)"),
            Variable("f", ("time", "x"), "representation", "f_0(x) = int c phi(x, y) rho  (14)"),
            Variable("loss", ("time",), "loss", "l = <f_0 - f, f_0 - f>/2  (3)"),
            Variable("mass", ("time",), "mass", "int rho"),
            Variable("energy", ("time",), "energy", "l - <f, f>/2  (4)"),
            Variable("dissipation", ("time",), "dissipation", "int (c^2 |grad U|^2 + U^2) rho = -dl/dt"),
            Variable("dissipated", ("time",), "integral of the dissipation", "int_0^t dissipation ds"),
            Variable("minimum", ("time",), "smallest cell average", "min rho"),
            *_measure(plan),
        ),
    )


def refinement(trials: list[Trial]) -> Group:
    """/refinement: the grids that `cells = "auto"` tried, in order; the last one was taken."""
    cells = np.array([trial.cells for trial in trials], dtype=np.int64)
    return Group(
        "/refinement",
        {"trial": np.arange(len(trials), dtype=float), "axis": np.arange(cells.shape[1], dtype=float)},
        "trial",
        (
            Variable("cells", ("trial", "axis"), "cells, y axes first, c last", dtype="i8", data=cells),
            Variable(
                "error",
                ("trial",),
                "largest error of f_0 over the snapshots",
                "norm in L^2(mu) of f_0 less that of the characteristics, and the estimated error of those",
                data=np.array([trial.error for trial in trials]),
            ),
        ),
    )


def density_error(plan: Plan) -> Group:
    """/density_error: estimated from two coarser grids when the run is over."""
    return Group(
        "/density_error",
        {"time": plan.times},
        "time",
        (
            Variable(
                "f_error",
                ("time",),
                "estimated error of f_0",
                "norm in L^2(mu), from grids 2 and 4 times coarser",
            ),
            Variable(
                "rho_error",
                ("time",),
                "estimated error of rho",
                "L1 norm, from grids 2 and 4 times coarser",
            ),
            Variable(
                "dissipation_defect",
                ("time",),
                "defect of the dissipation identity",
                "l(t) - l(0) + dissipated",
            ),
            Variable("dissipation_defect_error", ("time",), "estimated error of the defect"),
        ),
    )


def characteristics(plan: Plan) -> Group:
    """/characteristics: the deterministic reference."""
    return Group(
        "/characteristics",
        {"time": plan.times, "x": _inputs(plan)},
        "time",
        (
            Variable("f", ("time", "x"), "representation", "f_0(x)"),
            Variable("loss", ("time",), "loss", "l = <f_0 - f, f_0 - f>/2  (3)"),
            Variable("error_estimate", ("time",), "estimated error of f_0", "norm in L^2(mu)"),
            Variable("f_stepped", ("time", "x"), "f_0 as the particles' integrator and its steps have it"),
            *_measure(plan),
        ),
    )


TWO_TIMES = (
    Variable(
        "two_time_covariance",
        ("time", "time2", "x", "x2"),
        "covariance of the fluctuations at two times",
        "C(s, t, x, x') = lim n Cov(f_n(s), f_n(t))",
    ),
)
NEXT_ORDER = (
    Variable("mean_correction", ("time", "x"), "mean of f_n at order 1/n", "f_1 = lim n (E f_n - f_0)"),
    Variable("mean_correction_error", ("time",), "estimated error of f_1", "norm in L^2(mu)"),
    Variable("next_order", ("time",), "next order of the fluctuations", "B of E||f_n - f_0||^2 = A/n + B/n^2"),
    Variable("next_order_error", ("time",), "estimated error of B"),
    Variable("path_remainder", ("time",), "remainder of the paths", "Q = lim n^2 E||f_n - f_0 - l_n||^2"),
    Variable("path_remainder_error", ("time",), "estimated error of Q"),
)
NEXT_ORDER_CURVES = [variable.name for variable in NEXT_ORDER if variable.dims == ("time",)]


def fluctuations(plan: Plan) -> Group:
    """/fluctuations: the central limit theorem, computed."""
    x = _inputs(plan)
    return Group(
        "/fluctuations",
        {"time": plan.times, "time2": plan.times, "x": x, "x2": x},
        "time",
        (
            Variable(
                "covariance",
                ("time", "x", "x2"),
                "covariance of the fluctuations",
                "C(t, x, x') = lim n Cov(f_n, f_n)",
            ),
            Variable("trace", ("time",), "trace of the covariance", "tr C(t) = lim n E||f_n - f_0||^2"),
            Variable("trace_error", ("time",), "estimated error of the trace"),
            Variable("two_time_trace", ("time", "time2"), "two-time trace", "tr C(s, t)"),
            *(TWO_TIMES if plan.run.solver.two_times else ()),
            *(NEXT_ORDER if plan.run.solver.next_order else ()),
            Variable(
                "gap",
                ("time",),
                "smallest eigenvalue of M on the span of the features",
                "lambda_min(M(t))  (16)",
            ),
            *_measure(plan),
        ),
    )


def size_name(n: int) -> str:
    """Path of the group of one size."""
    return f"/particles/n{n:05d}"


def particles(plan: Plan, n: int, replicas: int) -> Group:
    """/particles/n...: one ensemble; a frame is a replica."""
    assert plan.run.particles is not None
    keep = plan.run.particles.keep
    unit = "rad" if plan.problem.unit.circle else "1"
    trajectories = (
        *(
            Variable(
                name, ("time", "particle"), "trajectories of the first particles of replica 0", "Y_i(t)", units=unit
            )
            for name in components(plan)
        ),
        Variable("c", ("time", "particle"), "trajectories of the first particles of replica 0", "C_i(t)"),
    )
    axes: dict[str, Array] = {
        "time": plan.times,
        "x": _inputs(plan)[plan.kept],
        "replica": np.arange(replicas, dtype=float),
        "end": plan.times[[0, -1]][:ENDS],
    }
    if keep:
        axes["particle"] = np.arange(keep, dtype=float)
    return Group(
        size_name(n),
        axes,
        "replica",
        (
            Variable("f", ("replica", "time", "x"), "representation", "f_n(x)  (1)"),
            Variable("path", ("replica", "time", "x"), "predicted fluctuation", "l_n = R (h_n - f_0)"),
            Variable("loss", ("replica", "time"), "loss", "<f_n - f, f_n - f>/2  (3)"),
            Variable("deviation", ("replica", "time"), "squared fluctuation", "||f_n - f_0||^2"),
            Variable("path_deviation", ("replica", "time"), "squared remainder", "||f_n - f_0 - l_n||^2"),
            *(
                Variable(name, ("replica", "time"), "position of particle 0", "Y_0(t)", units=unit)
                for name in components(plan, "first_y")
            ),
            Variable("first_c", ("replica", "time"), "weight of particle 0", "C_0(t)"),
            Variable(
                "loss_increase", ("replica",), "largest increase of the loss in a step", "max(0, l(t + dt) - l(t))"
            ),
            Variable(
                "density_distance",
                ("replica", "end"),
                "squared distance of the particles from rho_0 at both ends, NaN where not measured",
                "D^2 = sum_j |j|^-(N + 2) |int e^(ijz) (rho_n - rho_0)|^2",
            ),
            Variable(
                "moment_distance",
                ("replica", "end"),
                "squared distance of G_n from G at both ends, NaN where not measured",
                "sum_j (1 + |j|)^-(N + 2) |int e^(ijy) (G_n - G)|^2  (6)",
            ),
            Variable("density_floor", ("end",), "density_distance of n independent draws of rho_0, on average"),
            Variable("moment_floor", ("end",), "moment_distance of n independent draws of rho_0, on average"),
            Variable("density_limit", ("end",), "density_distance predicted by the fluctuation theory, to order 1/n"),
            Variable("moment_limit", ("end",), "moment_distance predicted by the fluctuation theory, to order 1/n"),
            *(trajectories if keep else ()),
            *_measure(plan, plan.kept),
        ),
    )


def verdicts(judged: list[Verdict]) -> Group:
    """/verdicts: one row a verdict."""

    def strings(name: str, values: list[str], long_name: str) -> Variable:
        return Variable(name, ("verdict",), long_name, dtype="str", data=np.array(values, dtype=object))

    def numbers(name: str, long_name: str) -> Variable:
        return Variable(name, ("verdict",), long_name, data=np.array([getattr(v, name) for v in judged]))

    return Group(
        "/verdicts",
        {"verdict": np.arange(len(judged), dtype=float)},
        "verdict",
        (
            strings("name", [v.name for v in judged], "name"),
            strings("statement", [v.statement for v in judged], "what is judged"),
            numbers("paper", "what the paper says"),
            numbers("statistic", "estimate"),
            numbers("low", "lower end of its interval"),
            numbers("high", "upper end of its interval"),
            numbers("predicted", "prediction"),
            numbers("margin", "distance from the prediction that does not matter"),
            strings("outcome", [v.outcome for v in judged], "supported, rejected or undecided"),
            numbers("level", "level of the interval, NaN where it is an error bound"),
            numbers("p_value", "p-value where there is one"),
            strings("note", [v.note for v in judged], "what would decide it"),
            Variable(
                "primary",
                ("verdict",),
                "1 if it sets the exit status",
                dtype="i1",
                data=np.array([v.primary for v in judged], dtype="i1"),
            ),
        ),
    )


def hypotheses(rows: list[tuple[str, str, str]]) -> Group:
    """/hypotheses: what the theorems assume, and what holds here."""
    names = ("hypothesis", "value", "holds")
    return Group(
        "/hypotheses",
        {"row": np.arange(len(rows), dtype=float)},
        "row",
        tuple(
            Variable(name, ("row",), name, dtype="str", data=np.array([row[i] for row in rows], dtype=object))
            for i, name in enumerate(names)
        ),
    )
