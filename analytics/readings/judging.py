"""From totals to verdicts: looks, guardrails, and the facts that a decision rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import cast

from analytics.core.deciding.decision import Action, ArmFacts, DecisionFacts, GuardrailFact, Rule
from analytics.core.deciding.guardrails import (
    GuardrailPlan,
    GuardrailReading,
    Harm,
    Margin,
    harm,
    judge,
    unknown,
)
from analytics.core.deciding.harm_watch import WatchedGuardrail, watched
from analytics.core.deciding.look_state import LookState, histories, horizon, safety_looks, take
from analytics.core.deciding.looks import LookHistory, Observation, crossed_together, observe
from analytics.core.deciding.verdicts import Crossing, GuardrailResult
from analytics.core.deciding.windows import Clock, day_start
from analytics.core.ground.nets import NO_NET, Net, sentences
from analytics.core.ground.observed import Observed
from analytics.core.kinds import kind_of
from analytics.core.kinds.base import Better, MarginKind
from analytics.core.results import Health, MetricResult, compare_arms, explore, unsaid
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.exploring.compensation import Compensation, compensation
from analytics.core.stats.intervals.anytime import ALARM_N_STAR
from analytics.core.stats.sequential.sprt import SprtPlan
from analytics.readings.measuring import ByArm, LookTotals, Measured, MeasuredMetric
from analytics.selectors.plans import AnalysisPlan, PlannedMetric
from experiments.core.types import Direction, GuardrailAction, MetricKind, MetricRole, Origin

DEFAULT_DAYS = 28
"""How often the recent alarm series restarts when no end is planned."""
TEN_PERCENT = upper_quantile(0.05)


SWITCHED_OFF = "the arm is switched off"


NO_WORTH = (
    "the plan does not say what one unit of the primary outcome is worth: nothing compensates"
)


@dataclass(frozen=True)
class Paid:
    """Whether the gain on one arm pays for what one cost guardrail counts; money in USD micros a
    unit.
    """

    key: str
    arm: str
    found: Compensation


@dataclass(frozen=True)
class Earlier:
    """What the run before this one found: sequential views go on from it, and what it said of an
    arm stands once that is switched off.
    """

    metrics: tuple[MetricResult, ...] = ()
    verdicts: tuple[GuardrailResult, ...] = ()


NOTHING_EARLIER = Earlier()


@dataclass(frozen=True)
class LookStanding:
    """Where the looks stand after this run: all of them, and whether one was taken now."""

    states: tuple[LookState, ...]
    taken: LookState | None = None


def compared(
    plan: AnalysisPlan,
    metrics: Sequence[MeasuredMetric],
    before: Sequence[MetricResult] = (),
    net: Net = NO_NET,
) -> tuple[MetricResult, ...]:
    """Comparisons for every metric: Holm over arms where it decides or guards, BH over all
    explorations.

    ``before`` are the results of the run before, whose sequential views are carried on.
    """
    past = {(m.role, m.key, m.version): m for m in before}
    found = [
        (_held(plan, m, past.get((m.result.role, m.result.key, m.result.version)), net), m.observed)
        for m in metrics
    ]
    secondary = [(m, observed) for m, observed in found if m.role == MetricRole.SECONDARY]
    again = explore(
        [m for m, _ in secondary],
        [observed for _, observed in secondary],
        _control(plan),
        plan.alpha,
        net,
    )
    explored = {id(m): better for (m, _), better in zip(secondary, again, strict=True)}
    return tuple(
        _as_it_was(explored.get(id(m), m), past.get((m.role, m.key, m.version)), plan.stopped)
        for m, _ in found
    )


def _as_it_was(
    now: MetricResult, before: MetricResult | None, stopped: frozenset[str]
) -> MetricResult:
    """A switched-off arm as the last run before that saw it: what comes later are units of the
    default.
    """
    if before is None or not stopped:
        return now
    arms = {arm.arm: arm for arm in before.arms if arm.arm in stopped}
    comparisons = {one.arm: one for one in before.comparisons if one.arm in stopped}
    return replace(
        now,
        arms=tuple(arms.get(arm.arm, arm) for arm in now.arms),
        comparisons=tuple(comparisons.get(one.arm, one) for one in now.comparisons),
    )


def _control(plan: AnalysisPlan) -> str:
    return "" if plan.control is None else plan.control.key


def _held(
    plan: AnalysisPlan, metric: MeasuredMetric, before: MetricResult | None, net: Net
) -> MetricResult:
    """A metric's comparisons; of one that could not be read, the reason."""
    control = _control(plan)
    if metric.fault:
        return unsaid(metric.result, control, metric.fault, before)
    return net.hold(
        metric.result.key,
        "comparisons",
        lambda: _compared(plan, metric, before, net),
        lambda why: unsaid(metric.result, control, why, before),
    )


