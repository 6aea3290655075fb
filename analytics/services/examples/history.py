"""Writes an example's past through the ingest service, each day with that day's ``now``.

Nothing is planted in a table: exposures, events and observations arrive as an application would
have sent them, are checked and deduplicated as ever, and carry ids that writing them again would
find.

Chance is drawn from the example's name alone. Buckets are dealt by a layer's own seed, so a unit is
looked for whose bucket gives it the arm that was drawn: totals are the same in every installation.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from experiments.core.hashing import bucket_of

from .acting import Body, Visit, activity, before, doings, language
from .base import Example

BATCH = 1000
SEED = 20_260_401
DRIFTS_FOR = timedelta(days=7)
"""A drift of inputs begins this long before now."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Stretch:
    """A day or less: from when to when, how many new units come, and which bucket means which
    arm.
    """

    start: datetime
    end: datetime
    units: int
    arms: Mapping[int, str]
    repeats: int = 1
    drifted: bool = False


@dataclass(frozen=True)
class ExampleDay:
    """What arrives by ``now``: a stretch's exposures, what its units did before it, and what has
    happened by then, by door.
    """

    now: datetime
    exposures: list[Body]
    past: list[Body]
    arrived: Mapping[str, list[Body]]


@dataclass
class Author:
    """Writes one example's past, stretch after stretch; units are new each time."""

    example: Example
    seed: str
    _waiting: list[tuple[str, str, str, Body]] = field(default_factory=list)
    _found: dict[str, deque[str]] = field(default_factory=dict)
    _tried: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng([SEED, *self.example.key.encode()])

    def day(self, stretch: Stretch) -> ExampleDay:
        """Events arrive on the day they happen; the last ones may still be on their way."""
        exposures: list[Body] = []
        past: list[Body] = []
        for arm in self._drawn(stretch):
            unit = self._unit(arm, stretch.arms)
            first = stretch.start + (stretch.end - stretch.start) * self._random.random()
            shift = self.example.drift if stretch.drifted else 0.0
            visit = Visit(
                self._units(unit),
                arm,
                first,
                unit,
                activity(self._random),
                language(self.example, self._random),
                shift,
            )
            exposures += self._exposures(visit, stretch)
            past += before(self.example, visit, self._random)
            for door, body in doings(self.example, visit, self._random).by_door():
                heapq.heappush(self._waiting, (body["timestamp"], body["event_id"], door, body))
        return ExampleDay(stretch.end, exposures, past, self._arrived(stretch.end))

    def _drawn(self, stretch: Stretch) -> Sequence[str]:
        """An arm for each new unit, by the arms' shares of the buckets."""
        names = sorted(set(stretch.arms.values()))
        held = np.array([sum(arm == name for arm in stretch.arms.values()) for name in names])
        return [
            names[i]
            for i in self._random.choice(len(names), size=stretch.units, p=held / held.sum())
        ]

    def _unit(self, arm: str, arms: Mapping[int, str]) -> str:
        """The next unit whose bucket gives it this arm."""
        found = self._found.setdefault(arm, deque())
        while not found:
            unit = f"{self.example.spec.unit_type[0]}-{self.example.key}-{self._tried:06d}"
            self._tried += 1
            met = arms.get(bucket_of(self.seed, unit))
            if met is not None:
                self._found.setdefault(met, deque()).append(unit)
        return found.popleft()

    def _exposures(self, visit: Visit, stretch: Stretch) -> Iterator[Body]:
        step = (stretch.end - visit.first) / (stretch.repeats + 1)
        covariates = {"covariates": {"language": visit.language}} if visit.language else {}
        for n in range(stretch.repeats):
            yield {
                "event_id": f"x-{visit.ident}-{n}",
                "units": dict(visit.units),
                "experiment": self.example.key,
                "timestamp": (visit.first + n * step).isoformat(),
                **covariates,
            }

    def _arrived(self, now: datetime) -> Mapping[str, list[Body]]:
        arrived: dict[str, list[Body]] = defaultdict(list)
        while self._waiting and datetime.fromisoformat(self._waiting[0][0]) <= now:
            _, _, door, body = heapq.heappop(self._waiting)
            arrived[door].append(body)
        return arrived

    def _units(self, unit: str) -> dict[str, str]:
        return {self.example.spec.unit_type: unit}


def batches(items: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """At most as many at a time as a door would take."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
