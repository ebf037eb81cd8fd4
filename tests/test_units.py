"""Units: their gradients, their series on the circle, and functions from Python that go the same way."""

import numpy as np
import pytest
from units import CASES, A

import liouville as lv
from liouville.errors import InputError
from liouville.problem import Problem
from liouville.units import FourierUnit, ReluUnit, TanhUnit, Unit, VonMisesUnit
from particles import trig

X = np.linspace(-1.0, 1.0, 9) + 0.013  # no point where a kink of the tests' y lies
Y = {1: np.array([[0.3, 1.0, -1.7, 2.9]]), 2: np.array([[0.3, 1.0, -0.7, 2.0], [0.2, -0.9, 0.4, 0.1]])}


@pytest.mark.parametrize("name", CASES)
def test_phi_and_gradient(name: str) -> None:
    """phi is the tests' own; its gradient that of central differences, h^2/6 of a third derivative below 100."""
    unit = Problem(**CASES[name].tables).unit
    phi, y, h = CASES[name].phi, Y[unit.dimension], 1e-5
    np.testing.assert_allclose(unit.phi(X, y), phi(X[:, None], *y), rtol=1e-14, atol=1e-15)
    gradient = unit.gradient(X, y)
    assert gradient.shape == (unit.dimension, X.size, y.shape[1])
    for i, e in enumerate(np.eye(unit.dimension)[:, :, None]):
        slopes = (phi(X[:, None], *(y + h * e)) - phi(X[:, None], *(y - h * e))) / (2 * h)
        np.testing.assert_allclose(gradient[i], slopes, rtol=0, atol=1e-8)