def _compared(
    plan: AnalysisPlan, metric: MeasuredMetric, before: MetricResult | None, net: Net
) -> MetricResult:
    control = _control(plan)
    primary = metric.result.role == MetricRole.PRIMARY
    # Tuned to the planned number of units of both arms: information is 1/(1/n + 1/n).
    n_star = 4 * plan.n_planned if primary and plan.n_planned else ALARM_N_STAR
    return compare_arms(
        metric.result, metric.observed, control, plan.alpha, n_star=n_star, before=before, net=net
    )


def look(
    plan: AnalysisPlan, before: Sequence[LookState], totals: LookTotals, net: Net = NO_NET
) -> LookState | None:
    """Take the look of a day, when the primary metric can say anything."""
    primary, control = plan.primary, plan.control
    if primary is None or control is None:
        return None
    seen = {
        arm.key: net.hold(
            primary.definition.key,
            f"look at {arm.key}",
            partial(
                _observation, primary, totals.primary.get(control.key), totals.primary.get(arm.key)
            ),
            lambda why: Observation(0, 0, reason=why),
        )
        for arm in plan.test_arms
    }
    seen |= {
        key: replace(seen[key], z=None, estimate=None, se=None, reason=SWITCHED_OFF)
        for key in plan.stopped
    }
    safety = {
        (m.definition.key, a): h
        for m in guarded(plan)
        for a, h in _harms(plan, m, totals.guardrails.get(m.definition.key), net).items()
    }
    return take(
        totals.day,
        before,
        seen,
        safety,
        n_planned=horizon(plan.n_planned, plan.min_sample_size, list(seen.values())),
        alpha=plan.alpha,
        better=_better(primary),
        closing=primary.window is None or end_passed(plan, totals.day + timedelta(days=1)),
        caps=totals.caps,
    )


def _observation(
    metric: PlannedMetric, control: Observed | None, treatment: Observed | None
) -> Observation:
    kind = metric.definition.kind.value
    if control is None or treatment is None:
        n_c, n_t = (
            0 if totals is None else kind_of(kind).units(totals) for totals in (control, treatment)
        )
        return Observation(n_c, n_t, reason="an arm has no matured units")
    return observe(kind, control, treatment, adjusted=metric.planned.adjusted)


def guard(
    plan: AnalysisPlan,
    measured: Measured,
    states: Sequence[LookState],
    before: Sequence[GuardrailResult] = (),
    net: Net = NO_NET,
) -> tuple[GuardrailResult, ...]:
    """The verdict of every guardrail on every test arm: alarms on all exposed units, safety at
    looks.

    ``before``: a switched-off arm keeps the verdict of the run before.
    """
    readings: list[GuardrailReading] = []
    unreadable: list[GuardrailResult] = []
    for metric in guarded(plan):
        why: list[str] = []
        readings += net.hold(
            metric.definition.key,
            "guardrail",
            partial(_readings, plan, measured, states, metric, net),
            partial(_none_of, why),
        )
        unreadable += [
            unknown(metric.definition.key, arm.key, reason)
            for reason in why
            for arm in plan.test_arms
        ]
    kept = {(one.key, one.arm): one for one in before if one.arm in plan.stopped}
    return tuple(
        kept.get((one.key, one.arm), one) for one in (*judge(readings, net=net), *unreadable)
    )


def _none_of(why: list[str], reason: str) -> list[GuardrailReading]:
    why.append(reason)
    return []


def _readings(
    plan: AnalysisPlan,
    measured: Measured,
    states: Sequence[LookState],
    metric: PlannedMetric,
    net: Net,
) -> list[GuardrailReading]:
    """One guardrail on every test arm: alarms since the start and of the last days, and its
    looks.
    """
    key, planned = metric.definition.key, guardrail_plan(metric)
    both = (measured.since_start.get(key), measured.recent.get(key))
    start, recent = (_priced(metric, measured, _harms(plan, metric, found, net)) for found in both)
    return [
        GuardrailReading(
            planned,
            arm,
            start[arm],
            recent[arm],
            planned_days(plan),
            safety_looks(states, key, arm),
        )
        for arm in start
    ]


