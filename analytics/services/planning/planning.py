"""How many units an experiment needs, computed from its plan and written down as evidence.

For the primary metric: to find the planned effect. For each guardrail: to be proven SAFE when there
is no harm, if the plan asks for SAFE. n_planned is the larger, as information 1/(1/n_T + 1/n_C).
Baselines that nobody entered are read from the metric's last 28 days, where there is data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast

from analytics.core.ground.encoding import plain
from analytics.core.kinds import kind_of
from analytics.core.kinds.base import MarginKind
from analytics.core.planner import (
    MOST_LOOKS,
    EffectKind,
    MetricInputs,
    MetricSize,
    Role,
    Rules,
    SizePlan,
    Traffic,
    plan,
    words,
)
from analytics.readings.prefill import MetricPast, TrafficPast, pasts, traffic_past
from analytics.readings.sizing import SizingAnswer, refusing
from analytics.selectors.plans import WEEKS_OF_SIZE
from experiments.core.design.design import Design, DesignMetric
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import InvalidInput, Problem
from experiments.core.types import JSON, Actor, GuardrailRule, Item, MetricRole
from experiments.models import Evidence, Experiment, Metric
from experiments.selectors.experiments import design_of, resolve, rules_of
from experiments.selectors.metrics import definition_of
from experiments.services.life import checklist

LOOKS_A_WEEK = 7
_FIELDS = {"effect": "mde", "sd": "baseline_sd"}
"""What the planner calls otherwise than a plan's form."""
_ORDER = (MetricRole.PRIMARY, MetricRole.GUARDRAIL, MetricRole.SECONDARY)


def plan_sample_size(
    actor: Actor, now: datetime, *, experiment_id: int, units_per_day: float | None = None
) -> Evidence:
    """Compute the plan and record it as evidence; refuses with everything that is missing."""
    experiment = resolve(experiment_id)
    found = experiment_plan(experiment, now, units_per_day=units_per_day)
    return checklist.record_evidence(
        actor,
        now,
        experiment_id=experiment.pk,
        item=Item.SAMPLE_SIZE,
        green=True,
        summary=_sentence(found.plan),
        detail=_detail(found),
    )


def experiment_plan(
    experiment: Experiment,
    now: datetime,
    *,
    units_per_day: float | None = None,
    weeks: int | None = None,
) -> SizingAnswer:
    """The sizes an experiment's plan needs, with what its metrics and traffic have been lately
    where it does not say; writes nothing.
    """
    design, rules = design_of(experiment), rules_of(experiment)
    known = _pasts(design, now)
    seen = None if units_per_day is not None else traffic_past(design.unit_type, now)
    planned = _planned_weeks(experiment) if weeks is None else weeks
    return SizingAnswer(
        sample_plan(
            design, rules, units_per_day=units_per_day, weeks=planned, known=known, seen=seen
        ),
        known,
        seen,
    )


def sample_plan(
    design: Design,
    rules: PolicyRules,
    *,
    units_per_day: float | None = None,
    weeks: int | None = None,
    known: Mapping[str, MetricPast] | None = None,
    seen: TrafficPast | None = None,
) -> SizePlan:
    """The sizes a design needs; pure. ``known`` and ``seen`` are the past of metrics and traffic.
    Refuses with what is missing.
    """
    metrics = _inputs(design, rules, known or {})
    problems = missing(design, metrics)
    if problems:
        raise InvalidInput(
            f"{design.key}: the sample size cannot be computed yet",
            field="metrics",
            problems=problems,
        )
    with refusing("metrics", f"{design.key}: "):
        return plan(metrics, _traffic(design, units_per_day, seen), _rules(design, rules, weeks))


def missing(design: Design, metrics: tuple[MetricInputs, ...]) -> list[Problem]:
    """What the plan lacks before a size can be computed."""
    found: list[Problem] = []
    if design.control is None or not design.test_arms:
        found.append(
            Problem(
                "arms_missing", "a control and at least one test variant are needed", "variants"
            )
        )
    if not any(metric.role == "primary" for metric in metrics):
        found.append(Problem("primary_missing", "choose a primary metric", "metrics"))
    for metric in metrics:
        if metric.role == "primary" or (metric.role == "guardrail" and metric.required):
            found += [_lacking(metric, name) for name in metric.lacking]
            found += _impossible(metric)
    return found


def _lacking(metric: MetricInputs, name: str) -> Problem:
    field = _FIELDS.get(name, name)
    past = "; the last 28 days have no data to read it from" if name in ("baseline", "sd") else ""
    return Problem(
        f"{field}_missing",
        f"{metric.key}: enter {words.LABELS[name]}{past}",
        f"metrics.{metric.key}.{field}",
    )


