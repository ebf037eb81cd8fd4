"""Runs drawn from a law for which every prediction of the theory is exactly right, thousands in minutes.

n^(1/2) l_n is Gaussian with the computed C(s, t), and n (f_n - f_0 - l_n) = q is quadratic in it, as the next order is:
with whitened scores u_t of n^(1/2) l_n at t, u_t = C_t^(-1/2) n^(1/2) l_n, and a rotation O,

    q_t = kappa_t C_t^(1/2) (u_t * O u_t),   E q q' = kappa^2 C^(1/2) K C^(1/2),   K = 1 + o o' + O * O',  o = diag O,

* entry by entry, kappa from the measured n^2 E||f_n - f_0 - l_n||^2.
Hence n E||f_n - f_0||^2 = tr C + kappa^2 tr(C K)/n.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from liouville.judgement import Evidence
from liouville.resampling import Library, ensemble

ROTATION = stats.ortho_group(7, seed=3).rvs()


@dataclass(frozen=True)
class Synthetic:
    """root : of C(s, t), (S M, S M).  half, inverse : C_t^(1/2) and its inverse, (S, M, M).  kappa : (S,)."""

    base: Evidence
    root: np.ndarray
    half: np.ndarray
    inverse: np.ndarray
    kappa: np.ndarray
    O: np.ndarray

    @classmethod
    def of(cls, library: Library, ratio: np.ndarray) -> "Synthetic":
        """ratio : n^2 E||f_n - f_0 - l_n||^2 over tr C at the snapshots, (S,)."""
        base, O = library.evidence, ROTATION
        rows = base.reference.steps.rows
        joint = base.theory.covariance[rows][:, :, rows]
        S, M = joint.shape[:2]
        C = np.einsum("sisj->sij", joint)
        values, vectors = np.linalg.eigh(C)
        half = np.einsum("sik,sk,sjk->sij", vectors, np.sqrt(values), vectors)
        inverse = np.einsum("sik,sk,sjk->sij", vectors, 1 / np.sqrt(values), vectors)
        large, basis = np.linalg.eigh(joint.reshape(S * M, S * M))
        K = np.eye(M) + np.outer(np.diag(O), np.diag(O)) + O * O.T
        trace = np.einsum("sii->s", C)
        kappa = np.sqrt(ratio * trace / np.einsum("sij,ji->s", C, K))
        root = (basis * np.sqrt(np.maximum(large, 0.0))).T
        exact = replace(base, covariance=C)
        return cls(exact, root, half, inverse, kappa, O)

    def run(self, rng: np.random.Generator, sizes: Sequence[int], replicas: Sequence[int]) -> Evidence:
        """A run with so many replicas of each size."""
        S, M = self.half.shape[:2]
        f0, drawn = self.base.f0, []
        for n, count in zip(sizes, replicas, strict=True):
            g = (rng.standard_normal((count, len(self.root))) @ self.root).reshape(count, S, M)
            u = np.einsum("rsj,sji->rsi", g, self.inverse)
            q = self.kappa[:, None] * np.einsum("rsj,sji->rsi", u * (u @ self.O.T), self.half)
            drawn.append(ensemble(n, f0 + g / np.sqrt(n) + q / n, g / np.sqrt(n)))
        return replace(self.base, ensembles=tuple(drawn))