def watch(
    plan: AnalysisPlan, measured: Measured, net: Net = NO_NET
) -> tuple[WatchedGuardrail, ...]:
    """The SPRT of every guardrail that counts bad events, on every test arm that serves."""
    if plan.control is None or not measured.hours:
        return ()
    sprt = SprtPlan(guardrails=len(guarded(plan)), test_arms=len(plan.test_arms))
    control = plan.control.key
    return tuple(
        net.hold(
            key,
            f"hours of {arm.key}",
            partial(watched, sprt, key, arm.key, hours.get(control, ()), hours.get(arm.key, ())),
            partial(_not_watched, sprt, key, arm.key),
        )
        for key, hours in measured.hours.items()
        for arm in plan.test_arms
        if arm.stopped_at is None
    )


def _not_watched(sprt: SprtPlan, key: str, arm: str, why: str) -> WatchedGuardrail:
    return WatchedGuardrail(key, arm, sprt.threshold, reason=why)


def pay(plan: AnalysisPlan, measured: Measured, net: Net = NO_NET) -> tuple[Paid, ...]:
    """Whether the gain pays for the cost: of each cost guardrail, on each test arm."""
    return tuple(
        net.hold(
            metric.definition.key,
            f"compensation on {arm.key}",
            partial(_paid, plan, metric, arm.key, measured),
            partial(_not_paid, metric.definition.key, arm.key),
        )
        for metric in guarded(plan)
        if metric.is_cost
        for arm in plan.test_arms
    )


def _not_paid(key: str, arm: str, why: str) -> Paid:
    return Paid(key, arm, Compensation(None, None, None, why))


def _paid(plan: AnalysisPlan, metric: PlannedMetric, arm: str, measured: Measured) -> Paid:
    """More of the outcome brings its worth; where less is better, less of it does."""
    key, worth = metric.definition.key, plan.worth_micro
    if plan.primary is None or worth is None:
        return Paid(key, arm, Compensation(None, None, False, NO_WORTH))
    value = (
        float(worth) if plan.primary.definition.direction is Direction.INCREASE else -float(worth)
    )
    units = measured.worth.get(key, {})
    control, treatment = (
        units.get(plan.control.key if plan.control is not None else ""),
        units.get(arm),
    )
    if control is None or treatment is None:
        return Paid(key, arm, Compensation(None, None, None, "an arm has no matured units"))
    return Paid(key, arm, compensation(control, treatment, value))


def weighed(
    verdicts: Sequence[GuardrailResult], proven: Sequence[WatchedGuardrail], paid: Sequence[Paid]
) -> tuple[GuardrailResult, ...]:
    """Verdicts with what the SPRT has proven, and with what a gain pays for."""
    messages = {(one.key, one.arm): one.message for one in proven if one.proven}
    compensated = {(one.key, one.arm): one.found.compensated for one in paid}
    return tuple(
        replace(
            one,
            proven=messages.get((one.key, one.arm), one.proven),
            compensated=compensated.get((one.key, one.arm)),
        )
        for one in verdicts
    )


