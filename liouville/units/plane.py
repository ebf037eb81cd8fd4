"""Neurons phi(x, y) = h(a . x + b): y = (a, b) for one input, y = (a1, a2, b) for two."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from liouville.model import Model
from particles import Ridge

Array = NDArray[np.floating]


class _Neuron(Model):
    circle: ClassVar[bool] = False
    inputs: Literal[1, 2] = 1
    profile: ClassVar[str]

    @property
    def dimension(self) -> int:
        """Components of y."""
        return self.inputs + 1

    def _h(self, z: Array) -> Array:
        raise NotImplementedError

    def _slope(self, z: Array) -> Array:
        raise NotImplementedError

    def _argument(self, x: Array, y: Array) -> Array:
        return (x[:, None] * y[0] if self.inputs == 1 else x @ y[:-1]) + y[-1]

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,) or (P, 2), y (inputs + 1, n): (P, n)."""
        return self._h(self._argument(x, y))

    def ridge(self, x: Array) -> Ridge:
        """phi at the nodes x (P,) or (P, 2) as ridge functions."""
        columns = [*np.atleast_2d(x.T), np.ones(len(x))]
        return Ridge(np.stack(columns, axis=1), np.zeros(len(x)), self.profile)

    def gradient(self, x: Array, y: Array) -> Array:
        """Gradient in y, (inputs + 1, P, n)."""
        slope = self._slope(self._argument(x, y))
        return np.stack([*(column[:, None] * slope for column in np.atleast_2d(x.T)), slope])


class TanhUnit(_Neuron):
    """h = tanh."""

    kind: Literal["tanh"] = "tanh"
    profile: ClassVar[str] = "tanh"

    def _h(self, z: Array) -> Array:
        return np.tanh(z)

    def _slope(self, z: Array) -> Array:
        return 1 - np.tanh(z) ** 2


class SigmoidUnit(_Neuron):
    """h(z) = 1/(1 + exp(-z))."""

    kind: Literal["sigmoid"] = "sigmoid"
    profile: ClassVar[str] = "sigmoid"

    def _h(self, z: Array) -> Array:
        return np.asarray(special.expit(z))

    def _slope(self, z: Array) -> Array:
        return np.asarray(special.expit(z) * special.expit(-z))


class ReluPlaneUnit(_Neuron):
    """h(z) = max(0, z)."""

    kind: Literal["relu_plane"] = "relu_plane"
    profile: ClassVar[str] = "relu"

    def _h(self, z: Array) -> Array:
        return np.maximum(z, 0.0)

    def _slope(self, z: Array) -> Array:
        return np.where(z > 0, 1.0, 0.0)
