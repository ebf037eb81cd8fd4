"""Which representation of the potential the particles of a size see: modes, a mesh, or the unit itself at the nodes."""

from liouville.errors import InputError
from liouville.plan import Plan
from particles import Closure


def closure(plan: Plan, n: int) -> Closure:
    """As `particles.potential` says; "auto" takes what costs least for a replica of n particles. Raises InputError."""
    problem = plan.problem
    assert plan.run.particles is not None
    chosen = plan.run.particles.potential
    if chosen in ("fourier", "auto"):
        return problem.closure
    if chosen == "mesh":
        return problem.mesh_closure
    direct = problem.direct_closure
    if direct is None:
        raise InputError("particles.potential: must not be 'quadrature' for a unit from Python, which is not compiled")
    return direct
