"""How long does it take? Enrolment, the last unit's window and the grace, in whole weeks, never
shorter than the clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.stats.power.terms import whole_units

GRACE_DAYS = 1.0
"""Rows may come a day late."""


@dataclass(frozen=True, slots=True)
class Duration:
    """Enrolment + window + grace, in whole weeks, never shorter than the clock."""

    days: int
    weeks: int
    bound_by: Literal["sample", "clock"]


def duration(
    total_units: float,
    units_per_day: float,
    *,
    window_days: float = 0.0,
    grace_days: float = GRACE_DAYS,
    clock_weeks: int = 1,
) -> Duration | None:
    """How long enrolment, the last unit's window and the grace take; None without traffic."""
    _check(units_per_day, window_days, grace_days, clock_weeks)
    if not units_per_day > 0:
        return None
    days = whole_units(total_units / units_per_day + window_days + grace_days)
    weeks = max(whole_units(days / 7), clock_weeks)
    return Duration(days, weeks, "clock" if days <= 7 * clock_weeks else "sample")


def matured_units(
    weeks: float, units_per_day: float, *, window_days: float = 0.0, grace_days: float = GRACE_DAYS
) -> float:
    """Units enrolled early enough to be complete after so many weeks; 0 when the window is not over
    by then.
    """
    _check(units_per_day, window_days, grace_days, 0)
    return max(0.0, 7 * weeks - window_days - grace_days) * units_per_day


def _check(units_per_day: float, window_days: float, grace_days: float, clock_weeks: int) -> None:
    numbers = (units_per_day, window_days, grace_days, float(clock_weeks))
    if not all(math.isfinite(v) and v >= 0 for v in numbers):
        raise ImpossiblePlan(
            f"units a day, window, grace and clock are finite and not negative, found {numbers}"
        )
