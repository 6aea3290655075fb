"""Difference-in-differences of a geo pilot: everything one reading says.

A pilot is read once, at its end: its handful of regions carries no boundary for repeated looks, so
the fixed-sample numbers are the result. From 100 regions on an always-valid interval stands beside
them, with regions as its units. Nothing here ever promotes.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.did.inference import Inference, Test, infer
from analytics.core.stats.did.panel import Panel, usable
from analytics.core.stats.did.trends import (
    EventPoint,
    Placebo,
    PreTrend,
    WithoutRegion,
    event_study,
    leave_one_out,
    placebos_in_time,
    pre_trend,
)
from analytics.core.stats.intervals import anytime

LOUD_BEFORE = 0.05
"""A pre-trend p below this is pointed out."""
MOST_NAMED = 60
"""Regions whose leaving out is kept; of more, those that move the estimate most."""
MOST_PLACEBOS = 60


@dataclass(frozen=True, slots=True)
class SequentialView:
    """The interval and p that would hold at any time; None with the reason below 100 regions."""

    ci: Interval | None = None
    p: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DidResult:
    """The effect per region and period, in the metric's units, and what speaks for and against it.

    ``decision_p``, ``ci`` and ``method`` belong together; ``tests`` are all methods' answers;
    ``se`` and ``df`` are CR2's. None: cannot say, see ``reason``. ``left_out`` are regions without
    a period before or after, ``missing`` the gaps among the ``regions`` × ``periods`` cells that
    count.
    """

    estimate: float | None
    se: float | None
    df: float | None
    tests: tuple[Test, ...]
    decision_p: float | None
    method: str
    ci: Interval | None
    sequential: SequentialView
    treated: int
    regions: int
    periods: int
    missing: int
    left_out: tuple[str, ...]
    pre_trend: PreTrend
    placebos: tuple[Placebo, ...]
    leave_one_out: tuple[WithoutRegion, ...]
    event_study: tuple[EventPoint, ...]
    reason: str | None = None
    notes: tuple[str, ...] = ()


def difference_in_differences(panel: Panel, alpha: float = 0.05) -> DidResult:
    """One reading of a pilot at level α."""
    checked_level(alpha)
    kept, left_out = usable(panel)
    found = infer(kept, alpha)
    can_say = found.estimate is not None
    before = pre_trend(kept, alpha)
    placebos = (
        placebos_in_time(kept, alpha)
        if can_say and int((~kept.post).sum()) <= MOST_PLACEBOS
        else ()
    )
    return DidResult(
        estimate=found.estimate,
        se=found.se,
        df=found.df,
        tests=found.tests,
        decision_p=found.decision_p,
        method=found.method,
        ci=found.ci,
        sequential=sequential_view(found, len(kept.regions), alpha),
        treated=kept.n_treated,
        regions=len(kept.regions),
        periods=len(kept.periods),
        missing=kept.missing,
        left_out=left_out,
        pre_trend=before,
        placebos=placebos,
        leave_one_out=_most_telling(leave_one_out(kept), found.estimate) if can_say else (),
        event_study=event_study(kept, alpha) if can_say else (),
        reason=found.reason,
        notes=(*found.notes, *_about_the_panel(kept, left_out), *_about_before(before)),
    )


def sequential_view(found: Inference, regions: int, alpha: float) -> SequentialView:
    """The always-valid interval with regions as units, or why there is none."""
    if found.estimate is None or found.se is None:
        return SequentialView(
            reason=found.reason or "a permutation has no standard error to watch over time"
        )
    if regions < anytime.FEWEST_UNITS:
        return SequentialView(
            reason=f"{regions} regions; below {anytime.FEWEST_UNITS} a pilot is read once, at its end"
        )
    args = (found.estimate, found.se, regions, alpha, float(regions))
    return SequentialView(anytime.interval(*args), anytime.p_value(*args))


def _most_telling(
    rows: tuple[WithoutRegion, ...], estimate: float | None
) -> tuple[WithoutRegion, ...]:
    """All rows, or of very many those that move the estimate most."""
    if len(rows) <= MOST_NAMED or estimate is None:
        return rows
    return tuple(
        sorted(
            rows,
            key=lambda row: -abs(estimate - (estimate if row.estimate is None else row.estimate)),
        )[:MOST_NAMED]
    )


def _about_the_panel(panel: Panel, left_out: tuple[str, ...]) -> list[str]:
    notes = []
    if left_out:
        named = ", ".join(left_out[:10]) + (
            f" and {len(left_out) - 10} more" if len(left_out) > 10 else ""
        )
        notes.append(f"left out, since not seen both before and after the start: {named}")
    if panel.missing:
        gaps = [
            name for name, seen in zip(panel.regions, panel.observed, strict=True) if not seen.all()
        ]
        named = ", ".join(gaps[:10]) + (f" and {len(gaps) - 10} more" if len(gaps) > 10 else "")
        notes.append(
            f"unbalanced: {panel.missing} of {panel.values.size} cells are missing ({named}); the effect uses the cells there are"
        )
    return notes


def _about_before(before: PreTrend) -> list[str]:
    ps = [p for p in (before.p, before.joint_p) if p is not None]
    if not ps:
        return ["nothing before the start tests whether the groups moved in parallel"]
    if min(ps) < LOUD_BEFORE:
        return [
            "treated and control regions moved apart already before the start: parallel trends are doubtful, and with them the effect"
        ]
    return []
