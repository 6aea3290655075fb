"""Writes an example's past through the ingest service, each day with that day's ``now``.

Nothing is planted in a table: exposures and events arrive as an application would have sent them,
are checked and deduplicated as ever, and carry ids that writing them again would find.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from analytics.core.ingest_items import EventItem, ExposureItem
from experiments.core.hashing import bucket_of

BATCH = 1000
SEED = 20_260_401
LONGEST_WAIT = timedelta(hours=48)
"""An event follows its exposure within this time, well inside every conversion window."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Past:
    """A stretch to be written: who meets the experiment, and what is true of each arm.

    ``arms`` maps a bucket to the key of the arm whose truth applies; units in other buckets never
    meet the experiment.
    """

    experiment: str
    unit_type: str
    seed: str
    arms: Mapping[int, str]
    truth: Mapping[str, Mapping[str, float]]
    start: datetime
    end: datetime
    units_per_day: int
    exposures_per_unit: int = 1


@dataclass(frozen=True)
class Day:
    """What arrives by ``now``: at most a day's worth of exposures and events."""

    now: datetime
    exposures: list[ExposureItem]
    events: list[EventItem]


def days(past: Past) -> Iterator[Day]:
    """The past day by day. Events arrive on the day they happen, the last ones may still be on their way."""
    random = np.random.default_rng(SEED + sum(past.experiment.encode()))
    waiting: list[tuple[datetime, str, EventItem]] = []
    units = _members(past)
    day_start = past.start
    while day_start < past.end:
        day_end = min(day_start + timedelta(days=1), past.end)
        exposures = []
        for _ in range(_expected(past, day_end - day_start)):
            unit, arm = next(units)
            first = day_start + (day_end - day_start) * random.random()
            exposures += _exposures(past, unit, first, day_end)
            for event in _events(past, unit, arm, first, random):
                heapq.heappush(waiting, (event.at or first, event.event_id, event))
        arrived = []
        while waiting and waiting[0][0] <= day_end:
            arrived.append(heapq.heappop(waiting)[2])
        yield Day(day_end, exposures, arrived)
        day_start = day_end


def batches(items: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """At most as many at a time as a door would take."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _expected(past: Past, span: timedelta) -> int:
    return round(past.units_per_day * span / timedelta(days=1))


def _members(past: Past) -> Iterator[tuple[str, str]]:
    """New units without end, those whose bucket takes part, with the arm they get."""
    number = 0
    while True:
        unit = f"{past.unit_type[0]}-{past.experiment[:4]}-{number:06d}"
        number += 1
        arm = past.arms.get(bucket_of(past.seed, unit))
        if arm is not None:
            yield unit, arm


def _exposures(past: Past, unit: str, first: datetime, day_end: datetime) -> list[ExposureItem]:
    step = (day_end - first) / (past.exposures_per_unit + 1)
    return [
        ExposureItem(event_id=f"x-{unit}-{n}", units={past.unit_type: unit}, experiment=past.experiment, at=first + n * step)
        for n in range(past.exposures_per_unit)
    ]


def _events(past: Past, unit: str, arm: str, first: datetime, random: np.random.Generator) -> Iterator[EventItem]:
    for event_type, chance in past.truth[arm].items():
        if random.random() < chance:
            at = first + timedelta(minutes=1) + (LONGEST_WAIT - timedelta(minutes=1)) * random.random()
            yield EventItem(event_id=f"e-{unit}-{event_type}", units={past.unit_type: unit}, event_type=event_type, at=at)
