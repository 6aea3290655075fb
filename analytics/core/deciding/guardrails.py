"""Does a test arm harm beyond what the plan allows? BREACH, SAFE or UNKNOWN, and how far from each.

Harm is measured as a contrast that is above 0 when the margin is exceeded:
``points``, ``ms``, ``money``: T − C − margin; ``relative``: T − (1 + margin)·C (signs turned round
where an increase is better). Standard errors are on the normal scale and allow for skewed values in
uneven arms (``Kind.guarded``). BREACH must hold at any moment one looks, so it rests on the
anytime-valid lower bound; SAFE may only be said at looks, so it rests on the one-sided Lan–DeMets
level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.nets import NO_NET, Net
from analytics.core.ground.observed import Observed
from analytics.core.kinds import AnyKind, kind_of
from analytics.core.kinds.base import Better, MarginKind
from analytics.core.stats.arms.score import MarginScore
from analytics.core.stats.intervals import anytime
from analytics.core.stats.multiplicity import holm
from analytics.core.stats.sequential import group_sequential
from experiments.core.design.margins import margin_problem

ALPHA = 0.05
"""Of BREACH alarms of one experiment together, and one-sided of each SAFE."""
SERIES_ALPHA = ALPHA / 2
"""Of each of the two series of one guardrail: since start, and the last 24–48 hours."""
FEWEST_ALARM_UNITS = 100
FEWEST_BAD_UNITS = 20


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse is allowed. ``points`` .02 = two percentage points, ``relative`` .15 = 15 %,
    else the metric's unit.
    """

    kind: MarginKind
    value: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise ImpossiblePlan(f"a margin is above 0, found {self.value!r}")


@dataclass(frozen=True, slots=True)
class GuardrailPlan:
    """One guardrail as planned; ``better`` says which way the metric should move."""

    key: str
    kind: str
    better: Better
    margin: Margin


@dataclass(frozen=True, slots=True)
class Harm:
    """Harm of one arm on one series. ``beyond`` = harm minus margin, ``worse`` = harm itself, with
    their errors.

    ``z`` is beyond/se on the normal scale. ``bad_units`` counts units with the bad answer (rates
    only). ``reason`` says why the numbers are None.
    """

    n_control: int
    n_treatment: int
    beyond: float | None = None
    se: float | None = None
    z: float | None = None
    worse: float | None = None
    worse_se: float | None = None
    bad_units: int | None = None
    reason: str | None = None

    @property
    def n(self) -> int:
        return self.n_control + self.n_treatment


@dataclass(frozen=True, slots=True)
class SafetyLook:
    """One guardrail at one look, as stored: information time, z of "beyond", whether the look was
    the last.
    """

    t: float
    z: float | None
    last: bool = False


@dataclass(frozen=True, slots=True)
class GuardrailReading:
    """All that is known of one guardrail on one test arm at the time of an analysis run.

    ``since_start`` and ``recent`` (the last 24–48 h, restarted each local day, None when not read)
    hold all exposed units; ``looks`` the matured ones at each look so far. ``planned_days`` is how
    often the recent series restarts.
    """

    plan: GuardrailPlan
    arm: str
    since_start: Harm
    recent: Harm | None = None
    planned_days: int = 28
    looks: tuple[SafetyLook, ...] = ()


def harm(plan: GuardrailPlan, control: Observed, treatment: Observed) -> Harm:
    """Harm of treatment against control. Cannot say below 10 units an arm or without spread."""
    kind = kind_of(plan.kind)
    bare = Harm(kind.units(control), kind.units(treatment))
    reason = kind.why_not(control, treatment)
    if reason is not None:
        return replace(bare, reason=reason)
    bare = replace(bare, bad_units=kind.bad_units(control, treatment, plan.better))
    beyond, worse = _beyond(plan, kind, control, treatment), kind.guarded(control, treatment)
    if beyond is None or beyond.z is None or worse is None:
        return replace(bare, reason="no spread: a standard error cannot be estimated")
    if math.isnan(beyond.z) or math.isnan(worse.estimate):
        raise ImpossibleTotals(f"{plan.key}: harm is not a number")
    sign = _sign(plan)
    return replace(
        bare,
        beyond=sign * beyond.estimate,
        se=beyond.se,
        z=sign * beyond.z,
        worse=sign * worse.estimate,
        worse_se=worse.se,
    )


def judge(
    readings: Sequence[GuardrailReading], alpha: float = ALPHA, net: Net = NO_NET
) -> list[GuardrailResult]:
    """Verdicts of all guardrails × test arms of an experiment; Holm over the breaches. One that
    fails is unknown, the others stand.
    """
    raw = [
        net.hold(r.plan.key, f"alarm on {r.arm}", partial(breach_p, r), _nothing) for r in readings
    ]
    return [
        net.hold(
            r.plan.key,
            f"verdict on {r.arm}",
            partial(_result, r, p, q, alpha),
            partial(unknown, r.plan.key, r.arm),
        )
        for r, p, q in zip(readings, raw, holm(raw), strict=True)
    ]


