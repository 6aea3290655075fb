"""A geo pilot's result as a person reads it at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.did import DidResult, EventPoint, Placebo, PreTrend, Test, WithoutRegion
from analytics.selectors.geo import GeoView
from experiments.core.figures import p_is_short

MOST_LINES = 12
"""Periods and placebo starts printed; of more, those nearest the start."""


def geo_lines(view: GeoView) -> list[str]:
    """The whole result: who was compared, the effect fixed and sequential, and what speaks for and
    against it.
    """
    found = view.result
    lines = [
        f"{view.experiment}: geo pilot, {view.metric} by {view.region_label}, read once, at its end",
        f"  treated from {view.start} on: {_named(view.treated)}",
        f"  control: {_named(view.control)}",
        f"  {_periods(view)}",
        "",
    ]
    if view.failed_at is not None:
        lines += [f"The newest reading failed: {view.error}", ""]
    if found is None:
        return [*lines, "There is no result."]
    return [
        *lines,
        *_effect(found),
        *_before(found),
        *_leave_one_out(found),
        *_events(found.event_study),
        *_notes(found),
        "",
        STANDING,
    ]


STANDING = "A geo pilot is evidence for people; nothing is promoted by it."


def _effect(found: DidResult) -> list[str]:
    counts = f"{found.treated} treated and {found.regions - found.treated} control regions, {found.periods} periods"
    lines = [f"difference-in-differences: {counts}"]
    if found.estimate is None:
        return [*lines, f"  cannot say: {found.reason}"]
    se = "" if found.se is None else f" (standard error {_plain(found.se)})"
    lines.append(f"  effect {_signed(found.estimate)}{se}")
    if found.decision_p is None:
        lines.append(f"  fixed: cannot say: {found.reason}")
    else:
        interval = _interval(found.ci) or "no interval at this level"
        lines.append(f"  fixed: {interval}, {p_is_short(found.decision_p)}, by {found.method}")
    lines += [f"    {_test(test)}" for test in found.tests if len(found.tests) > 1]
    return [*lines, f"  sequential (valid at any time): {_sequential(found)}"]


def _test(test: Test) -> str:
    if test.p is None:
        return f"{test.method}: cannot say: {test.reason}"
    df = "" if test.df is None else f", df {test.df:.3g}"
    interval = _interval(test.ci)
    return f"{test.method}: {p_is_short(test.p)}{df}{f', {interval}' if interval else ''}{f' ({test.reason})' if test.reason else ''}"


def _sequential(found: DidResult) -> str:
    view = found.sequential
    if view.ci is None or view.p is None:
        return f"cannot say: {view.reason}"
    return f"{_interval(view.ci)}, {p_is_short(view.p)}"


def _before(found: DidResult) -> list[str]:
    lines = ["", "before the start", *(f"  {line}" for line in _trend(found.pre_trend))]
    if found.placebos:
        shown = found.placebos[-MOST_LINES:]
        lines.append(f"  starts that never were: {', '.join(_placebo(one) for one in shown)}")
    return lines


def _trend(trend: PreTrend) -> list[str]:
    if trend.slope is None:
        return [f"pre-trend: cannot say: {trend.reason}"]
    slope = f"pre-trend: treated regions changed by {_signed(trend.slope)} more per period"
    lines = [
        f"{slope}, {p_is_short(trend.p)} ({trend.method})"
        if trend.p is not None
        else f"{slope}; no p: {trend.reason}"
    ]
    if trend.joint_p is None:
        return [*lines, f"all periods jointly: cannot say: {trend.joint_reason}"]
    return [*lines, f"all periods jointly: {p_is_short(trend.joint_p)} ({trend.joint_method})"]


def _placebo(one: Placebo) -> str:
    if one.estimate is None or one.p is None:
        return f"{one.start} cannot say"
    return f"{one.start} {_signed(one.estimate)} ({p_is_short(one.p)})"


def _leave_one_out(found: DidResult) -> list[str]:
    said = [(row.estimate, row) for row in found.leave_one_out if row.estimate is not None]
    if not said:
        return []
    (low, least), (high, most) = (
        min(said, key=lambda one: one[0]),
        max(said, key=lambda one: one[0]),
    )
    lines = [
        "",
        f"without one region: from {_signed(low)} (without {least.region}) to {_signed(high)} (without {most.region})",
    ]
    alone: Sequence[WithoutRegion] = [row for row in found.leave_one_out if row.estimate is None]
    return [*lines, *(f"  without {row.region}: cannot say" for row in alone[:3])]


def _events(points: Sequence[EventPoint]) -> list[str]:
    if not points:
        return []
    near = sorted(
        sorted(points, key=lambda one: abs(one.position + 0.5))[:MOST_LINES],
        key=lambda one: one.position,
    )
    lines = ["", "event study (gap between treated and control, against the last period before)"]
    for one in near:
        said = (
            "cannot say"
            if one.estimate is None
            else "reference"
            if one.position == -1
            else _signed(one.estimate)
        )
        lines.append(
            f"  {one.position:>+4}  {one.period[:20]:<20} {said:>10}  {_interval(one.ci)}".rstrip()
        )
    return lines


def _notes(found: DidResult) -> list[str]:
    return ["", *(f"note: {note}" for note in found.notes)] if found.notes else []


def _periods(view: GeoView) -> str:
    if len(view.periods) <= MOST_LINES:
        return f"periods in order: {', '.join(view.periods)}"
    return f"{len(view.periods)} periods from {view.periods[0]} to {view.periods[-1]}"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{len(names)} ({shown}{', …' if len(names) > 6 else ''})"


def _interval(interval: Interval | None) -> str:
    return (
        ""
        if interval is None
        else f"[{_signed(interval.low)}, {_signed(interval.high)}] at {interval.level:.1%}"
    )


def _signed(value: float) -> str:
    return f"{value:+.3g}"


def _plain(value: float) -> str:
    return f"{value:.3g}"
