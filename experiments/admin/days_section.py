"""Results over the days: how each effect came about, and how many units arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise

from analytics.selectors import scans
from analytics.selectors.forecasts import FORESEEN, expected_day
from analytics.selectors.results import ComparisonView, MetricRow, Readiness, ResultsView
from analytics.selectors.scans import ScanView
from experiments.admin.template_filters import difference, figure
from experiments.core.types import Status
from experiments.drawing.courses import Course, Point, course
from experiments.models import Experiment
from experiments.selectors import timeline_notes

FEWEST = 2
"""One day is no course."""


Marks = Sequence[tuple[float, str]]


def marks(experiment: Experiment, view: ResultsView) -> Marks:
    """What was up in the world on the days that are drawn: where it stands, and its words."""
    if len(view.days) < FEWEST:
        return ()
    first, last = view.days[0].day, view.days[-1].day
    found = timeline_notes.for_experiment(experiment, first, last)
    return [
        (_at(max(first, note.first_day)), f"{note.kind}, {note.first_day}: {note.text}")
        for note in found
    ]


def effect(
    view: ResultsView, row: MetricRow, names: Mapping[str, str], marked: Marks = ()
) -> Course | None:
    """The difference from control at the end of each day, with the interval that may be read at any
    time; a line for each test arm.
    """
    if len(view.days) < FEWEST:
        return None
    share = row.kind == "proportion"
    series = [
        (names.get(one.arm, one.arm), _readings(view, row.key, one.arm)) for one in row.comparisons
    ]
    return course(series, _times(view), _words(share), marks=marked)


def since_exposure(found: ScanView, row: MetricRow, names: Mapping[str, str]) -> Course | None:
    """The difference from control on each day since units' first exposure; a line for each test
    arm.
    """
    asked = scans.since_exposure(found, row.key)
    days = max((len(points) for _, points in asked), default=0)
    if days < FEWEST:
        return None
    series = [
        (names.get(arm, arm), [Point(float(p.day), p.difference, p.low, p.high) for p in points])
        for arm, points in asked
    ]
    return course(
        series,
        [(float(day), f"day {day + 1}") for day in range(days)],
        _words(row.kind == "proportion"),
    )


def arrivals(view: ResultsView, marked: Marks = ()) -> Course | None:
    """How many new units each arm met a day, from the second day that is kept on."""
    if len(view.days) <= FEWEST:
        return None
    series = []
    for arm in view.arms:
        met = [(one.day, one.units.get(arm.key, 0)) for one in view.days]
        new = [
            (after, (units - past) / (after - day).days)
            for (day, past), (after, units) in pairwise(met)
        ]
        series.append((arm.name, [Point(_at(day), max(0.0, units)) for day, units in new]))
    return course(series, _times(view)[1:], lambda value: figure(round(value)), marks=marked)


def expected(view: ResultsView, condition: Readiness) -> str:
    """The day on which an unmet condition will be met if all goes on as lately, in words; nothing
    for what cannot be foreseen.
    """
    if condition.met or view.status != Status.RUNNING or condition.topic not in FORESEEN:
        return ""
    day = expected_day(view, condition)
    return "cannot say: too little arrives" if day is None else f"by {day.day} {day:%B}"


def always_of(one: ComparisonView) -> tuple[float | None, float | None]:
    """The limits that may be read at any time."""
    return (
        (None, None) if one.always is None else (one.always.interval.low, one.always.interval.high)
    )


def _readings(view: ResultsView, metric: str, arm: str) -> list[Point]:
    points = []
    for one in view.days:
        found = next((r for r in one.readings if (r.metric, r.arm) == (metric, arm)), None)
        points.append(
            Point(
                _at(one.day),
                *((None,) if found is None else (found.difference, found.low, found.high)),
            )
        )
    return points


def _times(view: ResultsView) -> list[tuple[float, str]]:
    return [(_at(one.day), f"{one.day.day} {one.day:%b}") for one in view.days]


def _words(share: bool) -> Callable[[float], str]:
    return lambda value: difference(value, share) if abs(value) > 1e-12 else "0"


def _at(day: date) -> float:
    return float(day.toordinal())
