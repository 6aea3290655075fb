"""What an example is: a plan, what is true, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from experiments.core.design import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.templates import template_of
from experiments.core.types import GuardrailAction, GuardrailRule, MarginKind, MetricRole, Status


@dataclass(frozen=True)
class Score:
    """A recorded offline evaluation of one arm."""

    variant: str
    metric: str
    value: float
    lower: float
    upper: float
    n: int
    dataset: str


@dataclass(frozen=True)
class Asked:
    """What asking the AI once costs and takes on average: USD micros, milliseconds; single requests spread by half."""

    cost_micro: int
    latency_ms: int


@dataclass(frozen=True)
class Example:
    """One example: its plan, its truth, its past.

    ``truth`` gives, per arm, the chance that a unit has at least one event of a type, ``rated`` the chance that its
    observation of a metric is 1 rather than 0, ``asked`` what its request to the AI costs and takes.
    ``units_per_day`` counts units that meet the experiment at its planned share. ``attended_from``: from that age on
    beat is there in the past too, so that every day is analysed and decided; without it beat finds the history whole.
    ``lesson`` is what the owner writes when harm has stopped it.
    """

    spec: ExperimentSpec
    stage: Status
    truth: Mapping[str, Mapping[str, float]]
    rated: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)
    age: timedelta = timedelta(0)
    dark_hours: int = 0
    units_per_day: int = 0
    attended_from: timedelta | None = None
    lesson: str = ""
    scores: tuple[Score, ...] = ()

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def control(self) -> VariantSpec:
        """The arm whose truth holds for everybody else, too."""
        return next(variant for variant in self.spec.variants if variant.is_control)


def planned(template: str, *metrics: MetricPlan, **changes: Any) -> ExperimentSpec:  # Any: fields of the spec
    """A template's spec with plans whose baselines are known here; tagged as the demo's."""
    spec = template_of(template).spec
    tags = (*changes.pop("tags", ()), "demo")
    arms = tuple(replace(arm, key=arm.key or arm.name) for arm in spec.variants)
    return replace(spec, variants=arms, metrics=metrics, tags=tags, template=template, **changes)


def primary(metric: str, baseline: float, mde: float, sd: float | None = None) -> MetricPlan:
    """What decides: today's value, and the relative change worth finding."""
    return MetricPlan(metric, MetricRole.PRIMARY.value, baseline=baseline, baseline_sd=sd, mde=mde, mde_kind="relative")


def guardrail(
    metric: str, baseline: float, margin: float, kind: MarginKind, action: GuardrailAction = GuardrailAction.STOP, sd: float | None = None
) -> MetricPlan:
    """A guardrail whose breach acts, and whose safety a promotion does not wait for."""
    return MetricPlan(
        metric, MetricRole.GUARDRAIL.value, baseline=baseline, baseline_sd=sd, margin=margin, margin_kind=kind.value,
        rule=GuardrailRule.NO_BREACH.value, action=action.value,
    )  # fmt: skip
