"""The particle engine: interacting and free particles moved by a potential of finitely many modes.

It knows arrays, not problems: everything the mean field does passes through the moments
(1/n) sum_i C_i trig(Y_i) and the coefficients of the potential U in the same trigonometric basis.
"""

from particles.closure import Closure
from particles.descent import Descent, descend
from particles.ensemble import chunks, stream
from particles.linear import map_rows
from particles.tableaux import EULER, RK4, Tableau
from particles.tangent import tangent_flow
from particles.trigonometric import derivative_matrix, trig, trig_derivative

__all__ = [
    "EULER",
    "RK4",
    "Closure",
    "Descent",
    "Tableau",
    "chunks",
    "derivative_matrix",
    "descend",
    "map_rows",
    "stream",
    "tangent_flow",
    "trig",
    "trig_derivative",
]