def facts_of(
    plan: AnalysisPlan,
    measured: Measured,
    *,
    health: Health,
    verdicts: Sequence[GuardrailResult],
    standing: LookStanding,
    clock: Clock,
    harmed: frozenset[str],
    stranded: bool,
    net: Net | None = None,
) -> DecisionFacts:
    """Everything that a decision rests on, oriented so that more is better.

    Units are those of the look where one was taken: the floor has to be met by what the look saw.
    ``stranded``: the planned end has passed and no look can come of itself any more.
    """
    net = net or Net(faults=list(measured.faults))
    primary = plan.primary
    primary_result = next(
        (m.result for m in measured.metrics if m.result.role == MetricRole.PRIMARY), None
    )
    n = {arm.arm: arm.n for arm in primary_result.arms} if primary_result is not None else {}
    if standing.taken is not None and measured.look is not None:
        n = units_of(plan, measured.look.primary)
    looks, crossed = net.hold(
        "looks",
        "what they have shown so far",
        partial(_looks, plan, standing.states),
        lambda _: ({}, {}),
    )
    costs = _costs(plan, measured)
    return DecisionFacts(
        arms=tuple(
            replace(
                _arm_facts(
                    plan,
                    arm.key,
                    n.get(arm.key, 0),
                    looks.get(arm.key),
                    crossed.get(arm.key),
                    verdicts,
                    arm.key in harmed,
                    measured.silent,
                ),
                cost_per_unit=costs.get(arm.key),
            )
            for arm in plan.test_arms
        ),
        n_control=n.get(plan.control.key, 0) if plan.control is not None else 0,
        has_primary=primary is not None,
        clock_complete=clock.complete,
        clock_sentence=clock.sentence,
        looks_taken=len(standing.states),
        last_look_taken=bool(standing.states) and standing.states[-1].last,
        planned_end_passed=stranded,
        min_sample_size=plan.min_sample_size,
        required_improvement=0.0 if primary is None else primary.planned.required_improvement,
        mde=_absolute_mde(plan, primary_result),
        srm_masks=any(f.code == "srm" and f.masks for f in health.findings),
        unhealthy=tuple(f.sentence for f in health.findings if f.masks and f.code != "srm"),
        auto_promote=plan.auto_promote,
        origin="import" if plan.origin is Origin.IMPORT else "live",
        alarm_only=standing.taken is None,
        budget_micro=plan.budget_micro,
        spent_micro=measured.spent_micro,
        failed=sentences(net.faults),
    )


def _looks(
    plan: AnalysisPlan, states: Sequence[LookState]
) -> tuple[dict[str, LookHistory], dict[str, Crossing | None]]:
    """Every arm's looks, and what they have crossed together."""
    looks = _histories(plan, states)
    return looks, dict(zip(looks, crossed_together(list(looks.values())), strict=True))


def _costs(plan: AnalysisPlan, measured: Measured) -> Mapping[str, float | None]:
    """What a unit of each arm costs, where the plan reads that: between near winners the cheaper is
    promoted.
    """
    keys = {
        metric.definition.key
        for metric in plan.metrics
        if metric.is_cost and metric.definition.kind is MetricKind.MEAN
    }
    result = next((m.result for m in measured.metrics if m.result.key in keys), None)
    return {} if result is None else {arm.arm: arm.mean for arm in result.arms}


def units_of(plan: AnalysisPlan, totals: ByArm) -> dict[str, int]:
    """How many units of the primary metric each arm's totals hold."""
    if plan.primary is None:
        return {}
    kind = kind_of(plan.primary.definition.kind.value)
    return {key: kind.units(observed) for key, observed in totals.items()}


def end_passed(plan: AnalysisPlan, day: date) -> bool:
    """Whether the planned end lies before a local day: the day before it was the last one to look
    at.
    """
    return plan.planned_end is not None and plan.planned_end <= day_start(day, plan.time_zone)


def planned_days(plan: AnalysisPlan) -> int:
    """Days from launch to the planned end, or four weeks."""
    if plan.planned_end is None:
        return DEFAULT_DAYS
    return max(1, (plan.planned_end - plan.began_at).days)


def _arm_facts(
    plan: AnalysisPlan,
    arm: str,
    n: int,
    history: LookHistory | None,
    crossed: Crossing | None,
    verdicts: Sequence[GuardrailResult],
    harmed: bool,
    silent: frozenset[str],
) -> ArmFacts:
    latest = None if history is None else history.latest
    sign = 1.0 if history is None or history.plan.better == "increase" else -1.0
    estimate = None if latest is None else sign * latest.estimate
    inside = None if latest is None or estimate is None else _ninety(estimate, latest.se)
    by_key = {verdict.key: verdict for verdict in verdicts if verdict.arm == arm}
    guardrails = tuple(
        _guardrail_fact(
            plan, metric, by_key.get(metric.definition.key), metric.definition.key in silent
        )
        for metric in plan.of_role(MetricRole.GUARDRAIL)
    )
    return ArmFacts(
        arm,
        n,
        crossed,
        estimate,
        None if latest is None else latest.se,
        inside,
        None,
        guardrails,
        harmed,
    )


NOBODY_SENDS = "nobody has sent it since the experiment began, for any unit"


