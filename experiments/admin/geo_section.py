"""A geo pilot's result as its page shows it: the effect read both ways, every period's gap, what
hangs on one region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.selectors import geo
from analytics.selectors.geo import DidResult, GeoView
from experiments.admin import charts
from experiments.models import Experiment

MOST_DRAWN = 24
"""Periods drawn; of more, those nearest the start."""
MOST_WITHOUT = 8
"""Regions listed whose leaving out moves the effect most."""


@dataclass(frozen=True)
class EffectLine:
    """One way to read the effect. Without p, ``said`` is why."""

    name: str
    low: float | None
    high: float | None
    p: float | None
    said: str
    decides: bool = False


@dataclass(frozen=True)
class GeoBlock:
    """Everything the page draws of a pilot; ``view`` None: it has not been read yet."""

    view: GeoView | None
    lines: tuple[EffectLine, ...] = ()
    events: charts.Intervals | None = None
    without: tuple[tuple[str, float | None], ...] = ()


def block(experiment: Experiment) -> GeoBlock | None:
    """The pilot's block; None for every other experiment."""
    if experiment.experiment_type != "geo" or geo.pilot_of(experiment.pk) is None:
        return None
    view = geo.latest(experiment)
    if view is None or view.result is None:
        return GeoBlock(view)
    return GeoBlock(view, _lines(view.result), _events(view.result), _without(view.result))


def _lines(found: DidResult) -> tuple[EffectLine, ...]:
    fixed = EffectLine(
        "read at its end",
        *_limits(found.ci),
        found.decision_p,
        found.method or found.reason or "",
        decides=True,
    )
    several = found.tests if len(found.tests) > 1 else ()
    tests = [
        EffectLine(test.method, *_limits(test.ci), test.p, test.reason or "") for test in several
    ]
    always = found.sequential
    sequential = EffectLine(
        "sequential",
        *_limits(always.ci),
        always.p,
        always.reason or "valid at any time, regions as units",
    )
    return (fixed, *tests, sequential)


def _limits(interval: object) -> tuple[float | None, float | None]:
    return getattr(interval, "low", None), getattr(interval, "high", None)


def _events(found: DidResult) -> charts.Intervals | None:
    near = sorted(
        sorted(found.event_study, key=lambda one: abs(one.position + 0.5))[:MOST_DRAWN],
        key=lambda one: one.position,
    )
    drawn = [
        charts.DrawnEstimate(f"{one.period} ({one.position:+d})", one.estimate, *_limits(one.ci))
        for one in near
        if one.position != -1
    ]
    return charts.intervals(drawn)


def _without(found: DidResult) -> tuple[tuple[str, float | None], ...]:
    def moved(row: tuple[str, float | None]) -> float:
        return (
            float("inf")
            if row[1] is None or found.estimate is None
            else abs(row[1] - found.estimate)
        )

    rows: Sequence[tuple[str, float | None]] = [
        (row.region, row.estimate) for row in found.leave_one_out
    ]
    return tuple(sorted(rows, key=moved, reverse=True)[:MOST_WITHOUT])
