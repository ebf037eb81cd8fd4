"""One study from theory to verdicts, its replicas written as they come."""

from liouville import simulation
from liouville.healing import groups, judge
from liouville.healing.curves import Curves
from liouville.healing.norms import Norms, simulate
from liouville.healing.study import Study
from liouville.healing.theory import Theory
from liouville.layout import Group
from liouville.progress import Stages
from liouville.simulation import Work
from liouville.storage import Writer
from liouville.verdicts import Verdict
from particles import team


def conduct(study: Study, writer: Writer, stages: Stages, level: float) -> tuple[list[Verdict], Group]:
    """The verdicts, each at `level`, and the group that sums the study up."""
    with stages.stage(f"{study.name}: theory to t = {study.plan.times[-1]:.3g}", 1):
        theory = Theory.of(study)
    operator = simulation.PathOperator.build(theory.known, theory.fluctuations)
    work = [Work(n, replicas, writer.committed(groups.name(study.name, n))) for n, replicas in study.sizes.items()]
    team().tell((study.plan.run, theory.known, operator, work, None))
    norms: dict[int, Norms] = {}
    for part in work:
        group = groups.name(study.name, part.n)
        found = []
        if part.done:
            found.append(Norms(*(writer.frames(group, of, part.done) for of in groups.REPLICAS)))
        with stages.stage(f"{study.name}: n = {part.n}", part.replicas) as advance:
            advance(part.done)
            for some in simulate(study, theory, operator, part, team()):
                writer.write(group, writer.committed(group), **some.table())
                found.append(some)
                advance(len(some.path))
        norms[part.n] = Norms.join(found)
        writer.sync()
    team().rested()
    return judge.judge(study, theory, norms, level), groups.summary(study, theory, Curves.of(study, norms))
