"""The particle engine: interacting and free particles moved by a potential in finitely many functions.

It knows arrays, not problems: everything the mean field does passes through the moments
(1/n) sum_i C_i basis(Y_i) and the coefficients of the potential U in the same basis, modes on the circle, splines on
a box of R^N, or the unit itself at the nodes of mu.
"""

from particles.closure import Closure
from particles.descent import Descent, descend
from particles.ensemble import chunks, nested, stream
from particles.linear import map_rows
from particles.ranks import Team, team
from particles.ridge import Ridge
from particles.splines import Splines
from particles.tableaux import EULER, RK4, Tableau
from particles.tangent import tangent_flow
from particles.trigonometric import Trigonometric, derivative_matrix, trig, trig_derivative
from particles.workers import beside, over_threads

__all__ = [
    "EULER",
    "RK4",
    "Closure",
    "Descent",
    "Ridge",
    "Splines",
    "Tableau",
    "Team",
    "Trigonometric",
    "beside",
    "chunks",
    "derivative_matrix",
    "descend",
    "map_rows",
    "nested",
    "over_threads",
    "stream",
    "tangent_flow",
    "team",
    "trig",
    "trig_derivative",
]
