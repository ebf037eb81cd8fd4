"""Which representation of the potential the particles of a size see: modes, a mesh, or the unit itself at the nodes."""

from liouville.plan import Plan
from particles import Closure

# Nanoseconds on a core of 2024, for "auto" alone: a particle on a mesh, by N; a feature times a function, from moments
# to features and back; a node times a particle, evaluated directly.
ON_MESH = {1: 30.0, 2: 70.0, 3: 400.0}
CONTRACTED, AT_NODE = 0.23, 4.0


def closure(plan: Plan, n: int) -> Closure:
    """As `particles.potential` says; "auto" takes what costs least for a replica of n particles."""
    problem = plan.problem
    assert plan.run.particles is not None
    chosen = plan.run.particles.potential
    if chosen == "fourier" or (chosen == "auto" and problem.unit.circle):
        return problem.closure
    if chosen == "mesh":
        return problem.mesh_closure
    mesh, direct = problem.closure, problem.direct_closure
    if direct is None or chosen == "quadrature":
        return direct or mesh
    on_mesh = n * ON_MESH[mesh.dimension] + CONTRACTED * mesh.features.size
    return direct if n * direct.basis.size * AT_NODE < on_mesh else mesh
