"""The guardrails that ship: a metric, how much worse it may get, and what happens when it does.

Forms, templates and the API offer them by key. A rate of errors, complaints or opt-outs beyond its
margin stops the arm; slow answers are a degradation, which holds the ramp and a promotion and tells
people; cost is put to a person unless the gain on the primary metric pays for it, and is guarded
per request and per unit. The cap on what an experiment may cost in all is a field of the experiment
(``budget_micro``), and stops it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from experiments.core.design.specs import MetricPlan
from experiments.core.errors import InvalidInput
from experiments.core.types import GuardrailAction, GuardrailRule, MarginKind, MetricRole


@dataclass(frozen=True)
class GuardrailPreset:
    """One of them. ``metric`` is a key of the library; ``margin`` in the unit of its kind: .02
    points, .15 relative, 500 ms.
    """

    key: str
    name: str
    metric: str
    margin: float
    margin_kind: MarginKind
    action: GuardrailAction
    sentence: str

    def plan(self) -> MetricPlan:
        """Its planned use; what today's value is nobody can ship."""
        return MetricPlan(
            metric=self.metric,
            role=MetricRole.GUARDRAIL.value,
            margin=self.margin,
            margin_kind=self.margin_kind.value,
            rule=GuardrailRule.SAFE.value,
            action=self.action.value,
        )


_STOP, _HOLD, _ESCALATE = GuardrailAction.STOP, GuardrailAction.HOLD, GuardrailAction.ESCALATE
_POINTS, _RELATIVE, _MS = MarginKind.POINTS, MarginKind.RELATIVE, MarginKind.MILLISECONDS

PRESETS: tuple[GuardrailPreset, ...] = (
    GuardrailPreset("error_rate", "Error rate", "error_rate", 0.02, _POINTS, _STOP, "HTTP 5xx and AI fallbacks: +2 p.p. stops the arm."),
    GuardrailPreset(
        "complaints", "AI complaints", "complaints_per_1k_sessions", 0.15, _RELATIVE, _STOP, "Complaints per session: +15 % stops the arm."
    ),
    GuardrailPreset("opt_out", "AI opt-out", "ai_opt_out", 0.10, _RELATIVE, _STOP, "Units that switch the AI off: +10 % stops the arm."),
    GuardrailPreset(
        "latency_p95", "Latency p95", "latency_p95", 500.0, _MS, _HOLD, "+500 ms counts as degraded: ramp and promotion are held."
    ),
    GuardrailPreset(
        "cost_per_request", "Cost per request", "cost_per_request", 0.20, _RELATIVE, _ESCALATE, "+20 % asks a person, unless the gain pays."
    ),
    GuardrailPreset(
        "cost_per_unit", "Cost per unit", "cost_per_unit", 0.20, _RELATIVE, _ESCALATE, "The same for a unit: more requests cost more, too."
    ),
)  # fmt: skip
"""In the order in which they are offered."""

BY_KEY: Mapping[str, GuardrailPreset] = {preset.key: preset for preset in PRESETS}


def plans_of(keys: Collection[str], planned: Collection[MetricPlan] = ()) -> tuple[MetricPlan, ...]:
    """The plans of these presets, but of none whose metric is planned as a guardrail already;
    refuses a key that nobody ships.
    """
    unknown = sorted(set(keys) - BY_KEY.keys())
    if unknown:
        raise InvalidInput(
            f"guardrails: {unknown[0][:80]!r} does not ship; these do: {', '.join(BY_KEY)}",
            "guardrails",
        )
    own = {plan.metric for plan in planned if plan.role == MetricRole.GUARDRAIL.value}
    return tuple(
        preset.plan() for preset in PRESETS if preset.key in keys and preset.metric not in own
    )
