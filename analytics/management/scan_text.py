"""The nightly scan as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from analytics.core.scans.scans import BreakdownResult, ByStrata, Drifting, Wearing
from analytics.selectors.scans import ScanView
from experiments.core.figures import moment, p_is


def scan_lines(view: ScanView | None) -> list[str]:
    """What was found and what one may do, then what was asked; nothing without a scan."""
    if view is None:
        return []
    found = [
        f"{one.severity}: {one.evidence}. {' '.join(one.actions)}" for one in view.findings
    ] or ["nothing to tell"]
    asked = [
        *(line for one in view.result.wearing for line in _wearing(one)),
        *(line for one in view.result.breakdowns for line in _breakdown(one)),
        *(line for one in view.result.strata for line in _by_strata(one)),
        *(line for one in view.result.drift for line in _drift(one)),
        *(f"  not asked: {reason}" for reason in view.result.unsaid),
    ]
    return ["", f"Scan of {moment(view.scanned_at)} (decides nothing):", *found, *asked]


def _wearing(one: Wearing) -> Iterator[str]:
    c = one.found.comparison
    said = (
        f"cannot say, {c.reason}"
        if c.p is None or c.difference is None
        else f"{c.difference:+.3g} a day, {p_is(c.p)}"
    )
    yield f"  first week − second week, {one.metric}, {one.arm}: {said}"


def _breakdown(one: BreakdownResult) -> Iterator[str]:
    h = one.found.heterogeneity
    said = (
        h.reason
        if h.q is None or one.adjusted_p is None
        else f"Q = {h.q:.3g}, I² = {h.i2:.0%}, adjusted {p_is(one.adjusted_p)}"
    )
    yield f"  {one.metric}, {one.arm} by {one.by}: {said}"
    for segment in one.found.segments:
        c = segment.comparison
        if c.difference is None or c.ci is None or segment.adjusted_p is None:
            yield f"    {segment.key}: cannot say, {c.reason}"
        else:
            p = p_is(segment.adjusted_p).replace("p", "p (BH)", 1)
            yield f"    {segment.key}: {c.difference:+.3g} [{c.ci.low:+.3g}, {c.ci.high:+.3g}], {p}"


def _by_strata(one: ByStrata) -> Iterator[str]:
    c = one.found.comparison
    if c.difference is None or c.ci is None or c.p is None:
        yield f"  {one.metric}, {one.arm} post-stratified by {one.by}: cannot say, {c.reason}"
        return
    mix = ", ".join(
        f"{name} {weight:.0%}"
        for name, weight in zip(one.found.strata, one.found.weights, strict=True)
    )
    said = f"{c.difference:+.3g} [{c.ci.low:+.3g}, {c.ci.high:+.3g}], {p_is(c.p)}"
    yield f"  {one.metric}, {one.arm} post-stratified by {one.by}: {said} ({mix})"


def _drift(one: Drifting) -> Iterator[str]:
    known = one.found.verdict is not None and one.found.psi is not None
    said = (
        f"PSI {one.found.psi:.3f} ({one.found.verdict})"
        if known
        else f"cannot say, {one.found.reason}"
    )
    yield f"  drift of {one.baseline.name} ({one.baseline.source}): {said}"