def _impossible(metric: MetricInputs) -> list[Problem]:
    """A rate that nothing can be compared with, said by its label."""
    if metric.baseline is None or not metric.is_rate or 0 < metric.baseline < 1:
        return []
    message = f"{metric.key}: {words.LABELS['baseline']} must be above 0 and below 1 (0.2 is 20 %), found {metric.baseline:g}"
    return [Problem("baseline_out_of_range", message, f"metrics.{metric.key}.baseline")]


def _inputs(
    design: Design, rules: PolicyRules, known: Mapping[str, MetricPast]
) -> tuple[MetricInputs, ...]:
    with refusing("metrics", f"{design.key}: "):
        return tuple(
            _with_past(_metric(metric, rules), known.get(metric.key))
            for role in _ORDER
            for metric in design.metrics_of(role)
        )


def _metric(metric: DesignMetric, rules: PolicyRules) -> MetricInputs:
    return MetricInputs(
        key=metric.key,
        role=cast("Role", metric.role),
        kind=metric.kind,
        better="increase" if metric.direction == "increase" else "decrease",
        baseline=metric.baseline,
        sd=metric.baseline_sd,
        effect=metric.mde,
        effect_kind=cast("EffectKind", metric.mde_kind),
        margin=metric.margin,
        margin_kind=cast("MarginKind", metric.margin_kind or "points"),
        required=(metric.rule or rules.guardrail_rule.value) == GuardrailRule.SAFE.value,
        window_days=(metric.window_hours or 0) / 24,
    )


def _with_past(metric: MetricInputs, past: MetricPast | None) -> MetricInputs:
    """What nobody entered, as it has been lately."""
    if past is None:
        return metric
    return replace(
        metric,
        baseline=past.baseline if metric.baseline is None else metric.baseline,
        sd=past.sd if metric.sd is None else metric.sd,
    )


def _traffic(design: Design, units_per_day: float | None, seen: TrafficPast | None) -> Traffic:
    control = design.control
    return Traffic(
        units_per_day=units_per_day
        if units_per_day is not None or seen is None
        else seen.new_per_day,
        guessed=units_per_day is None and seen is not None,
        share=design.traffic / 1000,
        control=control.weight if control is not None else 0,
        tests=tuple(arm.weight for arm in design.test_arms),
    )


def _rules(design: Design, rules: PolicyRules, weeks: int | None) -> Rules:
    clock = max(rules.weeks, WEEKS_OF_SIZE.get(design.size_class, 0))
    return Rules(
        alpha=round(1 - float(design.confidence_level), 9),
        power=float(design.power),
        looks=_looks(design, clock),
        clock_weeks=clock,
        weeks=weeks,
        floor=design.min_sample_size,
    )


def _looks(design: Design, weeks: int) -> int:
    """One look a day from the clock's last day over as many weeks again: what looking costs, with
    room.

    Without a conversion window there is a single look, at the end.
    """
    windowless = all(
        metric.window_hours is None for metric in design.metrics_of(MetricRole.PRIMARY)
    )
    return 1 if windowless else min(1 + LOOKS_A_WEEK * weeks, MOST_LOOKS)


def _planned_weeks(experiment: Experiment) -> int | None:
    """Whole weeks between the planned start and end, at least one; None when they are not both
    set.
    """
    if (
        experiment.planned_start is None
        or experiment.planned_end is None
        or experiment.planned_end <= experiment.planned_start
    ):
        return None
    return max(1, (experiment.planned_end - experiment.planned_start).days // 7)


def _pasts(design: Design, now: datetime) -> Mapping[str, MetricPast]:
    """Of the metrics that something was not entered for."""
    open_ends = {
        (m.key, m.version)
        for m in design.metrics
        if m.baseline is None or (m.baseline_sd is None and not _is_rate(m))
    }
    rows = Metric.objects.filter(key__in=[key for key, _ in open_ends])
    return pasts(
        (definition_of(row) for row in rows if (row.key, row.version) in open_ends),
        design.unit_type,
        now,
    )


def _is_rate(metric: DesignMetric) -> bool:
    return kind_of(metric.kind).sizing == "rate"


def _sentence(found: SizePlan) -> str:
    arms = f"{found.total:,} units in all: {found.control:,} in control, {found.treatment:,} in each test arm"
    lasts = "" if found.weeks is None else f"; {words.weeks(found.weeks)}"
    return f"{arms} (set by {found.decided_by}){lasts}"


def _detail(found: SizingAnswer) -> JSON:
    """The evidence. What a launch reads is ``n_planned``; the rest is for people."""
    whole = found.plan
    document: dict[str, JSON] = plain(replace(whole, rows=()))
    document.pop("rows")
    document["metrics"] = [_row(row) for row in whole.rows]
    document["read_from"] = list(found.sources)
    return document


def _row(row: MetricSize) -> JSON:
    document: dict[str, JSON] = plain(row)
    for size in ("size", "fixed"):
        document.pop(size)
    document["control"] = None if row.size is None else row.size.control
    document["treatment"] = None if row.size is None else row.size.treatment
    document["fixed_control"] = None if row.fixed is None else row.fixed.control
    return document
