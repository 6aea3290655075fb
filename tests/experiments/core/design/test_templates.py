"""The templates that ship: those of the sources, whole, valid, measured by metrics that ship, and
each with its numbers.
"""

from __future__ import annotations

import pytest

from analytics.core.kinds import kind_of
from experiments.core.design.allocation import counts
from experiments.core.design.design import Design, DesignMetric, DesignVariant, parse_thresholds
from experiments.core.design.policies import SHIPPED
from experiments.core.design.rules import problems
from experiments.core.design.specs import ExperimentSpec
from experiments.core.errors import InvalidInput
from experiments.core.library.metrics import LIBRARY
from experiments.core.library.templates import BY_KEY, TEMPLATES, Template, template_of
from experiments.core.types import MetricRole, Origin

METRICS = {metric.key: metric for metric in LIBRARY}
RULES = {policy.key: policy.rules for policy in SHIPPED}
SOURCES = {
    "matching_rerank_v1", "ai_coach_personalization", "spam_guard_v2", "dispute_router_ml",
    "new_embedding_model", "llm_model_comparison", "confidence_threshold", "cache_ttl", "rag_top_k", "criteria",
    "enrichment_model", "followup_timing", "prediction_threshold", "message_template",
    "lora_boost_test", "lora_boost_optimization", "recommendation_algo_v2",
    "prompt_few_shot", "assistant_model", "agent_config", "smart_routing", "claude_vs_gpt4",
    "aa_test", "geo_pilot",
}  # fmt: skip
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.key)


def _metric(plan) -> DesignMetric:
    of = METRICS[plan.metric]
    return DesignMetric(
        plan.metric, 1, of.kind.value, plan.role, of.direction.value, of.window_hours, mde=plan.mde, mde_kind=plan.mde_kind,
        required_improvement=plan.required_improvement, margin=plan.margin, margin_kind=plan.margin_kind,
        rule=plan.rule, action=plan.action,
    )  # fmt: skip


def design(spec: ExperimentSpec) -> Design:
    arms = tuple(
        DesignVariant(v.key or v.name.lower(), v.name, v.is_control, v.weight, v.config)
        for v in spec.variants
    )
    return Design(
        key=spec.key, origin=spec.origin.value, flag_key=spec.key, flag_type="object", unit_type=spec.unit_type, traffic=spec.traffic,
        variants=arms, metrics=tuple(_metric(plan) for plan in spec.metrics), policy_key=spec.policy_key,
        offline_thresholds=spec.offline_thresholds, min_sample_size=spec.min_sample_size, size_class=spec.size_class,
    )  # fmt: skip


def test_templates__every_one_of_the_sources_is_there_and_no_other() -> None:
    assert set(BY_KEY) == SOURCES
    with pytest.raises(InvalidInput, match="'rag_top_kk' does not ship"):
        template_of("rag_top_kk")


@each
def test_template__its_design__may_be_launched_under_its_policy(template: Template) -> None:
    assert problems(design(template.spec), RULES[template.spec.policy_key], for_launch=True) == []


@each
def test_template__its_metrics__ship_one_decides_and_margins_are_of_a_kind_they_take(
    template: Template,
) -> None:
    deciding = [plan for plan in template.spec.metrics if plan.role == MetricRole.PRIMARY]
    assert len(deciding) == (template.spec.origin is Origin.LIVE)
    assert all(plan.mde for plan in deciding)
    for plan in template.spec.metrics:
        if plan.role == MetricRole.GUARDRAIL:
            assert plan.margin_kind in kind_of(METRICS[plan.metric].kind.value).margins
    assert template.spec.hypothesis and template.spec.description


@pytest.mark.parametrize(
    ("key", "share", "score", "least"),
    [
        ("matching_rerank_v1", 200, "ndcg@10", 0.50),
        ("ai_coach_personalization", 100, "win_rate", 0.40),
        ("spam_guard_v2", 150, "roc_auc", 0.90),
        ("dispute_router_ml", 100, "macro_f1", 0.65),
    ],
)
def test_ai_feature__test_arm_and_threshold__are_those_of_the_plan(
    key: str, share: int, score: str, least: float
) -> None:
    spec = BY_KEY[key].spec
    assert counts([v.weight for v in spec.variants], spec.traffic) == (share, share)
    (threshold,) = parse_thresholds(spec.offline_thresholds)
    assert (threshold.metric, threshold.op, threshold.value) == (score, ">=", least)


def test_criteria__thresholds__have_units_and_the_improvement_lies_below_the_effect() -> None:
    plans = {plan.metric: plan for plan in BY_KEY["criteria"].spec.metrics}
    decides = plans["user_satisfaction"]
    assert (decides.required_improvement, decides.mde_kind) == (0.05, "absolute")
    assert decides.mde is not None and decides.required_improvement < decides.mde
    margins = {
        plan.metric: (plan.margin, plan.margin_kind)
        for plan in plans.values()
        if plan.role == MetricRole.GUARDRAIL
    }
    assert margins == {
        "latency_mean": (0.10, "relative"),
        "error_rate": (0.02, "points"),
        "cost_per_request": (0.20, "relative"),
    }


def test_spec_for__own_name__takes_a_key_from_it_and_what_is_changed_wins() -> None:
    template = BY_KEY["rag_top_k"]
    assert (template.spec_for().key, template.spec_for("Deeper retrieval").key) == ("rag_top_k", "")
    spec = template.spec_for(
        "Deeper retrieval", "deeper", {"traffic": 300, "primary_metric": "task_completion"}
    )
    assert (spec.key, spec.traffic, spec.metrics, spec.primary_metric, spec.template) == (
        "deeper",
        300,
        (),
        "task_completion",
        "rag_top_k",
    )
    assert spec.variants == template.spec.variants
    with pytest.raises(InvalidInput, match="no field 'colour'"):
        template.spec_for("x", changes={"colour": "red"})