def _guardrail_fact(
    plan: AnalysisPlan, metric: PlannedMetric, result: GuardrailResult | None, silent: bool
) -> GuardrailFact:
    """What the plan demands of a guardrail, and its verdict; unknown where it cannot be
    computed.
    """
    rule = cast("Rule", metric.planned.rule or plan.rules.guardrail_rule.value)
    action = cast("Action", metric.planned.action or GuardrailAction.STOP.value)
    if result is None:
        return GuardrailFact(
            metric.definition.key,
            rule,
            action,
            "unknown",
            required=rule == "safe",
            no_data="no verdict",
        )
    return GuardrailFact(
        metric.definition.key,
        rule,
        action,
        result.verdict,
        result.safe_at_look,
        result.worsening,
        required=rule == "safe",
        compensated=result.compensated,
        proven=result.proven,
        no_data=NOBODY_SENDS
        if silent
        else result.reason.removeprefix("cannot say: ")
        if result.beyond is None
        else "",
    )


def _histories(plan: AnalysisPlan, states: Sequence[LookState]) -> dict[str, LookHistory]:
    if plan.primary is None or not states:
        return {}
    arms = [arm.key for arm in plan.test_arms]
    return histories(
        states, arms, n_planned=states[0].n_planned, alpha=plan.alpha, better=_better(plan.primary)
    )


UNREAD = "its totals could not be read"


def _harms(
    plan: AnalysisPlan, metric: PlannedMetric, totals: ByArm | None, net: Net
) -> dict[str, Harm]:
    """Harm of every test arm; None: the totals could not be read, which is written down already."""
    if totals is None:
        return {arm.key: Harm(0, 0, reason=UNREAD) for arm in plan.test_arms}
    base = None if plan.control is None else totals.get(plan.control.key)
    found = {
        arm.key: net.hold(
            metric.definition.key,
            f"harm on {arm.key}",
            partial(harm_of, metric, base, totals.get(arm.key)),
            lambda why: Harm(0, 0, reason=why),
        )
        for arm in plan.test_arms
    }
    return found | {
        key: Harm(found[key].n_control, found[key].n_treatment, reason=SWITCHED_OFF)
        for key in plan.stopped
    }


def _priced(metric: PlannedMetric, measured: Measured, found: dict[str, Harm]) -> dict[str, Harm]:
    """Harms of costs, with the reason where calls without a price make them unknown."""
    if not metric.definition.reads_metered_costs or not measured.unpriced:
        return found
    why = "; ".join(f"{key}: {one.sentence}" for key, one in measured.unpriced.items())
    return {
        arm: one if one.reason is None else replace(one, reason=why) for arm, one in found.items()
    }


def harm_of(metric: PlannedMetric, control: Observed | None, treatment: Observed | None) -> Harm:
    """Harm of one arm on one guardrail; cannot say while one of them has met nobody."""
    if control is not None and treatment is not None:
        return harm(guardrail_plan(metric), control, treatment)
    kind = kind_of(metric.definition.kind.value)
    n_c, n_t = (0 if totals is None else kind.units(totals) for totals in (control, treatment))
    return Harm(
        n_c, n_t, reason="control has no units" if control is None else "the arm has no units"
    )


def guarded(plan: AnalysisPlan) -> list[PlannedMetric]:
    """The guardrails of the plan."""
    return list(plan.of_role(MetricRole.GUARDRAIL))


def guardrail_plan(metric: PlannedMetric) -> GuardrailPlan:
    """A planned guardrail as the core judges it."""
    margin = Margin(
        cast("MarginKind", metric.planned.margin_kind), float(metric.planned.margin or 0.0)
    )
    return GuardrailPlan(
        metric.definition.key, metric.definition.kind.value, _better(metric), margin
    )


def _better(metric: PlannedMetric) -> Better:
    return "increase" if metric.definition.direction is Direction.INCREASE else "decrease"


def _ninety(estimate: float, se: float) -> Interval:
    return Interval(estimate - TEN_PERCENT * se, estimate + TEN_PERCENT * se, 0.9)


def _absolute_mde(plan: AnalysisPlan, result: MetricResult | None) -> float | None:
    """The planned effect in the metric's units; a relative one is of the baseline, else of
    control's mean now.
    """
    planned = None if plan.primary is None else plan.primary.planned
    if planned is None or planned.mde is None:
        return None
    if planned.mde_kind == "absolute":
        return abs(planned.mde)
    control = None if plan.control is None else plan.control.key
    seen: Mapping[str, float | None] = (
        {} if result is None else {arm.arm: arm.mean for arm in result.arms}
    )
    base = planned.baseline if planned.baseline is not None else seen.get(control or "")
    return None if base is None else abs(planned.mde * base)
