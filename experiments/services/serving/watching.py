"""Answers noted while somebody watches an experiment or a unit: in this process's memory, until
they are carried to the database.

While nobody watches, an answer costs one look at an empty set. Losing what is noted harms nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from experiments.core.serving.assignment import Assignment
from experiments.core.types import Environment

MOST = 1000
"""Noted answers that a process holds; older ones make room."""


@dataclass(frozen=True)
class Watched:
    """Experiments by key, and units by id."""

    experiments: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SeenAnswer:
    """One answer. ``unit_id`` is the id that was hashed, else the request's user (or first) unit,
    where the door says it.
    """

    at: datetime
    environment: Environment
    flag: str | None
    experiment: str | None
    variant: str | None
    reason: str
    unit_id: str | None
    bucket: int | None


_watched: Watched | None = None
_seen: deque[SeenAnswer] = deque(maxlen=MOST)


def watch(watched: Watched) -> None:
    """From now on note answers about these, and no others."""
    global _watched
    _watched = watched if watched.experiments or watched.units else None


def note(
    answers: Iterable[Assignment],
    now: datetime,
    *,
    environment: Environment,
    units: Mapping[str, str] | None = None,
) -> None:
    """Note those of the answers that somebody watches."""
    watched = _watched
    if watched is None:
        return
    asked = units or {}
    for answer in answers:
        if (
            answer.served.experiment in watched.experiments
            or answer.unit_id in watched.units
            or watched.units & set(asked.values())
        ):
            _seen.append(_as_seen(answer, now, environment, asked))


def take() -> list[SeenAnswer]:
    """What has been noted since the last time."""
    taken = []
    while _seen:
        taken.append(_seen.popleft())
    return taken


def _as_seen(
    answer: Assignment, now: datetime, environment: Environment, units: Mapping[str, str]
) -> SeenAnswer:
    served = answer.served
    unit = answer.unit_id or units.get("user") or next(iter(units.values()), None)
    return SeenAnswer(
        now,
        environment,
        served.flag,
        served.experiment,
        served.variant,
        served.reason.value,
        unit,
        answer.bucket,
    )