def test_two_inputs_put_both_weights_before_the_bias() -> None:
    unit = TanhUnit(inputs=2)
    x, y, h = np.array([[0.3, -0.4], [1.0, 0.5]]), np.array([[1.0], [2.0], [0.1]]), 1e-5
    np.testing.assert_allclose(unit.phi(x, y)[:, 0], np.tanh(x @ [1.0, 2.0] + 0.1), rtol=1e-15)
    for i, e in enumerate(np.eye(3)[:, :, None]):
        slopes = (unit.phi(x, y + h * e) - unit.phi(x, y - h * e)) / (2 * h)
        np.testing.assert_allclose(unit.gradient(x, y)[i], slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize("concentration", [0.1, 4.0, 300.0])
def test_series_of_von_mises_is_the_unit(concentration: float) -> None:
    unit = VonMisesUnit(concentration=concentration)
    found = unit.series(X) @ trig(Y[1][0], unit.degree).T
    np.testing.assert_allclose(found, unit.phi(X, Y[1]), rtol=0, atol=1e-13 * unit.phi(X, X[None]).max())
    assert unit.amplitudes[0] == pytest.approx(1.0, rel=1e-15)  # mean 1 on the circle


def test_series_of_relu_misses_what_it_says() -> None:
    """At most 1/(pi modes), at the kink."""
    unit = ReluUnit(modes=64)
    y = np.linspace(0, 2 * np.pi, 400)[None]
    error = np.abs(unit.series(X) @ trig(y[0], 64).T - unit.phi(X, y)).max()
    assert 0.5 / (np.pi * 64) < error < 1 / (np.pi * 64)


def test_a_function_on_the_circle_is_the_unit_it_equals() -> None:
    """FFT against Bessel functions: same degree to where rounding decides, same kernel."""
    own = Problem(
        **(CASES["von_mises"].tables | {"unit": Unit(lambda x, y: np.exp(4 * (np.cos(x - y) - 1)), circle=True)})
    )
    shipped = Problem(**CASES["von_mises"].tables)
    y, z = np.array([[0.1, 2.0, 3.0]]), np.array([[0.4, 5.0, 3.0]])
    np.testing.assert_allclose(own.K(y, z), shipped.K(y, z), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(own.F(y), shipped.F(y), rtol=1e-10, atol=1e-13)
    exact = -4 * np.sin(y - X[:, None]) * np.exp(4 * (np.cos(X[:, None] - y) - 1))
    np.testing.assert_allclose(own.unit.series_gradient(X, y)[0], exact, rtol=0, atol=1e-11)


def test_a_band_limited_function_has_its_modes() -> None:
    given = FourierUnit(coefficients=tuple(A))
    unit = Unit(lambda x, y: A[0] + 2 * sum(A[k] * np.cos(k * (x - y)) for k in (1, 2, 3)), circle=True)
    assert unit.degree == 3
    np.testing.assert_allclose(unit.series(X), given.series(X), rtol=0, atol=1e-14)


@pytest.mark.parametrize("with_gradient", [False, True])
def test_a_function_on_the_plane_is_the_unit_it_equals(with_gradient: bool) -> None:
    def gradient(x, a, b):  # type: ignore[no-untyped-def]
        slope = 1 - np.tanh(a * x + b) ** 2
        return x * slope, slope

    unit = lv.Unit(lambda x, a, b: np.tanh(a * x + b), gradient if with_gradient else None)
    assert unit.dimension == 2
    own, shipped = Problem(**(CASES["tanh"].tables | {"unit": unit})), Problem(**CASES["tanh"].tables)
    np.testing.assert_allclose(own.F(Y[2]), shipped.F(Y[2]), rtol=1e-13, atol=1e-14)
    # sixth-order differences with steps of 2e-3: 1e-16 of a seventh derivative, and rounding over the step
    y = Y[2]
    np.testing.assert_allclose(own.gradients(y), shipped.gradients(y), rtol=0, atol=1e-14 if with_gradient else 1e-11)


def test_a_whole_problem_from_python_objects() -> None:
    """Two inputs, a target and an initial density as functions: K and F by a sum over the nodes."""

    def sample(rng, n):  # type: ignore[no-untyped-def]
        return rng.uniform(-1, 1, (3, n)), rng.uniform(-1, 1, n)

    problem = lv.Problem(
        unit=lv.Unit(lambda x1, x2, a1, a2, b: np.exp(-((x1 - a1) ** 2) - (x2 - a2) ** 2) * np.cos(b), inputs=2),
        target=lambda x: x[:, 0] * np.exp(x[:, 1]),
        initial=lv.Density(sample, lambda y, c: np.full(c.shape, 1 / 16), low=[-1] * 4, high=[1] * 4),
        measure={"kind": "uniform", "low": -1.0, "high": 1.0, "nodes": 16},
        y_range=[[-2, 2], [-2, 2], [-3, 3]],
    )
    y = np.array([[0.3, -1.0], [0.1, 1.9], [0.2, -2.0]])
    x, w = problem.x, problem.weights
    phi = np.exp(-((x[:, :1] - y[0]) ** 2) - (x[:, 1:] - y[1]) ** 2) * np.cos(y[2])
    np.testing.assert_allclose(problem.K(y, y[:, ::-1]), w @ (phi * phi[:, ::-1]), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(problem.F(y), w @ (x[:, :1] * np.exp(x[:, 1:]) * phi), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (lambda: Unit(lambda x: x), "y must have 1 to 3 components, not 0"),
        (lambda: Unit(lambda x, a, b: x, dimension=1), "phi must take 1 inputs and 1 components of y, not 3 arguments"),
        (lambda: Unit(lambda *all: all[0]), "dimension is needed"),
        (lambda: Unit(lambda x, a, b: x, circle=True), "on the circle phi takes one angle x and one angle y"),
        (lambda: Unit(lambda x, y: x * y, circle=True), "must be periodic in y"),
        (lambda: Unit(lambda x, y: np.abs(np.sin(x - y)), circle=True), "needs more than 512 Fourier modes"),
        (lambda: Unit(lambda x, y: x, inputs=3), "inputs must be 1 or 2, not 3"),
        (lambda: Unit(lambda x, y: "no", circle=True), "phi must return an array that broadcasts"),
    ],
)
def test_bad_units_from_python_are_refused(unit, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        unit()


def test_a_wrong_gradient_is_refused() -> None:
    unit = Unit(lambda x, a, b: np.tanh(a * x + b), lambda x, a, b: (x + 0 * a, 1 + 0 * x * a))
    with pytest.raises(ValueError, match="gradient is not that of phi"):
        Problem(**(CASES["tanh"].tables | {"unit": unit}))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda x: np.ones(3), "must return an array of 16 numbers"),
        (lambda x: np.full(len(x), np.nan), "not finite"),
        (lambda x: "no", "must return an array of 16 numbers"),
    ],
)
def test_a_bad_target_from_python_is_refused(target, message: str) -> None:  # type: ignore[no-untyped-def]
    problem = Problem(**(CASES["fourier"].tables | {"target": target, "measure": {"kind": "uniform", "nodes": 16}}))
    with pytest.raises(InputError, match=message):
        _ = problem.f


def test_a_bad_table_from_python_is_refused_by_key() -> None:
    with pytest.raises(InputError, match=r"^unit\.widht: unknown key; allowed are kind, width$"):
        Problem(**(CASES["gaussian"].tables | {"unit": {"kind": "gaussian", "width": 1.0, "widht": 2.0}}))
    with pytest.raises(InputError, match=r"^y_range: must be 'auto' or 1 \[low, high\]"):
        Problem(**CASES["gaussian"].tables, y_range=[[0, 1], [0, 1]])
