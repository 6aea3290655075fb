"""Is a guardrail's bad event clearly more frequent in a test arm? The SPRT beside both alarm
series, which only ever stops.

Watches guardrails that count bad events (never latency, cost or a falling primary metric) and whose
planned action is to stop. α = .05 is shared among all guardrails × test arms of the experiment.
Each hour is one batch: the units that had their first bad event in it, and the ratio of units
exposed by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.core.stats.sequential.sprt import HarmBatch, SprtPlan, SprtState, watch


@dataclass(frozen=True, slots=True)
class Hour:
    """One arm's hour: units first exposed in it, and units that had their first bad event in it."""

    at: datetime
    exposed: int
    bad: int


@dataclass(frozen=True, slots=True)
class WatchedGuardrail:
    """Where the test of one guardrail on one arm stands; ``proven``: harm is, and ``message`` says
    how much was observed.

    ``llr`` is held against ``threshold``; ``reason`` says why there is no number.
    """

    key: str
    arm: str
    threshold: float
    llr: float = 0.0
    bad_control: int = 0
    bad_treatment: int = 0
    ratio: float | None = None
    proven: bool = False
    message: str = ""
    reason: str = ""


def watched(
    plan: SprtPlan, key: str, arm: str, control: Sequence[Hour], treatment: Sequence[Hour]
) -> WatchedGuardrail:
    """The test over all hours so far; an hour before both arms have met units says nothing and is
    left out.
    """
    found = batches(control, treatment)
    if not found:
        return WatchedGuardrail(
            key, arm, plan.threshold, reason="no hour in which both arms have met units"
        )
    return _said(plan, key, arm, watch(plan, found))


def batches(control: Sequence[Hour], treatment: Sequence[Hour]) -> list[HarmBatch]:
    """Hour by hour: units with their first bad event, and T/C of the units exposed by the end of
    the hour.
    """
    of_c, of_t = _by_hour(control), _by_hour(treatment)
    seen_c = seen_t = 0
    found: list[HarmBatch] = []
    for at in sorted(of_c.keys() | of_t.keys()):
        c, t = of_c.get(at, Hour(at, 0, 0)), of_t.get(at, Hour(at, 0, 0))
        seen_c, seen_t = seen_c + c.exposed, seen_t + t.exposed
        if seen_c and seen_t:
            found.append(HarmBatch(t.bad, c.bad, seen_t / seen_c))
    return found


def _by_hour(hours: Sequence[Hour]) -> Mapping[datetime, Hour]:
    return {hour.at: hour for hour in hours}


def _said(plan: SprtPlan, key: str, arm: str, state: SprtState) -> WatchedGuardrail:
    return WatchedGuardrail(
        key=key,
        arm=arm,
        threshold=plan.threshold,
        llr=state.llr,
        bad_control=state.x_c,
        bad_treatment=state.x_t,
        ratio=state.observed_ratio,
        proven=state.crossed,
        message=state.message or "",
    )
