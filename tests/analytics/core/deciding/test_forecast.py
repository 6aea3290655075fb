from __future__ import annotations

from datetime import date, timedelta

from analytics.core.deciding.forecast import clock_by, units_by
from analytics.core.series import SeriesDay

FIRST = date(2026, 6, 1)


def days(*units: int) -> list[SeriesDay]:
    return [SeriesDay(FIRST + timedelta(days=i), {"a": n}) for i, n in enumerate(units)]


def test_units_by__ten_a_day_and_25_missing__is_three_days_off() -> None:
    assert units_by(days(0, 10, 20), "a", 45) == FIRST + timedelta(days=5)


def test_units_by__an_old_rush__does_not_count() -> None:
    rush = [
        SeriesDay(FIRST, {"a": 0}),
        *(SeriesDay(FIRST + timedelta(days=10 + i), {"a": 1000 + i}) for i in range(8)),
    ]
    assert units_by(rush, "a", 1010) == FIRST + timedelta(days=20)


def test_units_by__enough_already__is_the_last_day() -> None:
    assert units_by(days(0, 50), "a", 50) == FIRST + timedelta(days=1)


def test_units_by__nobody_arrives_one_day_only_or_far_away__cannot_say() -> None:
    assert units_by(days(5, 5), "a", 10) is None
    assert units_by(days(5), "a", 10) is None
    assert units_by(days(0, 1), "a", 10_000) is None
    assert units_by([], "a", 1) is None


def test_clock_by__each_weekday_twice__counts_on_from_what_is_in() -> None:
    assert clock_by([2, 2, 2, 2, 2, 1, 1], 2, date(2026, 6, 12)) == date(2026, 6, 14)  # a Sunday
    assert clock_by([0] * 7, 1, date(2026, 6, 12)) == date(2026, 6, 19)
    assert clock_by([1] * 7, 1, date(2026, 6, 12)) == date(2026, 6, 12)
