"""Planned metrics, written from plans. The callers hold the lock and have checked permission."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from experiments.core.design.design import MetricPlan
from experiments.core.design.margins import margin_problem
from experiments.core.errors import InvalidInput
from experiments.core.types import GuardrailAction, GuardrailRule, MetricRole
from experiments.models import Experiment, ExperimentMetric, Metric
from experiments.services.ground.guarding import checked
from experiments.services.library.metrics import register_exploratory

_NUMBERS = ("baseline", "baseline_sd", "mde", "required_improvement", "margin")


def replace(now: datetime, experiment: Experiment, plans: Sequence[MetricPlan]) -> None:
    """Make the planned metrics what the plans say; keys that nobody has declared become exploratory
    metrics.
    """
    _refuse_twice(experiment, plans)
    rows = [_row(now, experiment, plan, position) for position, plan in enumerate(plans)]
    experiment.planned_metrics.all().delete()
    for row in rows:
        checked(row, exclude=("experiment", "metric"))
        row.save()
    getattr(experiment, "_prefetched_objects_cache", {}).pop("planned_metrics", None)


def _row(
    now: datetime, experiment: Experiment, plan: MetricPlan, position: int
) -> ExperimentMetric:
    _refuse_unclear(experiment, plan)
    guardrail = plan.role == MetricRole.GUARDRAIL.value
    metric = register_exploratory(now, key=plan.metric)
    if guardrail:
        _refuse_without_margin(experiment, plan, metric)
    return ExperimentMetric(
        experiment=experiment,
        metric=metric,
        role=plan.role,
        position=position,
        baseline=plan.baseline,
        baseline_sd=plan.baseline_sd,
        mde=plan.mde,
        mde_kind=plan.mde_kind,
        required_improvement=plan.required_improvement,
        margin=plan.margin,
        margin_kind=plan.margin_kind,
        rule=plan.rule or (GuardrailRule.SAFE.value if guardrail else ""),
        action=plan.action or (GuardrailAction.STOP.value if guardrail else ""),
        covariate=plan.covariate,
        adjusted=plan.adjusted,
        worth_micro=plan.worth_micro,
    )


def _refuse_unclear(experiment: Experiment, plan: MetricPlan) -> None:
    subject = f"{experiment.key}, metric {plan.metric[:80]}"
    for name in _NUMBERS:
        value = getattr(plan, name)
        if value is not None and not math.isfinite(value):
            raise InvalidInput(
                f"{subject}: {name} must be a finite number",
                field=f"metrics.{plan.metric[:80]}.{name}",
            )


def _refuse_without_margin(experiment: Experiment, plan: MetricPlan, metric: Metric) -> None:
    """The table holds no guardrail without a margin. Whether the margin fits the metric is one of
    the design's rules.
    """
    found = margin_problem(metric.kind, metric.direction, plan.margin, plan.margin_kind)
    if found is not None and found.code == "margin_missing":
        message = f"{experiment.key}, guardrail {plan.metric[:80]}: {found.message}"
        raise InvalidInput(message, field=f"metrics.{plan.metric[:80]}.{found.field}")


def _refuse_twice(experiment: Experiment, plans: Sequence[MetricPlan]) -> None:
    uses = [(plan.metric, plan.role) for plan in plans]
    twice = sorted({use for use in uses if uses.count(use) > 1})
    if twice:
        raise InvalidInput(
            f"{experiment.key}: {twice[0][0][:80]} is planned twice as {twice[0][1]}",
            field="metrics",
        )
    if sum(plan.role == MetricRole.PRIMARY.value for plan in plans) > 1:
        raise InvalidInput(
            f"{experiment.key}: one primary metric decides, found several", field="metrics"
        )
