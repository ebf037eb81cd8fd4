"""The three representations of the potential against a literal pairwise evaluation of (9), unit by unit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from numpy.typing import NDArray

import liouville as lv
from liouville import comparison, representation, runfile
from liouville.errors import InputError
from liouville.plan import Plan
from particles import RK4, descend

Array = NDArray[np.floating]

CIRCLE = {"y": {"kind": "uniform"}, "c": {"kind": "normal", "std": 1.0}}
BOX = {"y": {"kind": "normal", "std": 1.0}, "c": {"kind": "normal", "std": 1.0}}
INTERVAL = {"kind": "uniform", "low": -1.0, "high": 1.0, "nodes": 6}
NEURON = {"target": np.sin, "initial": BOX, "measure": INTERVAL}
PROBLEMS: dict[str, dict[str, Any]] = {
    "fourier": {"unit": {"kind": "fourier", "coefficients": [1.0, 0.7, 0.4, 0.2]}, "target": np.cos, "initial": CIRCLE},
    "von_mises": {"unit": {"kind": "von_mises", "concentration": 4.0}, "target": np.cos, "initial": CIRCLE},
    "relu": {"unit": {"kind": "relu", "modes": 8}, "target": np.cos, "initial": CIRCLE},
    "gaussian": NEURON | {"unit": {"kind": "gaussian", "width": 0.7}},
    "linear": NEURON | {"unit": {"kind": "linear"}},
    "tanh": NEURON | {"unit": {"kind": "tanh"}},
    "sigmoid": NEURON | {"unit": {"kind": "sigmoid"}},
    "relu_plane": NEURON | {"unit": {"kind": "relu_plane"}},
    "two inputs": NEURON
    | {"unit": {"kind": "tanh", "inputs": 2}, "target": lambda x: x[:, 0], "measure": INTERVAL | {"nodes": 3}},
}
MESH = {"tanh": 3e-6, "sigmoid": 3e-6, "two inputs": 3e-5}  # as limits.md says; a mesh has no kinks, see there


def pairwise(problem: lv.Problem, y: Array, c: Array) -> tuple[Array, Array]:
    """The velocities of (9), sums over pairs as they stand.

    y : (N, n), c : (n,). `relu` on the circle is its series, as everywhere.
    """
    unit, x, w, f = problem.unit, problem.x, problem.weights, problem.f
    dy, dc, n = np.zeros_like(y), np.zeros_like(c), c.size
    if unit.kind == "relu":
        ridge = unit.ridge(x)
        modes = np.arange(len(ridge.shape))
        angle = x[:, None] - y[0]
        phi = np.cos(angle[..., None] * modes) @ ridge.shape
        slope = (np.sin(angle[..., None] * modes) @ (modes * ridge.shape))[None]
    else:
        phi, slope = unit.phi(x, y), unit.gradient(x, y)
    for i in range(n):
        dy[:, i], dc[i] = c[i] * (slope[:, :, i] @ (w * f)), phi[:, i] @ (w * f)
        for j in range(n):
            dy[:, i] -= c[i] * c[j] / n * (slope[:, :, i] @ (w * phi[:, j]))
            dc[i] -= c[j] / n * (phi[:, i] @ (w * phi[:, j]))
    return dy, dc


def stepped(problem: lv.Problem, y: Array, c: Array, dt: float) -> tuple[Array, Array]:
    """One step of RK4."""
    k1 = pairwise(problem, y, c)
    k2 = pairwise(problem, y + dt / 2 * k1[0], c + dt / 2 * k1[1])
    k3 = pairwise(problem, y + dt / 2 * k2[0], c + dt / 2 * k2[1])
    k4 = pairwise(problem, y + dt * k3[0], c + dt * k3[1])
    return tuple(z + dt / 6 * (a + 2 * b + 2 * d + e) for z, a, b, d, e in zip((y, c), k1, k2, k3, k4, strict=True))


CASES = [(name, potential) for name in PROBLEMS for potential in ("quadrature", "mesh")]
CASES = [case for case in CASES if case != ("relu_plane", "mesh")]  # kinks
CASES += [(name, "fourier") for name in ("fourier", "von_mises", "relu")]


@pytest.mark.parametrize(("name", "potential"), CASES)
def test_a_step_is_that_of_the_pairwise_equations(name: str, potential: str) -> None:
    problem = lv.Problem(**PROBLEMS[name])
    closures = {"quadrature": "direct_closure", "mesh": "mesh_closure", "fourier": "closure"}
    closure = getattr(problem, closures[potential])
    y, c = problem.initial.sample(np.random.default_rng(3), 5)
    expected = stepped(problem, y, c, 0.1)
    found_y, found_c = y[None].copy(), c[None].copy()
    descend(closure, found_y, found_c, np.full(5, 0.2), 0.1, 1, RK4)
    tolerance = MESH.get(name, 3e-9) if potential == "mesh" else 3e-14
    np.testing.assert_allclose(found_y[0], expected[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(found_c[0], expected[1], rtol=0, atol=tolerance)


def test_auto_takes_the_unit_itself_for_small_networks_and_the_mesh_for_large_ones() -> None:
    plan = runs.plan("tanh-plane", **runs.TINY | {"cells": [40, 40, 32]})
    assert representation.closure(plan, 16) is plan.problem.direct_closure
    assert representation.closure(plan, 10**5) is plan.problem.closure
    assert representation.closure(runs.plan(), 16) is not None


@pytest.mark.parametrize("potential", ["fourier", "mesh", "quadrature"])
def test_a_run_with_each_representation_says_the_same(potential: str, tmp_path: Path) -> None:
    """The deviations of all replicas agree with those of the default to the mesh's tolerance."""
    for name, value in (("given", potential), ("auto", "auto")):
        text = runs.text(**runs.TINY | {"potential": f'"{potential if name == "given" else value}"'})
        comparison.start(runfile.parse(text), "simulate", tmp_path / f"{name}.h5")
    given, auto = (lv.open(tmp_path / f"{name}.h5").particles[64] for name in ("given", "auto"))
    np.testing.assert_allclose(given.f, auto.f, rtol=0, atol=1e-8)
    np.testing.assert_allclose(given.path, auto.path, rtol=0, atol=1e-8)


