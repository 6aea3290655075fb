"""The templates that ship, for tools: what ``template`` of a new experiment may name, and what is
in it.
"""

from __future__ import annotations

from collections.abc import Collection

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api.bodies import ExperimentBody
from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.library.templates import TEMPLATES, Template, template_of
from experiments.core.life.ramping import percent
from experiments.core.types import Scope
from experiments.http.doors import Door


class Templates(Door):
    """``GET`` lists what ``template`` of a new experiment may name: policy, share, arms, metrics
    and guardrails.
    """

    scopes = (Scope.READ, Scope.MANAGEMENT)

    @extend_schema(operation_id="templates", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"templates": [_shown(template) for template in TEMPLATES]})


_CALLED = {
    "flag": "flag_key",
    "policy": "policy_key",
    "target_percentage": "traffic",
    "traffic_allocation": "traffic",
    "guardrails": "metrics",
}
"""Fields of the body that a spec calls otherwise; every other one has the same name."""


def asked_for(body: ExperimentBody, sent: Collection[str]) -> ExperimentSpec:
    """The spec of a new experiment: the body's, or its template's with every field that was sent in
    place of the template's.

    Metrics are one plan: who sends any of them, or guardrails, sends the whole plan.
    """
    spec = body.spec()
    if not body.template:
        return spec
    changed = {_CALLED.get(name, name) for name in sent} - {"name", "key", "template"}
    return template_of(body.template).spec_for(
        body.name, body.key, {name: getattr(spec, name) for name in changed}
    )


def _shown(template: Template) -> dict[str, object]:
    spec = template.spec
    return {
        "key": template.key,
        "name": spec.name,
        "description": spec.description,
        "advice": template.advice,
        "experiment_type": spec.experiment_type,
        "policy": spec.policy_key,
        "unit_type": spec.unit_type,
        "share_of_units": percent(spec.traffic),
        "hypothesis": spec.hypothesis,
        "expected_effect": spec.expected_effect,
        "offline_thresholds": spec.offline_thresholds or [],
        "min_sample_size": spec.min_sample_size,
        "size_class": spec.size_class,
        "auto_promote": spec.auto_promote,
        "variants": [_variant(variant) for variant in spec.variants],
        "metrics": [_metric(plan) for plan in spec.metrics],
    }


def _variant(variant: VariantSpec) -> dict[str, object]:
    return {
        "name": variant.name,
        "weight": variant.weight / 1000,
        "is_control": variant.is_control,
        "config": variant.config,
    }


def _metric(plan: MetricPlan) -> dict[str, object]:
    """What the plan says of a metric; where it says nothing, nothing."""
    said = {
        "metric": plan.metric,
        "role": plan.role,
        "mde": plan.mde,
        "mde_kind": plan.mde_kind if plan.mde is not None else None,
        "required_improvement": plan.required_improvement or None,
        "margin": plan.margin,
        "margin_kind": plan.margin_kind or None,
        "action": plan.action or None,
        "rule": plan.rule or None,
    }
    return {name: value for name, value in said.items() if value is not None}
