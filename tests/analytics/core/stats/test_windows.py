"""Local days, the clock, matured units and legal looks, across pauses and changing clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from analytics.core.deciding.windows import (
    Clock,
    ServingSpan,
    clock,
    complete_days,
    is_matured,
    last_complete_day,
    legal_look,
    matured_until,
)

BERLIN = "Europe/Berlin"
FULL = Clock(1, 7, (1,) * 7)
OPEN = Clock(1, 6, (1, 1, 1, 1, 1, 1, 0))


def _utc(day: int, hour: int = 0, minute: int = 0, month: int = 6) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_complete_days__start_at_noon__begin_with_the_next_day() -> None:
    found = complete_days([ServingSpan(_utc(1, 12))], "UTC", _utc(4))
    assert found == (date(2026, 6, 2), date(2026, 6, 3))


def test_complete_days__local_midnight__is_the_zones_not_utcs() -> None:
    # 22:00 UTC is midnight in Berlin's summer.
    assert complete_days([ServingSpan(_utc(1, 22), _utc(2, 22))], BERLIN, _utc(9)) == (
        date(2026, 6, 2),
    )
    assert complete_days([ServingSpan(_utc(1, 22), _utc(2, 21, 59))], BERLIN, _utc(9)) == ()


def test_complete_days__a_pause_of_a_minute__costs_its_day() -> None:
    running = [ServingSpan(_utc(1), _utc(2, 10)), ServingSpan(_utc(2, 10, 1), None)]
    assert complete_days(running, "UTC", _utc(4)) == (date(2026, 6, 1), date(2026, 6, 3))


def test_complete_days__stretches_that_touch__are_one() -> None:
    running = [ServingSpan(_utc(2, 10), None), ServingSpan(_utc(1), _utc(2, 10))]
    assert complete_days(running, "UTC", _utc(3)) == (date(2026, 6, 1), date(2026, 6, 2))


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_complete_days__clocks_change__day_has_its_own_length(day: date, hours: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(
        hours=1 if day.month == 3 else 2
    )
    assert complete_days(
        [ServingSpan(start, start + timedelta(hours=hours))], BERLIN, _utc(30, month=12)
    ) == (day,)
    assert (
        complete_days(
            [ServingSpan(start, start + timedelta(hours=hours, minutes=-1))],
            BERLIN,
            _utc(30, month=12),
        )
        == ()
    )


def test_clock__seven_full_days__completes_one_week_and_not_two() -> None:
    running = [ServingSpan(_utc(1, 5))]
    assert not clock(running, "UTC", 1, _utc(8, 23)).complete
    assert clock(running, "UTC", 1, _utc(9)).complete
    assert not clock(running, "UTC", 2, _utc(9)).complete


def test_clock__ten_days_with_every_tuesday_paused__names_what_is_missing() -> None:
    running = [
        ServingSpan(_utc(1), _utc(2, 10)),
        ServingSpan(_utc(2, 11), _utc(9, 10)),
        ServingSpan(_utc(9, 11), None),
    ]
    found = clock(running, "UTC", 1, _utc(11))
    assert not found.complete
    assert found.sentence == "6 of 7 days; still missing: Tuesday 0 of 1"


def test_clock__nothing_ran__is_empty() -> None:
    assert clock([], "UTC", 1, _utc(9)).days == 0


def test_matured__window_and_a_day_of_grace__must_be_over_at_the_cut() -> None:
    week = timedelta(days=7)
    assert matured_until(_utc(9), week) == _utc(1)
    assert is_matured(_utc(1), _utc(9), week)
    assert not is_matured(_utc(1, 0, 1), _utc(9), week)
    assert is_matured(_utc(9), _utc(9), None)


def test_last_complete_day__is_yesterday_in_the_zone() -> None:
    assert last_complete_day(_utc(2, 22), BERLIN) == date(2026, 6, 2)
    assert last_complete_day(_utc(2, 21, 59), BERLIN) == date(2026, 6, 1)


def test_legal_look__once_a_day_after_the_clock__on_data_up_to_local_midnight() -> None:
    allowed = legal_look(
        _utc(9, 10), BERLIN, FULL, window=timedelta(days=1), previous=date(2026, 6, 7)
    )
    assert (allowed.allowed, allowed.day, allowed.data_cut) == (True, date(2026, 6, 8), _utc(8, 22))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"the_clock": OPEN}, "clock"),
        (
            {"previous": date(2026, 6, 8)},
            "the data up to 08 Jun 2026 have been used; the next complete day is needed",
        ),
        ({"over": True}, "exploratory"),
        ({"window": None}, "once, at the end"),
        ({"window": None, "planned_end": _utc(10)}, "once, at the end"),
    ],
)
def test_legal_look__too_early_again_or_too_late__is_refused(
    changed: dict[str, object], why: str
) -> None:
    asked: dict[str, object] = {"the_clock": FULL, "window": timedelta(days=1), **changed}
    found = legal_look(_utc(9, 10), "UTC", **asked)  # type: ignore[arg-type]  # named fields of one call
    assert not found.allowed
    assert why in found.reason


@pytest.mark.parametrize("end", [{"planned_end": _utc(9)}, {"information": 1.0}])
def test_legal_look__metric_without_window__has_one_look_at_the_end(end: dict[str, object]) -> None:
    assert legal_look(_utc(9, 10), "UTC", FULL, window=None, **end).allowed  # type: ignore[arg-type]  # named fields of one call
