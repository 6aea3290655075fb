"""The guardrails that ship: their margins and actions, and that each can be measured as planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.core.kinds import kind_of
from experiments.core.design.specs import MetricPlan
from experiments.core.errors import InvalidInput
from experiments.core.library.metrics import LIBRARY
from experiments.core.library.presets import BY_KEY, PRESETS, GuardrailPreset, plans_of
from experiments.core.types import Direction

METRICS = {metric.key: metric for metric in LIBRARY}


@pytest.mark.parametrize(
    ("key", "margin", "kind", "action"),
    [
        ("error_rate", 0.02, "points", "stop"),
        ("complaints", 0.15, "relative", "stop"),
        ("opt_out", 0.10, "relative", "stop"),
        ("latency_p95", 500.0, "ms", "hold"),
        ("cost_per_request", 0.20, "relative", "escalate"),
        ("cost_per_unit", 0.20, "relative", "escalate"),
    ],
)
def test_preset__margin_and_action__are_those_of_the_source(
    key: str, margin: float, kind: str, action: str
) -> None:
    plan = BY_KEY[key].plan()
    assert (plan.role, plan.margin, plan.margin_kind, plan.action, plan.rule) == (
        "guardrail",
        margin,
        kind,
        action,
        "safe",
    )


def test_presets__errors__are_failed_requests_and_fallbacks() -> None:
    assert METRICS[BY_KEY["error_rate"].metric].event_types == ("http_5xx", "ai_fallback")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_preset__its_metric__ships_gets_better_by_falling_and_takes_such_a_margin(
    preset: GuardrailPreset,
) -> None:
    metric = METRICS[preset.metric]
    assert metric.direction is Direction.DECREASE
    assert preset.margin_kind.value in kind_of(metric.kind.value).margins


def test_plans_of__keys_in_any_order__plans_each_but_what_is_planned_already() -> None:
    own = replace(BY_KEY["opt_out"].plan(), margin=0.05)
    assert [plan.metric for plan in plans_of(["opt_out", "error_rate"], [own])] == ["error_rate"]
    shown = MetricPlan("ai_opt_out", "secondary")
    assert [plan.metric for plan in plans_of(["opt_out", "error_rate"], [shown])] == [
        "error_rate",
        "ai_opt_out",
    ]


def test_plans_of__a_key_that_nobody_ships__refuses_naming_those_that_do() -> None:
    with pytest.raises(
        InvalidInput, match="'speed' does not ship; these do: error_rate, complaints"
    ):
        plans_of(["speed"])