def test_quadrature_of_a_unit_from_python_is_refused() -> None:
    problem = lv.Problem(
        unit=lv.Unit(lambda x, y: np.tanh(x * y)),
        target=np.sin,
        initial={"y": {"kind": "normal", "std": 1.0}, "c": {"kind": "normal", "std": 1.0}},
        measure={"kind": "uniform", "low": -1.0, "high": 1.0},
    )
    particles = {"sizes": [16], "replicas": [4], "potential": "quadrature"}
    plan = Plan.of(problem, time={"final": 1.0, "snapshots": 3}, particles=particles)
    with pytest.raises(InputError, match="must not be 'quadrature' for a unit from Python"):
        plan.check()


@pytest.mark.parametrize(
    ("name", "potential"), [("linear", "mesh"), ("linear", "quadrature"), ("relu_plane", "quadrature")]
)
def test_homogeneous_units_conserve_c_squared_less_y_squared(name: str, potential: str) -> None:
    """d/dt (c^2 - |y|^2)/2 = -c U + c y . grad U = 0 where phi(x, s y) = s phi(x, y), s > 0: to the step's error."""
    problem = lv.Problem(**PROBLEMS[name])
    closure = problem.mesh_closure if potential == "mesh" else problem.direct_closure
    y, c = problem.initial.sample(np.random.default_rng(4), 40)
    before = c**2 - np.sum(y**2, axis=0)
    drifts = []
    for steps in (20, 40, 80):
        moved_y, moved_c = y[None].copy(), c[None].copy()
        descend(closure, moved_y, moved_c, np.full(40, 1 / 40), 2.0 / steps, steps, RK4)
        assert np.abs(moved_c[0] - c).max() > 0.1
        drifts.append(np.abs(moved_c[0] ** 2 - np.sum(moved_y[0] ** 2, axis=0) - before).max())
    print(drifts)
    assert drifts[0] < 1e-4
    smooth = name == "linear"  # a particle that passes a kink within a step has it at first order
    assert drifts[2] < drifts[0] / (100 if smooth else 3)
