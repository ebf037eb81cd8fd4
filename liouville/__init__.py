"""The mean-field theory of wide neural networks, solved, simulated and checked.

import liouville as lv
problem = lv.Problem.load("flat-fourier")
run = lv.compare(problem)              # or lv.solve, lv.simulate
run.density.plot(); run.verdicts; lv.open("run.h5")
"""

from liouville.neighbours import require_neighbours

require_neighbours()

from liouville.api import compare, open, resume, simulate, solve  # noqa: E402
from liouville.problem import Problem  # noqa: E402
from liouville.results import Run  # noqa: E402
from liouville.verdicts import Verdict  # noqa: E402

__all__ = ["Problem", "Run", "Verdict", "compare", "open", "resume", "simulate", "solve"]
