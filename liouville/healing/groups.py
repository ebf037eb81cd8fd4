"""The groups of a study in the result file: /healing/PROBLEM, and below it the replicas of each size."""

from dataclasses import fields

import numpy as np

from liouville.healing.curves import Curves
from liouville.healing.study import Study, described
from liouville.healing.theory import Theory
from liouville.layout import Group, Variable

REPLICAS = {
    "deviation": ("squared fluctuation", "||f_n - f_0||^2"),
    "path": ("squared predicted fluctuation", "||l_n||^2"),
    "remainder": ("squared remainder", "||f_n - f_0 - l_n||^2"),
    "distance": ("squared distance from the target", "||f_n - f||^2"),
    "drift": ("remainder along f_1", "<f_n - f_0 - l_n, f_1>"),
}
PREDICTED = {
    "residual": ("squared distance of f_0 from the target", "||r_0||^2"),
    "drift": ("what the mean at order 1/n adds to it, times n", "2 <r_0, f_1>"),
    "A": ("first order", "tr C, of E||f_n - f_0||^2 = A/n + B/n^2"),
    "A_error": ("estimated error of A", ""),
    "B": ("next order", "of E||f_n - f_0||^2 = A/n + B/n^2"),
    "B_error": ("estimated error of B", ""),
}
MEASURED = {
    "deviation": ("mean squared fluctuation", "E||f_n - f_0||^2, (V2) as control variate"),
    "median": ("median of the squared fluctuation", "median of ||f_n - f_0||^2"),
    "distance": ("mean squared distance from the target", "E||f_n - f||^2, (V2) as control variate"),
    "exponent": ("local exponent in n", "-log(E||f_m - f_0||^2 / E||f_n - f_0||^2) / (2 log(m/n)), neighbouring sizes"),
}


def name(problem: str, n: int | None = None) -> str:
    """Path of the group of a study, or of the replicas of one of its sizes."""
    return f"/healing/{problem}" if n is None else f"/healing/{problem}/n{n:05d}"


def replicas(study: Study, n: int) -> Group:
    """Squared norms of the replicas of one size; a frame is a replica."""
    return Group(
        name(study.name, n),
        {"time": study.plan.times, "replica": np.arange(study.sizes[n], dtype=float)},
        "replica",
        tuple(Variable(of, ("replica", "time"), *texts) for of, texts in REPLICAS.items()),
    )


def summary(study: Study, theory: Theory, curves: Curves) -> Group:
    """What is predicted and measured at every snapshot, and which snapshots a_n are."""
    measured = []
    for of in (field.name for field in fields(curves)):
        base, _, end = of.partition("_")
        text, formula = MEASURED[base]
        if end:
            text = f"{'lower' if end == 'low' else 'upper'} end of the 99% interval of the {text}"
        dims = ("pair" if base == "exponent" else "n", "time")
        measured.append(Variable(of, dims, text, "" if end else formula, data=getattr(curves, of)))
    axes = {
        "time": study.plan.times,
        "n": np.array(list(study.sizes), dtype=float),
        "pair": np.arange(len(study.sizes) - 1, dtype=float),
    }
    predicted = [Variable(of, ("time",), *texts, data=getattr(theory, of)) for of, texts in PREDICTED.items()]
    if not study.schedules:
        return Group(name(study.name), axes, "time", (*predicted, *measured))
    axes["schedule"] = np.arange(len(study.schedules), dtype=float)
    formulas = np.array([described(schedule) for schedule in study.schedules], dtype=object)
    schedules = (
        Variable("snapshot", ("schedule", "n"), "the snapshot nearest to a_n", dtype="i8", data=study.at),
        Variable("formula", ("schedule",), "a_n", dtype="str", data=formulas),
    )
    return Group(name(study.name), axes, "time", (*predicted, *measured, *schedules))
