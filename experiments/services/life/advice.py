"""What the newest stored decision recommends, for services that must heed it.

Decisions are learnt above this layer; config wires the reader, as it wires the durable sink. A
caller can therefore never name a decision of its own making.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Recommendation:
    """The newest decision about an open iteration, where it says to promote a variant."""

    decision_id: int
    iteration_id: int
    variant_key: str
    rule: str


Reader = Callable[[int], "Recommendation | str"]
"""Experiment id → what is recommended, or why nothing is."""
UnmetReader = Callable[[int, str], tuple[str, ...]]
"""Experiment id and variant key → the conditions of a promotion that this variant does not meet,
with their numbers.
"""

_reader: Reader | None = None
_unmet: UnmetReader | None = None


def set_reader(reader: Reader | None, unmet: UnmetReader | None = None) -> None:
    """Wire what knows the stored decisions, and what knows the conditions of a promotion."""
    global _reader, _unmet
    _reader, _unmet = reader, unmet


def standing(experiment_id: int) -> Recommendation | str | None:
    """What is recommended, or why nothing is; None in a process that cannot read decisions."""
    return None if _reader is None else _reader(experiment_id)


def unmet(experiment_id: int, variant_key: str) -> tuple[str, ...]:
    """The conditions that a variant does not meet; empty in a process that cannot read
    decisions.
    """
    return () if _unmet is None else _unmet(experiment_id, variant_key)
