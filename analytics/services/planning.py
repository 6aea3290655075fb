"""How many units an experiment needs, computed from its plan and written down as evidence.

For the primary metric: to find the planned effect. For each guardrail: to be proven SAFE when there
is no harm, if the plan asks for SAFE. n_planned is the larger, as information 1/(1/n_T + 1/n_C).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from analytics.core.errors import ImpossiblePlan
from analytics.core.stats import power
from analytics.core.stats.power import SampleSize
from analytics.selectors.plans import WEEKS_OF_SIZE
from experiments.core.design import Design, DesignMetric
from experiments.core.errors import InvalidInput, Problem
from experiments.core.policies import PolicyRules
from experiments.core.types import JSON, Actor, GuardrailRule, Item, MetricKind, MetricRole
from experiments.models import Evidence
from experiments.selectors.experiments import design_of, resolve, rules_of
from experiments.services import checklist

LOOKS_A_WEEK = 7


@dataclass(frozen=True)
class MetricNeed:
    """What one metric asks for: units of control and of each test arm; None: does not size the experiment, see ``note``."""

    key: str
    role: str
    size: SampleSize | None
    note: str = ""


@dataclass(frozen=True)
class SamplePlan:
    """The whole plan. ``n_planned`` is information; the units are those of the metric that needs most."""

    n_planned: float
    control: int
    treatment: int
    total: int
    decided_by: str
    weeks: int | None
    needs: tuple[MetricNeed, ...]


def plan_sample_size(actor: Actor, now: datetime, *, experiment_id: int, units_per_day: float | None = None) -> Evidence:
    """Compute the plan and record it as evidence; refuses with everything that is missing."""
    experiment = resolve(experiment_id)
    design, rules = design_of(experiment), rules_of(experiment)
    found = sample_plan(design, rules, units_per_day=units_per_day)
    return checklist.record_evidence(
        actor, now, experiment_id=experiment.pk, item=Item.SAMPLE_SIZE, green=True, summary=_sentence(found), detail=_detail(found)
    )


def sample_plan(design: Design, rules: PolicyRules, *, units_per_day: float | None = None) -> SamplePlan:
    """The sizes a design needs; pure. Refuses with what is missing."""
    problems = missing(design)
    if problems:
        raise InvalidInput(f"{design.key}: the sample size cannot be computed yet", field="metrics", problems=problems)
    weeks = max(rules.weeks, WEEKS_OF_SIZE.get(design.size_class, 0))
    guardrails = design.metrics_of(MetricRole.GUARDRAIL)
    required = [m for m in guardrails if (m.rule or rules.guardrail_rule.value) == GuardrailRule.SAFE.value]
    try:
        needs = (
            *(_primary_need(design, m, weeks) for m in design.metrics_of(MetricRole.PRIMARY)),
            *(_guardrail_need(design, m, m in required, len(required), weeks) for m in guardrails),
        )
    except ImpossiblePlan as impossible:
        raise InvalidInput(f"{design.key}: {impossible}", field="metrics") from impossible
    largest = max((n for n in needs if n.size is not None), key=lambda n: n.size.total if n.size is not None else 0)
    size = _with_floor(largest.size, design)
    window = max((m.window_hours or 0 for m in design.metrics), default=0)
    spent = power.duration(size.total, (units_per_day or 0) * design.traffic / 1000, window_days=window / 24, clock_weeks=weeks)
    return SamplePlan(
        size.information, size.control, size.treatment, size.total, largest.key, None if spent is None else spent.weeks, needs
    )


def missing(design: Design) -> list[Problem]:
    """What the plan lacks before a size can be computed."""
    found: list[Problem] = []
    if design.control is None or not design.test_arms:
        found.append(Problem("arms_missing", "a control and at least one test variant are needed", "variants"))
    primary = design.metrics_of(MetricRole.PRIMARY)
    if not primary:
        found.append(Problem("primary_missing", "choose a primary metric", "metrics"))
    for metric in primary:
        found += _lacking(metric, "mde", metric.mde, "the smallest effect worth finding (mde)")
        found += _lacking_base(metric)
    for metric in design.metrics_of(MetricRole.GUARDRAIL):
        found += _lacking_base(metric)
    return found


def _lacking_base(metric: DesignMetric) -> list[Problem]:
    if metric.kind == MetricKind.PROPORTION:
        return _lacking(metric, "baseline", metric.baseline, "today's rate (baseline)")
    if metric.kind in (MetricKind.MEAN, MetricKind.COUNT):
        needed = _lacking(metric, "baseline_sd", metric.baseline_sd, "the standard deviation over units (baseline_sd)")
        relative = metric.mde_kind == "relative" if metric.role == MetricRole.PRIMARY else metric.margin_kind == "relative"
        return needed + (_lacking(metric, "baseline", metric.baseline, "today's mean (baseline)") if relative else [])
    return []


def _lacking(metric: DesignMetric, field: str, value: float | None, what: str) -> list[Problem]:
    return [] if value is not None else [Problem(f"{field}_missing", f"{metric.key}: enter {what}", f"metrics.{metric.key}.{field}")]


class _PrimaryTerms(TypedDict):
    """What every formula for finding an effect is told beside the metric."""

    alpha: float
    power: float
    ratio: float
    hypotheses: int
    looks: int
    test_arms: int


class _GuardrailTerms(TypedDict):
    """What every formula for proving safety is told beside the metric."""

    required_guardrails: int
    ratio: float
    looks: int
    test_arms: int


def _primary_need(design: Design, metric: DesignMetric, weeks: int) -> MetricNeed:
    """Units to find the planned effect, with looks every day after the clock's weeks."""
    base, effect = metric.baseline or 0.0, _effect(metric)
    common = _PrimaryTerms(
        alpha=round(1 - float(design.confidence_level), 9),
        power=float(design.power),
        ratio=_ratio(design),
        hypotheses=len(design.test_arms),
        looks=_looks(weeks),
        test_arms=len(design.test_arms),
    )
    if metric.kind == MetricKind.PROPORTION:
        return MetricNeed(metric.key, metric.role, power.proportion_sample(base, base + effect, **common))
    if metric.kind in (MetricKind.MEAN, MetricKind.COUNT):
        return MetricNeed(metric.key, metric.role, power.mean_sample(metric.baseline_sd or 0.0, effect, **common))
    raise InvalidInput(f"{design.key}: {metric.key} is a {metric.kind}; its sample size is not computed yet", field="metrics")


