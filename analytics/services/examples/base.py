"""What an example is: a plan, what is true, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from experiments.core.design.design import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.library.presets import BY_KEY as PRESETS
from experiments.core.library.templates import template_of
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
class RequestProfile:
    """A unit's requests to the AI: what each costs and takes on average, and what people think of
    the answers.

    ``cost_micro`` in USD micros, ``latency_ms`` in milliseconds; single requests spread around
    both. With a ``model`` the cost is metered: it goes to the costs door with its ``tokens`` in and
    out, and its money, unless the price table knows the model (``priced``). ``times`` is the mean
    number of requests a unit makes. ``useful``: the share of the labelled answers that people find
    useful; ``edited``: the share that they edit.
    """

    cost_micro: int
    latency_ms: int
    model: str = ""
    tokens: tuple[int, int] = (0, 0)
    priced: bool = False
    times: float = 1.0
    useful: float | None = None
    edited: float = 0.0


@dataclass(frozen=True)
class ValueProfile:
    """What an event of a type carries as its value: mean and standard deviation, and the range it
    stays in.
    """

    mean: float
    sd: float
    low: float = 0.0
    high: float = float("inf")


@dataclass(frozen=True)
class Example:
    """One example: its plan, its truth, its past.

    Per arm: ``truth`` is the chance that a unit has at least one event of a type, ``counts`` how
    many events of a type a unit has on average, ``measured`` the values that events of a type
    carry, ``rated`` the chance that a unit's observation of a metric is 1 rather than 0 (a third of
    the units are observed), ``asked`` its requests to the AI. ``past`` is how many events of a type
    a unit had on average in the two weeks before it met the experiment; active units stay active,
    so their past predicts what they do. ``languages`` are the covariate ``language`` with its
    shares. ``drift`` is how far, in standard deviations, the embeddings of requests move in the
    last week.

    ``units_per_day`` counts units that meet the experiment at its planned share. ``attended_from``:
    from that age on beat is there in the past too, so that every day is analysed and decided;
    without it beat finds the history whole. ``lesson`` is what the owner writes when harm has
    stopped it.
    """

    spec: ExperimentSpec
    stage: Status
    truth: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, ValueProfile]] = field(default_factory=dict)
    rated: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    asked: Mapping[str, RequestProfile] = field(default_factory=dict)
    past: Mapping[str, float] = field(default_factory=dict)
    languages: Mapping[str, float] = field(default_factory=dict)
    drift: float = 0.0
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


def planned(
    template: str, *metrics: MetricPlan, **changes: Any
) -> ExperimentSpec:  # Any: fields of the spec
    """A template's spec with plans whose baselines are known here; tagged as the demo's."""
    spec = template_of(template).spec
    tags = (*changes.pop("tags", ()), "demo")
    arms = tuple(replace(arm, key=arm.key or arm.name) for arm in spec.variants)
    return replace(spec, variants=arms, metrics=metrics, tags=tags, template=template, **changes)


def primary(
    metric: str, baseline: float, mde: float, sd: float | None = None, *, adjusted: bool = False
) -> MetricPlan:
    """What decides: today's value, and the relative change worth finding; ``adjusted``: by the
    estimate that uses the past.
    """
    return MetricPlan(
        metric,
        MetricRole.PRIMARY.value,
        baseline=baseline,
        baseline_sd=sd,
        mde=mde,
        mde_kind="relative",
        adjusted=adjusted,
    )


def guarded(preset: str, baseline: float, sd: float | None = None) -> MetricPlan:
    """A guardrail that ships, by its key, with today's value; a promotion does not wait for its
    safety.
    """
    return replace(
        PRESETS[preset].plan(),
        baseline=baseline,
        baseline_sd=sd,
        rule=GuardrailRule.NO_BREACH.value,
    )


def guardrail(
    metric: str,
    baseline: float,
    margin: float,
    kind: MarginKind,
    action: GuardrailAction = GuardrailAction.STOP,
    sd: float | None = None,
) -> MetricPlan:
    """A guardrail whose breach acts, and whose safety a promotion does not wait for."""
    return MetricPlan(
        metric, MetricRole.GUARDRAIL.value, baseline=baseline, baseline_sd=sd, margin=margin, margin_kind=kind.value,
        rule=GuardrailRule.NO_BREACH.value, action=action.value,
    )  # fmt: skip
