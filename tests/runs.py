"""Small run files for the tests, and a comparison in memory whose parts can be exchanged for wrong ones."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from liouville import judgement, mean_field, runfile, simulation
from liouville.density_limit import measured_with
from liouville.judgement import Ensemble, Evidence
from liouville.plan import Plan
from liouville.simulation import Work
from solvers import fluctuations
from solvers.sources import sources


def text(name: str = "flat-fourier", **changes: Any) -> str:
    """A shipped run file with some keys changed, each `key=value` in TOML."""
    return changed(runfile.text(name)[0], **changes)


def changed(source: str, **changes: Any) -> str:
    """The same of any run file with one key a line."""
    lines = source.splitlines()
    for key, value in changes.items():
        found = [i for i, line in enumerate(lines) if line.startswith(f"{key} =")]
        assert len(found) == 1, key
        lines[found[0]] = f"{key} = {value}"
    return "\n".join(lines) + "\n"


SPACE = """
[problem]
name = "space"
unit = { kind = "tanh", inputs = 2 }
target = { kind = "teacher", neurons = [{ c = 0.8, y = [2.0, 0.5, 0.3] }, { c = -0.5, y = [1.5, -1.0, 0.2] }] }
initial = { y = { kind = "normal", std = 0.7 }, c = { kind = "bump", std = 1.0 } }
measure = { kind = "uniform", low = -1.0, high = 1.0, nodes = 8 }
[time]
final = 2.0
snapshots = 9
[solver]
cells = [48, 48, 48, 32]
tolerance = 1e-2
[particles]
sizes = [16, 32, 64]
replicas = [200, 100, 60]
"""  # two inputs and a bias: a grid of four axes
SMALL: dict[str, Any] = {
    "final": 3.0,
    "snapshots": 7,
    "cells": [128, 64],
    "sizes": [32, 128, 512, 2048],
    "replicas": [2000, 1000, 500, 250],
}
TINY: dict[str, Any] = {
    "final": 1.0,
    "snapshots": 5,
    "cells": [48, 32],
    "sizes": [16, 32, 64],
    "replicas": [40, 30, 20],
}


def plan(name: str = "flat-fourier", *, nested: bool = False, **changes: Any) -> Plan:
    """A plan made from a shipped run file with some keys changed; `nested` is a key of [particles] that none has."""
    source = text(name, **changes)
    return Plan(runfile.parse(source.replace("[particles]\n", "[particles]\nnested = true\n") if nested else source))


def evidence(
    of: Plan,
    *,
    solve_density: Callable[..., Any] = mean_field.density,
    flow: fluctuations.FlowMap = sources,
    simulate: Callable[..., Any] = simulation.simulate,
) -> Evidence:
    """What a comparison would judge, computed in memory."""
    known = mean_field.reference(of)
    last: dict[int, np.ndarray] = {}
    solved = solve_density(of, mean_field.grid(of), lambda k, frame: last.update({0: frame.density}))
    theory = fluctuations.solve(
        of.problem.closure, of.problem.initial.nodes, known.mean_field, known.half_step, known.steps.grid, flow=flow
    )
    operator = simulation.PathOperator.build(known, theory)
    distance = measured_with(of, known, theory)
    right = partial(simulate, distance=distance) if simulate is simulation.simulate else simulate
    ensembles = particles(of, known, operator, right)
    covariance = judgement.at_snapshots(of, known, theory)
    return Evidence(of, known, solved, theory, covariance, last[0], ensembles, distance=distance)


def particles(
    of: Plan,
    known: mean_field.Reference,
    operator: simulation.PathOperator,
    simulate: Callable[..., Any] = simulation.simulate,
) -> tuple[Ensemble, ...]:
    """The ensembles of a plan, in memory."""
    found = []
    assert of.run.particles is not None
    for n, replicas in zip(of.run.particles.sizes, of.run.particles.replicas, strict=True):
        parts = list(simulate(of, known, operator, Work(n, replicas)))
        columns = [[p.coefficients for p in parts], [p.path for p in parts]]
        columns += [[p.y[..., 0] for p in parts], [p.c[..., 0] for p in parts]]
        columns += [
            [p.increase for p in parts],
            [p.density_distance for p in parts],
            [p.moment_distance for p in parts],
        ]
        found.append(Ensemble(n, *(np.concatenate(column) for column in columns)))
    return tuple(found)
