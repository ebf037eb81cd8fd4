"""Healing of the fluctuations (Prop. 3.3) as a study: the law in n at all times, and along a_n -> infinity."""

from liouville.healing.conduct import conduct
from liouville.healing.groups import replicas
from liouville.healing.judge import count
from liouville.healing.study import Study, studies

__all__ = ["Study", "conduct", "count", "replicas", "studies"]
