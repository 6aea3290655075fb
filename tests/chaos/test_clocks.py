"""Clocks that jump and days that are not 24 hours long."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from analytics.core.deciding.windows import ServingSpan, complete_days, day_start, last_complete_day
from experiments.services.ground.slots import claim, slot_of

NOON = datetime(2026, 3, 2, 12, 0, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
    *("Africa/Cairo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia"),
)
CHANGES = [
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 4, 24),
    date(2026, 11, 1),
    date(2026, 1, 31),
    date(2028, 2, 29),
]
"""Days on which clocks change somewhere, and ends of months."""


def tick(moment: datetime) -> bool:
    return claim(moment, task="honour", slot=slot_of(moment, seconds=10))


@pytest.mark.django_db
@pytest.mark.parametrize("ahead", [timedelta(minutes=11), HOUR, timedelta(days=2)], ids=str)
def test_clock_that_was_ahead__costs_no_tick_once_it_is_set_right(ahead: timedelta) -> None:
    wrong = [NOON + ahead + n * timedelta(seconds=10) for n in range(60)]
    assert all(tick(moment) for moment in wrong)

    assert tick(NOON + timedelta(seconds=10))
    assert [tick(moment) for moment in wrong] == [True] * 60
    assert [tick(moment) for moment in wrong] == [False] * 60


@pytest.mark.django_db
def test_clock_of_another_host__that_runs_some_minutes_ahead__gives_no_tick_to_two() -> None:
    moments = [NOON + timedelta(seconds=seconds) for seconds in range(0, 600, 60)]
    assert all(tick(moment) for moment in moments)
    assert not any(tick(moment) for moment in moments)


@pytest.mark.parametrize("zone", ZONES)
def test_local_days__through_two_years_with_every_change_of_clocks__follow_each_other_without_gap_or_overlap(
    zone: str,
) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(800)]  # 29 February 2028 too
    starts = [day_start(day, zone) for day in days]
    lengths = {(after - before).total_seconds() / 3600 for before, after in pairwise(starts)}
    assert lengths <= {23.0, 23.5, 24.0, 24.5, 25.0}
    assert all(
        start.astimezone(ZoneInfo(zone)).date() == day
        for start, day in zip(starts, days, strict=True)
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("around", CHANGES, ids=str)
def test_looks__asked_for_every_half_hour_around_such_a_day__have_each_local_day_once(
    zone: str, around: date
) -> None:
    began = day_start(around - timedelta(days=3), zone)
    ends = day_start(around + timedelta(days=3), zone)
    seen: list[date] = []
    now = began
    while now < ends:
        over = last_complete_day(now, zone)
        assert (
            day_start(over + timedelta(days=1), zone)
            <= now
            < day_start(over + timedelta(days=2), zone)
        )
        if over not in seen:
            seen.append(over)
        now += HOUR / 2
    assert (
        all(later - earlier == timedelta(days=1) for earlier, later in pairwise(seen))
        and len(seen) == 6
    )
    assert complete_days([ServingSpan(began, ends)], zone, ends) == tuple(
        around + timedelta(days=n) for n in range(-3, 3)
    )
