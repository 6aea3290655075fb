"""When will it be enough? Dates by which conditions of a promotion are met if all goes on as
lately. Display; nothing decides by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import ceil

from analytics.core.series import SeriesDay

LATELY_DAYS = 7
"""Units a day are counted over so many of the last days: whole weeks, since weekends differ."""
FAR_DAYS = 365


def units_by(days: Sequence[SeriesDay], arm: str, target: float) -> date | None:
    """The day on which the arm will have met so many units; None while its pace is unknown, nobody
    arrives, or it is over a year away.
    """
    if not days:
        return None
    last = days[-1]
    missing = target - last.units.get(arm, 0)
    if missing <= 0:
        return last.day
    first = next((one for one in days if (last.day - one.day).days <= LATELY_DAYS), last)
    elapsed = (last.day - first.day).days
    arrived = last.units.get(arm, 0) - first.units.get(arm, 0)
    if elapsed == 0 or arrived <= 0:
        return None
    wait = ceil(missing * elapsed / arrived)
    return last.day + timedelta(days=wait) if wait <= FAR_DAYS else None


def clock_by(per_weekday: Sequence[int], weeks: int, after: date) -> date:
    """The day that completes the clock when every day after ``after`` counts; counts are Monday
    first.
    """
    seen, day = list(per_weekday), after
    while min(seen) < weeks:
        day += timedelta(days=1)
        seen[day.weekday()] += 1
    return day
