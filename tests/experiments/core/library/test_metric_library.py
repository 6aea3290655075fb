"""The shipped metrics: each can be measured, each that the plans name is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.design.metric_definitions import MetricDefinition, problems
from experiments.core.library.metrics import LIBRARY, exploratory
from experiments.core.types import Direction, MetricKind

NAMED_BY_PLANS = {
    "matching": ("apply_rate", "apply_conversion", "mrr_online"),
    "coach": ("ai_opt_out", "csat", "human_rating"),
    "trust": ("scam_complaints_per_1k_messages", "median_ttr", "routing_accuracy"),
    "guardrails": ("error_rate", "complaints_per_1k_sessions", "latency_p95", "cost_per_request"),
    "operations": (
        "avg_similarity",
        "latency",
        "cost",
        "user_satisfaction",
        "handoff_rate",
        "task_completion",
        "cache_hit_rate",
        "memory_usage",
    ),
    "booking": ("booked",),
    "recommending": (
        "watch_completion",
        "click_through",
        "engagement_time",
        "rating_given",
        "add_to_watchlist",
    ),
    "assistant": (
        "resolution_rate",
        "satisfaction_score",
        "conversion_rate",
        "response_accuracy",
        "escalation_rate",
        "response_time",
        "token_usage",
        "first_contact_resolution",
        "context_relevance",
        "response_quality",
    ),
}


def test_library__every_metric__can_be_measured() -> None:
    assert {metric.key: problems(metric) for metric in LIBRARY if problems(metric)} == {}


def test_library__keys__stand_once() -> None:
    keys = [metric.key for metric in LIBRARY]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("plan", NAMED_BY_PLANS)
def test_library__metrics_that_plans_name__are_there(plan: str) -> None:
    shipped = {metric.key for metric in LIBRARY}
    assert set(NAMED_BY_PLANS[plan]) <= shipped


def test_library__things_nobody_wants_more_of__are_better_when_they_fall() -> None:
    falling = {metric.key for metric in LIBRARY if metric.direction is Direction.DECREASE}
    assert {
        "ai_opt_out",
        "ai_error_units",
        "complained",
        "escalation_rate",
        "latency_p95",
        "cost_per_request",
        "median_ttr",
    } <= falling
    assert not falling & {"apply_conversion", "booked", "csat", "resolution_rate"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_types": ()}, "event_types_missing"),
        ({"aggregation": "sum"}, "proportion_aggregation"),
        ({"cap": 3.0}, "proportion_cap"),
        ({"window_hours": 0}, "window_out_of_range"),
        ({"kind": MetricKind.RATIO}, "denominator_missing"),
    ],
)
def test_problems__a_definition_nobody_could_measure__is_named(
    change: dict[str, object], code: str
) -> None:
    good = next(metric for metric in LIBRARY if metric.key == "apply_conversion")
    assert code in {problem.code for problem in problems(replace(good, **change))}


def test_exploratory__an_undeclared_name__is_a_mean_that_decides_nothing() -> None:
    metric: MetricDefinition = exploratory("smile_rate")
    assert metric.exploratory
    assert (metric.kind, metric.source, metric.aggregation) == (
        MetricKind.MEAN,
        "observation",
        "mean",
    )
