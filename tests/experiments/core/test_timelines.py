"""Iterations laid on a strip of days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from experiments.drawing.timelines import WIDTH, Ran, bars, most_at_once, ticks

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: float) -> datetime:
    return BEGAN + number * DAY


def test_bars__dark_then_running_then_planned__each_in_its_place() -> None:
    found = bars(Ran(day(0), day(2), None, planned_end=day(9)), day(0), day(10), now=day(5))
    assert [(bar.stage, bar.x, bar.width) for bar in found] == [
        ("dark", 0, 200),
        ("running", 200, 300),
        ("planned", 500, 400),
    ]


def test_bars__what_ended__plans_nothing_and_keeps_its_pauses() -> None:
    found = bars(
        Ran(day(0), day(0), day(8), day(9), pauses=((day(2), day(3)), (day(7), None))),
        day(0),
        day(10),
        now=day(9),
    )
    assert [(bar.stage, bar.x, bar.width) for bar in found] == [
        ("running", 0, 800),
        ("paused", 200, 100),
        ("paused", 700, 100),
    ]


def test_bars__outside_the_window__are_not_drawn_and_inside_are_cut() -> None:
    assert bars(Ran(day(0), day(1), day(2)), day(5), day(10), now=day(10)) == []
    (cut,) = bars(Ran(day(0), day(0), day(7)), day(5), day(10), now=day(10))
    assert (cut.x, cut.width, cut.since) == (0, 400, day(5))


@given(st.floats(-50, 50), st.floats(0, 50), st.floats(0, 50))
def test_bars__whatever_the_dates__stay_on_the_strip(begin: float, dark: float, ran: float) -> None:
    for bar in bars(
        Ran(day(begin), day(begin + dark), day(begin + dark + ran)), day(0), day(30), now=day(30)
    ):
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH


def test_ticks__are_mondays_of_a_month_and_firsts_of_a_year() -> None:
    assert [one.isoformat() for _, one in ticks(day(0), day(21))] == [
        "2026-03-02",
        "2026-03-09",
        "2026-03-16",
    ]
    assert {one.day for _, one in ticks(day(0), day(365))} == {1}


def test_most_at_once__counts_what_ran_and_not_what_was_dark_or_followed() -> None:
    followed = [Ran(day(0), day(0), day(2)), Ran(day(2), day(2), day(4)), Ran(day(0), None, None)]
    assert most_at_once(followed, day(9)) == 1
    assert most_at_once([*followed, Ran(day(1), day(1), None)], day(9)) == 2
