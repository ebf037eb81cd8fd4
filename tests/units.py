"""phi of every unit and small problems with it, written down again for the tests: nothing here comes from liouville."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

Array = NDArray[np.floating]
A = [1.0, 0.5**0.5, 0.2**0.5, 0.1**0.5]  # coefficients of the shipped unit, 1/sqrt(1 + k^2)
BUMP: dict[str, Any] = {"kind": "bump", "std": 1.0}
NORMAL: dict[str, Any] = {"kind": "normal", "std": 1.0}


def density(x: Any, mean: float, variance: float) -> Any:
    """The normal density."""
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def mean_on_circle(g: Callable[[Any], Any]) -> float:
    """int g dx/(2 pi)."""
    return integrate.quad(g, 0, 2 * np.pi, epsabs=1e-13, limit=400)[0] / (2 * np.pi)


def on(low: float, high: float, weight: Callable[[Any], Any]) -> Callable[[Callable[[Any], Any]], float]:
    """int g weight dx over [low, high]."""
    return lambda g: integrate.quad(lambda x: g(x) * weight(x), low, high, epsabs=1e-13, limit=400)[0]


@dataclass(frozen=True)
class Case:
    """A problem's tables, and phi, f and the integral over mu by adaptive quadrature."""

    tables: dict[str, Any]
    phi: Callable[..., Any]  # phi(x, *y)
    f: Callable[[Any], Any]
    integral: Callable[[Callable[[Any], Any]], float]
    accuracy: float = 1e-11


def _circle(unit: dict[str, Any], phi: Callable[..., Any], accuracy: float = 1e-11, **more: Any) -> Case:
    target = {"kind": "fourier", "constant": 0.25, "cos": [0.5, 0.0, -0.2], "sin": [0.0, 0.35]}
    tables = {"unit": unit, "target": target, "initial": {"c": BUMP}, **more}

    def f(x: Any) -> Any:
        return 0.25 + 0.5 * np.cos(x) - 0.2 * np.cos(3 * x) + 0.35 * np.sin(2 * x)

    return Case(tables, phi, f, mean_on_circle, accuracy)


def _plane(kind: str, h: Callable[[Any], Any]) -> Case:
    neurons = [{"c": 0.8, "y": [2.0, 0.5]}, {"c": -0.5, "y": [1.5, -1.0]}]
    tables = {
        "unit": {"kind": kind},
        "target": {"kind": "teacher", "neurons": neurons},
        "initial": {"y": {"kind": "normal", "std": 0.5}, "c": BUMP},
        "measure": {"kind": "uniform", "low": -1.0, "high": 1.0, "nodes": 256 if kind == "relu_plane" else 64},
    }

    def f(x: Any) -> Any:
        return 0.8 * h(2 * x + 0.5) - 0.5 * h(1.5 * x - 1)

    # Gauss points see a kink to O(1/nodes^2) of products of two units that are linear on its sides
    return Case(
        tables, lambda x, a, b: h(a * x + b), f, on(-1, 1, lambda x: 0.5), 2e-5 if kind == "relu_plane" else 1e-11
    )


CASES = {
    "fourier": _circle(
        {"kind": "fourier", "coefficients": A},
        lambda x, y: A[0] + 2 * sum(a * np.cos(k * (x - y)) for k, a in enumerate(A) if k),
    ),
    "von_mises": _circle(
        {"kind": "von_mises", "concentration": 4.0, "normalize": False}, lambda x, y: np.exp(4 * (np.cos(x - y) - 1))
    ),
    # sum over even k > 64 of 2 a_k^2 <= (2/pi^2) int_64^infinity dk/(2 k^4) = 1.3e-7
    "relu": _circle({"kind": "relu", "modes": 64}, lambda x, y: np.maximum(0, np.cos(x - y)), 1.3e-7),
    "gaussian": Case(
        {
            "unit": {"kind": "gaussian", "width": 0.5**0.5},
            "target": {"kind": "gaussians", "weights": [0.5, -1.0], "means": [-1.0, 0.5], "stds": [0.7, 1.0]},
            "initial": {"y": {"kind": "uniform", "low": -2.0, "high": 2.0}, "c": NORMAL},
            "measure": {"kind": "lebesgue", "low": -10.0, "high": 10.0},
        },
        lambda x, y: density(x, y, 0.5),
        lambda x: 0.5 * density(x, -1.0, 0.49) - density(x, 0.5, 1.0),
        on(-10, 10, lambda x: 1.0),
    ),
    "linear": Case(
        {
            "unit": {"kind": "linear"},
            "target": {"kind": "fourier", "cos": [1.0], "sin": [1.0]},
            "initial": {"y": {"kind": "beta", "low": -1.0, "high": 2.0, "exponent": 2.0}, "c": NORMAL},
            "measure": {"kind": "normal", "mean": 0.2, "std": 0.5},
        },
        lambda x, y: x * y,
        lambda x: np.cos(x) + np.sin(x),
        on(-6, 6, lambda x: density(x, 0.2, 0.25)),
    ),
    "tanh": _plane("tanh", np.tanh),
    "sigmoid": _plane("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    "relu_plane": _plane("relu_plane", lambda z: np.maximum(0, z)),
}
