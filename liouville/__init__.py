"""The mean-field theory of wide neural networks, solved, simulated and checked.

import liouville as lv
problem = lv.Problem.load("flat-fourier")
run = lv.compare(problem)              # or lv.solve, lv.simulate
run.density.plot(); run.verdicts; lv.open("run.h5")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from liouville.neighbours import require_neighbours

if TYPE_CHECKING:
    from liouville.api import compare, open, resume, simulate, solve
    from liouville.densities import Density
    from liouville.problem import Problem
    from liouville.results import Run
    from liouville.units import Unit
    from liouville.verdicts import Verdict

__all__ = ["Density", "Problem", "Run", "Unit", "Verdict", "compare", "open", "resume", "simulate", "solve"]

HOMES = {
    "Density": "densities",
    "Problem": "problem",
    "Run": "results",
    "Unit": "units",
    "Verdict": "verdicts",
}  # the others are commands, in api


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the command line starts without what it does not use."""
    if name not in __all__:
        raise AttributeError(f"module 'liouville' has no attribute {name!r}")
    require_neighbours()
    return getattr(import_module(f"liouville.{HOMES.get(name, 'api')}"), name)
