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

_reader: Reader | None = None


def set_reader(reader: Reader | None) -> None:
    """Wire what knows the stored decisions."""
    global _reader
    _reader = reader


def standing(experiment_id: int) -> Recommendation | str | None:
    """What is recommended, or why nothing is; None in a process that cannot read decisions."""
    return None if _reader is None else _reader(experiment_id)
