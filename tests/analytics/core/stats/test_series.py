from __future__ import annotations

from datetime import date, timedelta

from analytics.core.results import AlwaysValid, ArmComparison, ArmSummary, MetricResult
from analytics.core.series import MOST_DAYS, with_day
from analytics.core.stats.arms.comparison import Comparison, Interval

FIRST = date(2026, 6, 1)
ARMS = (ArmSummary("control", "Control", True, 10), ArmSummary("b", "B", False, 11))


def metric(difference: float, interval: Interval | None) -> MetricResult:
    one = ArmComparison(
        "b",
        Comparison("z", 10, 11, difference=difference),
        always=interval and AlwaysValid(interval, 0.5),
    )
    return MetricResult("m", 1, "M", "primary", "mean", "increase", "", None, comparisons=(one,))


def test_with_day__a_later_run_of_the_day__replaces_the_earlier_one() -> None:
    once = with_day((), FIRST, ARMS, [metric(1.0, Interval(0.0, 2.0, 0.95))])
    twice = with_day(once, FIRST, ARMS, [metric(1.5, None)])
    assert [(one.day, one.units) for one in twice] == [(FIRST, {"control": 10, "b": 11})]
    assert (once[0].readings[0].low, once[0].readings[0].high) == (0.0, 2.0)
    assert (twice[0].readings[0].difference, twice[0].readings[0].low) == (1.5, None)


def test_with_day__a_long_series__is_thinned_at_its_beginning_and_keeps_both_ends() -> None:
    days = ()
    for number in range(400):
        days = with_day(days, FIRST + timedelta(days=number), ARMS, ())
    found = [(one.day - FIRST).days for one in days]
    assert len(found) <= MOST_DAYS
    assert found == sorted(set(found))
    assert found[0] == 0 and found[-20:] == list(range(380, 400))