def _nothing(reason: str) -> None:
    """No alarm may sound of what cannot be computed."""


def unknown(key: str, arm: str, reason: str) -> GuardrailResult:
    """The verdict of a guardrail that cannot be computed: neither a breach nor a pass."""
    return GuardrailResult(
        key,
        arm,
        "unknown",
        False,
        False,
        None,
        None,
        None,
        None,
        None,
        False,
        f"cannot say: {reason}",
    )


def breach_p(reading: GuardrailReading) -> float | None:
    """Anytime-valid p of "not beyond the margin" over both series; None while no alarm may sound.

    Each series has half the level; the recent one shares its half among its planned restarts.
    """
    parts = [(reading.since_start, 2.0)]
    if reading.recent is not None:
        parts.append((reading.recent, 2.0 * max(1, reading.planned_days)))
    known = [share * p for seen, share in parts if (p := _series_p(seen)) is not None]
    return min(1.0, *known) if known else None


def safe_p(looks: Sequence[SafetyLook]) -> float | None:
    """Repeated one-sided p of "harm is at or beyond the margin"; None before a look that could
    say.
    """
    if not any(k.z is not None for k in looks):
        return None
    return group_sequential.repeated_p(
        [k.t for k in looks],
        [None if k.z is None else -k.z for k in looks],
        1,
        final=looks[-1].last,
    ).p


def safe_upper(seen: Harm, looks: Sequence[SafetyLook], alpha: float = ALPHA) -> float | None:
    """Upper bound of harm beyond the margin at the latest look's boundary (between looks: "so
    far").
    """
    if not looks or seen.beyond is None or seen.se is None:
        return None
    bound = group_sequential.boundaries([k.t for k in looks], alpha, 1, final=looks[-1].last).z[-1]
    return seen.beyond + bound * seen.se if math.isfinite(bound) else None


def _result(
    reading: GuardrailReading, raw: float | None, adjusted: float | None, alpha: float
) -> GuardrailResult:
    seen, safety = reading.since_start, safe_p(reading.looks)
    breach = adjusted is not None and adjusted <= alpha
    safe = safety is not None and safety <= alpha
    return GuardrailResult(
        key=reading.plan.key,
        arm=reading.arm,
        verdict="breach" if breach else "safe" if safe else "unknown",
        breach=breach,
        safe_at_look=safe,
        safe_p=safety,
        breach_p=adjusted,
        beyond=seen.beyond,
        lower=_anytime_lower(seen),
        upper=safe_upper(seen, reading.looks, alpha),
        worsening=_worsening(seen),
        reason=_sentence(reading, raw, breach, safe),
    )


def _sentence(reading: GuardrailReading, raw: float | None, breach: bool, safe: bool) -> str:
    if breach:
        return "harm beyond the margin is proven"
    if safe:
        return "harm is below the margin at the one-sided 5 % level of the looks"
    if reading.since_start.reason is not None:
        return f"cannot say: {reading.since_start.reason}"
    if raw is None:
        return f"no alarm below {FEWEST_ALARM_UNITS} units and {FEWEST_BAD_UNITS} units with the bad answer in the two arms"
    return "neither harm beyond the margin nor safety is proven"


def _alarm_allowed(seen: Harm) -> bool:
    return seen.n >= FEWEST_ALARM_UNITS and (
        seen.bad_units is None or seen.bad_units >= FEWEST_BAD_UNITS
    )


def _series_p(seen: Harm) -> float | None:
    if seen.beyond is None or seen.z is None or seen.se is None or not _alarm_allowed(seen):
        return None
    return anytime.upper_p_value(seen.z, 1.0, seen.n, SERIES_ALPHA, anytime.ALARM_N_STAR)


def _anytime_lower(seen: Harm) -> float | None:
    if seen.beyond is None or seen.se is None or not _alarm_allowed(seen):
        return None
    return seen.beyond - anytime.one_sided_width(
        seen.se, seen.n, SERIES_ALPHA, anytime.ALARM_N_STAR
    )


def _worsening(seen: Harm) -> bool:
    if seen.worse is None or seen.worse_se is None or not _alarm_allowed(seen):
        return False
    return seen.worse > anytime.one_sided_width(
        seen.worse_se, seen.n, SERIES_ALPHA, anytime.ALARM_N_STAR
    )


def _beyond(
    plan: GuardrailPlan, kind: AnyKind, control: Observed, treatment: Observed
) -> MarginScore | None:
    """T − (1 ± margin)·C, or T − C ∓ margin: on the edge of what is allowed."""
    margin = plan.margin
    fault = margin_problem(plan.kind, plan.better, margin.value, margin.kind)
    if fault is not None:
        raise ImpossiblePlan(f"{plan.key}: {fault.message}")
    signed = _sign(plan) * margin.value
    if margin.kind == "relative":
        return kind.guarded(control, treatment, factor=max(0.0, 1 + signed))
    return kind.guarded(control, treatment, shift=signed)


def _sign(plan: GuardrailPlan) -> int:
    """1 where more is harm, −1 where less is."""
    return 1 if plan.better == "decrease" else -1
