"""Scans, read: what the newest one found of an experiment, for its page, the API and the command
line.

While results are masked nothing that compares arms is given; drift is about what came in, and
stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from analytics.core.ground.encoding import restored
from analytics.core.scans.scans import (
    AskedPair,
    BreakdownResult,
    ByStrata,
    ScanFinding,
    ScanResult,
    pair_findings,
    weightiest_first,
)
from analytics.core.stats.exploring.novelty import DayEffect
from analytics.core.stats.exploring.segments import SegmentEffect
from analytics.models import PairScan, Scan
from experiments.models import Experiment, Iteration

__all__ = ["ByStrata", "DayPoint", "ScanView", "latest", "scan_of", "segments", "since_exposure"]


@dataclass(frozen=True)
class ScanView:
    """The newest scan of an iteration, with the pairs that it was part of in the newest night that
    asked it.

    ``findings`` are of both, the weightiest first.
    """

    scanned_at: datetime
    data_cut: datetime
    findings: tuple[ScanFinding, ...]
    result: ScanResult
    pairs: tuple[AskedPair, ...]
    pairs_at: datetime | None


@dataclass(frozen=True)
class DayPoint:
    """The effect on one day since first exposure (0: the first 24 hours), of so many units followed
    that far; None: cannot say.
    """

    day: int
    units: int
    difference: float | None
    low: float | None
    high: float | None


def scan_of(iteration: Iteration, *, masked: bool) -> ScanView | None:
    """What the newest scan found; None before the first."""
    row = Scan.objects.filter(iteration=iteration).order_by("-night").first()
    if row is None:
        return None
    result = restored(row.result, ScanResult)
    if masked:
        kept = tuple(one for one in result.findings if one.code == "drift")
        result = replace(result, findings=kept, breakdowns=(), wearing=(), since=(), strata=())
        return ScanView(row.scanned_at, row.data_cut, kept, result, (), None)
    key = iteration.experiment.key
    asked_at, pairs = _pairs(iteration, key)
    findings = weightiest_first([*pair_findings(pairs, key), *result.findings])
    return ScanView(row.scanned_at, row.data_cut, findings, result, pairs, asked_at)


def segments(view: ScanView) -> list[tuple[BreakdownResult, list[tuple[str, float, float, float]]]]:
    """Each breakdown with its segments' difference and interval; those that cannot be said are left
    out.
    """
    return [
        (asked, [line for one in asked.found.segments if (line := _said(one)) is not None])
        for asked in view.result.breakdowns
    ]


def since_exposure(view: ScanView, metric: str) -> list[tuple[str, list[DayPoint]]]:
    """Each test arm's effect on a metric by day since its units' first exposure, up to the last day
    on which anything can be said.
    """
    asked = [(one.arm, one.drawing.points) for one in view.result.since if one.metric == metric]
    last = max(
        (point.day for _, points in asked for point in points if point.difference is not None),
        default=-1,
    )
    return [
        (arm, [_day_point(point) for point in points[: last + 1]])
        for arm, points in asked
        if last >= 0
    ]


def _day_point(point: DayEffect) -> DayPoint:
    low, high = (None, None) if point.ci is None else (point.ci.low, point.ci.high)
    return DayPoint(point.day, point.n_control + point.n_treatment, point.difference, low, high)


def _said(one: SegmentEffect) -> tuple[str, float, float, float] | None:
    c = one.comparison
    return (
        None
        if c.difference is None or c.ci is None
        else (one.key, c.difference, c.ci.low, c.ci.high)
    )


def latest(experiment: Experiment, number: int, *, masked: bool) -> ScanView | None:
    """What the newest scan found of one of an experiment's iterations, by its number."""
    iteration = (
        Iteration.objects.filter(experiment=experiment, number=number)
        .select_related("experiment")
        .first()
    )
    return None if iteration is None else scan_of(iteration, masked=masked)


def _pairs(iteration: Iteration, key: str) -> tuple[datetime | None, tuple[AskedPair, ...]]:
    """The experiment's pairs of the newest night of this iteration."""
    nights = PairScan.objects.filter(scanned_at__gte=iteration.began_at)
    row = (
        (
            nights
            if iteration.ended_at is None
            else nights.filter(scanned_at__lte=iteration.ended_at)
        )
        .order_by("-night")
        .first()
    )
    if row is None:
        return None, ()
    pairs = restored(row.pairs, tuple[AskedPair, ...])
    return row.scanned_at, tuple(one for one in pairs if key in (one.found.first, one.found.second))
