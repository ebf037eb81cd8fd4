"""What the theorems assume, computed: support, rank, target, gap."""

import numpy as np

from liouville.plan import Plan
from solvers.fluctuations import Fluctuations


def hypotheses(plan: Plan, theory: Fluctuations) -> list[tuple[str, str, str]]:
    """Rows of hypothesis, value here, and whether it holds."""
    problem = plan.problem
    gap = np.linalg.eigvalsh(theory.kernel_diagonal[[0, -1]])[:, 0]
    nodes, rank = len(problem.x), problem.rank
    support = problem.initial.support
    target = float(problem.weights @ problem.f**2)
    share = 2 * problem.floor / target if target else 0.0
    return [
        ("support of rho_in", f"{support} in c", "yes" if support == "full" else "compact"),
        (
            "rank of phi = nodes of mu (2)",
            f"{rank} of {nodes}",
            "yes" if rank == nodes else "only on the span of phi",
        ),
        ("target in the span of phi", f"{share:.2g} of its square outside", "yes" if share < 1e-20 else "no"),
        ("gap of M at t = 0", f"{gap[0]:.6g}", "yes" if gap[0] > 1e-8 else "no"),
        (f"gap of M at t = {plan.times[-1]:g}", f"{gap[1]:.6g}", "yes" if gap[1] > 1e-8 else "no"),
    ]
