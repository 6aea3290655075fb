"""How results came about day by day: what each day's last run said, carried from run to run.
Display; nothing decides by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analytics.core.results import ArmSummary, MetricResult

MOST_DAYS = 120
"""Older days are thinned out, every other one, so that a long experiment's beginning stays visible.
"""


@dataclass(frozen=True, slots=True)
class DayReading:
    """One test arm against control as it stood at the end of a day; ``low``/``high`` may be read at
    any time (None: cannot say).
    """

    metric: str
    arm: str
    difference: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesDay:
    """A local day: the units that every arm had met by then, and the readings."""

    day: date
    units: Mapping[str, int]
    readings: tuple[DayReading, ...] = ()


def with_day(
    before: Sequence[SeriesDay],
    day: date,
    arms: Sequence[ArmSummary],
    metrics: Sequence[MetricResult],
) -> tuple[SeriesDay, ...]:
    """The series with this day as it stands now; a later run of the same day replaces the earlier
    one.
    """
    today = SeriesDay(day, {arm.key: arm.units for arm in arms}, tuple(_readings(metrics)))
    kept = [one for one in before if one.day < day]
    return (*_thinned(kept, MOST_DAYS - 1), today)


def _readings(metrics: Sequence[MetricResult]) -> list[DayReading]:
    return [
        DayReading(
            metric.key,
            one.arm,
            one.comparison.difference,
            None if one.always is None else one.always.interval.low,
            None if one.always is None else one.always.interval.high,
        )
        for metric in metrics
        for one in metric.comparisons
    ]


def _thinned(days: Sequence[SeriesDay], most: int) -> list[SeriesDay]:
    found = list(days)
    while len(found) > most:
        half = len(found) // 2
        found = [*found[:half:2], *found[half:]]
    return found
