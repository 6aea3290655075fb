"""Writes an example's past through the ingest service, each day with that day's ``now``.

Nothing is planted in a table: exposures, events and observations arrive as an application would have sent them,
are checked and deduplicated as ever, and carry ids that writing them again would find.

Chance is drawn from the example's name alone. Buckets are dealt by a layer's own seed, so a unit is looked for
whose bucket gives it the arm that was drawn: totals are the same in every installation.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from analytics.core.ingest_items import EventItem, ExposureItem, ObservationItem
from experiments.core.hashing import bucket_of

from .base import Asked, Example

BATCH = 1000
SEED = 20_260_401
LONGEST_WAIT = timedelta(hours=48)
"""An event follows its exposure within this time, well inside every conversion window."""
AT_ONCE = timedelta(seconds=1)
"""A request to the AI, and what was thought of its answer, follow the exposure directly."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Stretch:
    """A day or less: from when to when, how many new units come, and which bucket means which arm."""

    start: datetime
    end: datetime
    units: int
    arms: Mapping[int, str]
    repeats: int = 1


@dataclass(frozen=True)
class Day:
    """What arrives by ``now``: a stretch's exposures, and the events that have happened by then."""

    now: datetime
    exposures: list[ExposureItem]
    events: list[EventItem]
    observations: list[ObservationItem]


@dataclass
class Author:
    """Writes one example's past, stretch after stretch; units are new each time."""

    example: Example
    seed: str
    _waiting: list[tuple[datetime, str, EventItem]] = field(default_factory=list)
    _found: dict[str, deque[str]] = field(default_factory=dict)
    _tried: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng([SEED, *self.example.key.encode()])

    def day(self, stretch: Stretch) -> Day:
        """Events arrive on the day they happen; the last ones may still be on their way."""
        exposures: list[ExposureItem] = []
        observations: list[ObservationItem] = []
        for arm in self._drawn(stretch):
            unit = self._unit(arm, stretch.arms)
            first = stretch.start + (stretch.end - stretch.start) * self._random.random()
            exposures += self._exposures(unit, first, stretch)
            observations += self._observations(unit, arm, first)
            for event in (*self._asked(unit, arm, first), *self._events(unit, arm, first)):
                heapq.heappush(self._waiting, (event.at or first, event.event_id, event))
        return Day(stretch.end, exposures, self._arrived(stretch.end), observations)

    def _drawn(self, stretch: Stretch) -> Sequence[str]:
        """An arm for each new unit, by the arms' shares of the buckets."""
        names = sorted(set(stretch.arms.values()))
        held = np.array([sum(arm == name for arm in stretch.arms.values()) for name in names])
        return [names[i] for i in self._random.choice(len(names), size=stretch.units, p=held / held.sum())]

    def _unit(self, arm: str, arms: Mapping[int, str]) -> str:
        """The next unit whose bucket gives it this arm."""
        found = self._found.setdefault(arm, deque())
        while not found:
            unit = f"{self.example.spec.unit_type[0]}-{self.example.key[:4]}-{self._tried:06d}"
            self._tried += 1
            met = arms.get(bucket_of(self.seed, unit))
            if met is not None:
                self._found.setdefault(met, deque()).append(unit)
        return found.popleft()

    def _exposures(self, unit: str, first: datetime, stretch: Stretch) -> list[ExposureItem]:
        step = (stretch.end - first) / (stretch.repeats + 1)
        return [
            ExposureItem(event_id=f"x-{unit}-{n}", units=self._units(unit), experiment=self.example.key, at=first + n * step)
            for n in range(stretch.repeats)
        ]

    def _observations(self, unit: str, arm: str, first: datetime) -> Iterator[ObservationItem]:
        for metric, chance in self.example.rated.get(arm, {}).items():
            value = float(self._random.random() < chance)
            yield ObservationItem(
                event_id=f"o-{unit}-{metric}", units=self._units(unit), experiment=self.example.key, metric=metric, value=value,
                at=first + AT_ONCE,
            )  # fmt: skip

    def _asked(self, unit: str, arm: str, first: datetime) -> Iterator[EventItem]:
        asked = self.example.asked.get(arm)
        if asked is not None:
            cost, latency = spread(asked, self._random.random())
            yield EventItem(
                event_id=f"r-{unit}",
                units=self._units(unit),
                event_type="ai_request",
                at=first + AT_ONCE,
                cost_micro=cost,
                latency_ms=latency,
            )

    def _events(self, unit: str, arm: str, first: datetime) -> Iterator[EventItem]:
        for event_type, chance in self.example.truth[arm].items():
            if self._random.random() < chance:
                at = first + timedelta(minutes=1) + (LONGEST_WAIT - timedelta(minutes=1)) * self._random.random()
                yield EventItem(event_id=f"e-{unit}-{event_type}", units=self._units(unit), event_type=event_type, at=at)

    def _arrived(self, now: datetime) -> list[EventItem]:
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(heapq.heappop(self._waiting)[2])
        return arrived

    def _units(self, unit: str) -> dict[str, str]:
        return {self.example.spec.unit_type: unit}


def spread(asked: Asked, drawn: float) -> tuple[int, int]:
    """Cost and latency of one request; ``drawn`` from 0 to 1 takes both from half to half as much again."""
    return round(asked.cost_micro * (0.5 + drawn)), round(asked.latency_ms * (0.5 + drawn))


def batches(items: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """At most as many at a time as a door would take."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
