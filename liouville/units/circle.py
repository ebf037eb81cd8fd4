"""Units phi(x, y) on the circle, with the trigonometric series in y that the engines work with."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy import special

from liouville.model import Model, Number
from particles import Ridge, trig

Array = NDArray[np.floating]

NEGLIGIBLE = 1e-15  # coefficients of an analytic unit below this fraction of the largest are left out


class _CircleUnit(Model):
    """phi(x, y) = a_0 + 2 sum_k a_k cos k(x - y)."""

    dimension: ClassVar[int] = 1
    inputs: ClassVar[int] = 1
    circle: ClassVar[bool] = True

    @property
    def amplitudes(self) -> Array:
        """a_0, a_1, ..., at least two of them."""
        raise NotImplementedError

    @property
    def degree(self) -> int:
        """Highest mode in y (at least 1)."""
        return self.amplitudes.size - 1

    def series(self, x: Array) -> Array:
        """P with phi(x, y) = P trig(y) for x (P,) in radians: (P, 2 degree + 1)."""
        a = self.amplitudes
        return trig(x, a.size - 1) * np.concatenate([a[:1], 2 * a[1:], 2 * a[1:]])

    def ridge(self, x: Array) -> Ridge:
        """phi at the nodes x (P,) as ridge functions, the same modes as everywhere."""
        a = self.amplitudes
        return Ridge(-np.ones((len(x), 1)), x, "fourier", (float(a[0]), *(2 * a[1:]).tolist()))


class FourierUnit(_CircleUnit):
    """phi(x, y) = a_0 + 2 sum_k a_k cos k(x - y), band-limited."""

    kind: Literal["fourier"] = "fourier"
    coefficients: Annotated[tuple[Number, ...], Field(min_length=1)]

    @field_validator("coefficients")
    @classmethod
    def _some(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not 1e-50 <= max(map(abs, value)) <= 1e50:
            raise ValueError("the largest coefficient must be between 1e-50 and 1e50 in size")
        return value

    @property
    def amplitudes(self) -> Array:
        """The coefficients."""
        a = np.zeros(max(2, len(self.coefficients)))
        a[: len(self.coefficients)] = self.coefficients
        return a

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,), y (1, n): (P, n)."""
        return np.asarray(self.series(x) @ trig(y[0], self.degree).T)

    def gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy, (1, P, n)."""
        phase = np.multiply.outer(np.arange(1, self.degree + 1), x[:, None] - y[0])
        return np.einsum("k,kpn->pn", 2 * self.amplitudes[1:] * np.arange(1, self.degree + 1), np.sin(phase))[None]


class VonMisesUnit(_CircleUnit):
    """phi(x, y) = exp(concentration (cos(x - y) - 1)), by default scaled to mean 1 on the circle.

    Its coefficients are Bessel functions, a_k = I_k/I_0, kept down to 1e-15 of the largest.
    """

    kind: Literal["von_mises"] = "von_mises"
    concentration: Annotated[float, Field(gt=0, le=1e4)]
    normalize: bool = True

    @property
    def _scale(self) -> float:
        return 1 / float(special.ive(0, self.concentration)) if self.normalize else 1.0

    @property
    def amplitudes(self) -> Array:
        """ive(k, concentration), scaled."""
        k = np.arange(20 + int(10 * np.sqrt(self.concentration) + 2 * min(self.concentration, 20)))
        a = special.ive(k, self.concentration)
        return self._scale * a[: max(2, np.count_nonzero(a > NEGLIGIBLE * a[0]))]

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,), y (1, n): (P, n)."""
        return self._scale * np.exp(self.concentration * (np.cos(x[:, None] - y[0]) - 1))

    def ridge(self, x: Array) -> Ridge:
        """phi at the nodes x (P,) as ridge functions."""
        return Ridge(-np.ones((len(x), 1)), x, "von_mises", (self.concentration, self._scale))

    def gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy, (1, P, n)."""
        return (self.concentration * np.sin(x[:, None] - y[0]) * self.phi(x, y))[None]


class ReluUnit(_CircleUnit):
    """phi(x, y) = max(0, cos(x - y)); a problem works with its Fourier modes up to `modes`.

    a_0 = 1/pi, a_1 = 1/4, a_k = (-1)^(k/2 + 1)/(pi (k^2 - 1)) for even k, no other odd ones. What is left out changes
    phi by up to 1/(pi modes) at the kink, and U much less, since mode k of it goes like a_k^2 ~ k^-4: for three
    particles by 2e-6, 3e-7, 4e-8 with 16, 32, 64 modes.
    """

    kind: Literal["relu"] = "relu"
    modes: Annotated[int, Field(ge=1, le=512)] = 64

    @property
    def amplitudes(self) -> Array:
        """a_0, ..., a_modes in closed form."""
        k = np.arange(self.modes + 1)
        a = np.zeros(k.size)
        a[::2] = (-1.0) ** (k[::2] // 2 + 1) / (np.pi * (k[::2] ** 2 - 1.0))
        a[1] = 0.25
        return a

    def phi(self, x: Array, y: Array) -> Array:
        """phi(x, y) for x (P,), y (1, n), with all its modes: (P, n)."""
        return np.maximum(0.0, np.cos(x[:, None] - y[0]))

    def gradient(self, x: Array, y: Array) -> Array:
        """d phi/dy, (1, P, n)."""
        d = x[:, None] - y[0]
        return np.where(np.cos(d) > 0, np.sin(d), 0.0)[None]
