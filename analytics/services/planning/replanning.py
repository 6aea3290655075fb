"""Changing a plan that takes too long to one that its horizon can answer: one metric, one press."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from analytics.services.planning.planning import plan_sample_size
from experiments.core.design.specs import MetricPlan
from experiments.core.errors import Refused
from experiments.core.types import JSON, Actor, Item, MetricRole
from experiments.models import Evidence, Experiment
from experiments.services.drafts import drafts

_SHARED = [field.name for field in fields(MetricPlan) if field.name != "metric"]


@dataclass(frozen=True)
class Proposal:
    """What would do within the horizon: another ``mde`` or ``margin`` of one planned metric."""

    metric: str
    role: str
    field: str
    value: float
    label: str


def proposals(detail: JSON) -> tuple[Proposal, ...]:
    """One for each metric that takes longer than the horizon, and that some effect or margin would
    do for.
    """
    document: Mapping[str, Any] = detail if isinstance(detail, dict) else {}
    rows = document.get("metrics")
    return tuple(_proposed(rows if isinstance(rows, list) else [], document.get("horizon_weeks")))


def _proposed(rows: list[Mapping[str, Any]], horizon: object) -> Iterator[Proposal]:
    for row in rows:
        guardrail = row.get("role") == MetricRole.GUARDRAIL
        value = row.get("margin_in_reach") if guardrail else row.get("mde_relative")
        if row.get("within_reach") is False and isinstance(value, float) and value > 0:
            settled = rounded_up(value)
            thing = "a margin" if guardrail else "an effect"
            label = f"Plan {row['key']} for {thing} of {settled:.2g} in {horizon} weeks"
            yield Proposal(
                str(row["key"]), str(row["role"]), "margin" if guardrail else "mde", settled, label
            )


def rounded_up(value: float) -> float:
    """Two significant digits, never below: the horizon has to be enough."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / step - 1e-9) * step, 12)


def replan(actor: Actor, now: datetime, *, experiment_id: int, metric: str) -> Evidence:
    """Take the proposal for a metric into the plan, and compute the sample size again."""
    experiment = Experiment.objects.get(pk=experiment_id)
    evidence = experiment.evidence.filter(item=Item.SAMPLE_SIZE).first()
    found = next(
        (one for one in proposals(evidence.detail if evidence else None) if one.metric == metric),
        None,
    )
    if found is None:
        message = f"{experiment.key}: no other number is proposed for {metric[:80]!r}; compute the sample size and look again"
        raise Refused(message, field="metrics")
    plans = [
        _changed(
            MetricPlan(row.metric.key, **{name: getattr(row, name) for name in _SHARED}), found
        )
        for row in _rows(experiment)
    ]
    drafts.plan_metrics(actor, now, experiment_id=experiment_id, metrics=plans, reason=found.label)
    return plan_sample_size(actor, now, experiment_id=experiment_id)


def _rows(experiment: Experiment) -> Any:
    return experiment.planned_metrics.select_related("metric")


def _changed(plan: MetricPlan, found: Proposal) -> MetricPlan:
    if (plan.metric, plan.role) != (found.metric, found.role):
        return plan
    relative = {"mde_kind": "relative"} if found.field == "mde" else {}
    return replace(plan, **{found.field: found.value}, **relative)  # type: ignore[arg-type]  # fields by name