def _guardrail_need(design: Design, metric: DesignMetric, required: bool, among: int, weeks: int) -> MetricNeed:
    """Units for SAFE when there is no harm; a guardrail that only must not be breached asks for none."""
    if not required:
        return MetricNeed(metric.key, metric.role, None, "only must not be breached: does not size the experiment")
    margin, base = metric.margin or 0.0, metric.baseline or 0.0
    common = _GuardrailTerms(required_guardrails=among, ratio=_ratio(design), looks=_looks(weeks), test_arms=len(design.test_arms))
    if metric.kind == MetricKind.PROPORTION and metric.margin_kind == "relative":
        return MetricNeed(metric.key, metric.role, power.safe_relative_sample(base, margin, **common))
    if metric.kind == MetricKind.PROPORTION:
        return MetricNeed(metric.key, metric.role, power.safe_points_sample(base * (1 - base), margin, **common))
    if metric.kind in (MetricKind.MEAN, MetricKind.COUNT):
        absolute = margin * base if metric.margin_kind == "relative" else margin
        return MetricNeed(metric.key, metric.role, power.safe_points_sample((metric.baseline_sd or 0.0) ** 2, absolute, **common))
    return MetricNeed(metric.key, metric.role, None, f"{metric.kind}: its sample size is not computed yet")


def _effect(metric: DesignMetric) -> float:
    """The planned change in the metric's units, in the direction that is better."""
    size = abs(metric.mde or 0.0) * ((metric.baseline or 0.0) if metric.mde_kind == "relative" else 1.0)
    return size if metric.direction == "increase" else -size


def _ratio(design: Design) -> float:
    """The smallest test arm over control: the comparison that has least."""
    control = design.control
    return min(arm.weight for arm in design.test_arms) / (control.weight if control is not None and control.weight else 1)


def _looks(weeks: int) -> int:
    """One look a day from the clock's last day over as many weeks again: what looking costs, with room."""
    return 1 + LOOKS_A_WEEK * weeks


def _with_floor(size: SampleSize | None, design: Design) -> SampleSize:
    """Never below the floor per arm."""
    floor = design.min_sample_size
    if size is None:
        return SampleSize(floor, floor, floor * len(design.variants), float(floor))
    scale = max(1.0, floor / min(size.control, size.treatment))
    control, treatment = math.ceil(size.control * scale), math.ceil(size.treatment * scale)
    return SampleSize(control, treatment, control + treatment * len(design.test_arms), size.exact_control * scale)


def _sentence(found: SamplePlan) -> str:
    arms = f"{found.total:,} units in all: {found.control:,} in control, {found.treatment:,} in each test arm"
    weeks = "" if found.weeks is None else f"; {found.weeks} week{'s' if found.weeks != 1 else ''}"
    return f"{arms} (set by {found.decided_by}){weeks}"


def _detail(found: SamplePlan) -> JSON:
    return {
        "n_planned": found.n_planned,
        "control": found.control,
        "treatment": found.treatment,
        "total": found.total,
        "decided_by": found.decided_by,
        "weeks": found.weeks,
        "metrics": [
            {
                "key": need.key,
                "role": need.role,
                "control": None if need.size is None else need.size.control,
                "treatment": None if need.size is None else need.size.treatment,
                "note": need.note,
            }
            for need in found.needs
        ],
    }
