"""How large would it have to be? Asked without an experiment, from a terminal or a door; the answer
is the planner's.

A metric may be named by the key of one that is known here: then its kind, direction and window are
those of its definition, and what is not said of it is read from its last 28 days where there is
data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from analytics.core.ground.encoding import plain
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.kinds.base import Better, MarginKind
from analytics.core.planner import EffectKind, MetricInputs, Role, Rules, SizePlan, Traffic, plan
from analytics.readings.prefill import MetricPast, TrafficPast, metric_past, traffic_past
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.errors import InvalidInput
from experiments.core.units import is_unit_type
from experiments.models import Metric
from experiments.selectors.metrics import definition_of

MOST_METRICS = 50
UNNAMED_KIND = "proportion"


@dataclass(frozen=True, kw_only=True)
class MetricAsked:
    """One metric as it was asked about; None: as its definition has it, as it has been lately, or
    the usual.
    """

    metric: str
    role: str = "primary"
    kind: str | None = None
    direction: str | None = None
    baseline: float | None = None
    sd: float | None = None
    effect: float | None = None
    effect_kind: str = "relative"
    margin: float | None = None
    margin_kind: str = "points"
    required: bool = True
    correlation: float = 0.0
    design_effect: float = 1.0
    window_hours: float | None = None


@dataclass(frozen=True, kw_only=True)
class SizingQuestion:
    """The whole question. ``shares`` are the arms' weights, control first; ``share`` the part of
    all units that takes part.
    """

    metrics: tuple[MetricAsked, ...]
    shares: tuple[float, ...] = (1.0, 1.0)
    share: float = 1.0
    units_per_day: float | None = None
    alpha: float = 0.05
    power: float = 0.8
    looks: int = 1
    weeks: int | None = None
    clock_weeks: int = 1
    unit_type: str = "user"


@dataclass(frozen=True)
class SizingAnswer:
    """The plan, and what of it was read from the past."""

    plan: SizePlan
    pasts: Mapping[str, MetricPast]
    traffic: TrafficPast | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """What was read from the past, in words."""
        return (
            *(str(past) for past in self.pasts.values()),
            *([str(self.traffic)] if self.traffic is not None else []),
        )


def size(asked: SizingQuestion, now: datetime) -> SizingAnswer:
    """The plan of what was asked; refuses as input what cannot be."""
    if not 1 <= len(asked.metrics) <= MOST_METRICS:
        raise InvalidInput(
            f"metrics: 1 to {MOST_METRICS} are planned together, found {len(asked.metrics)}",
            "metrics",
        )
    if len(asked.shares) < 2:
        raise InvalidInput(
            f"shares: a control and at least one test arm, found {len(asked.shares)}", "shares"
        )
    if not is_unit_type(asked.unit_type):
        raise InvalidInput(
            f"unit_type: expected a lower-case word, found {asked.unit_type[:40]!r}", "unit_type"
        )
    known = _definitions(asked)
    pasts = _pasts(asked, known, now)
    seen = traffic_past(asked.unit_type, now) if asked.units_per_day is None and known else None
    with refusing("metrics"):
        metrics = tuple(
            _inputs(one, known.get(one.metric), pasts.get(one.metric)) for one in asked.metrics
        )
    with refusing(""):
        traffic = Traffic(
            units_per_day=asked.units_per_day if seen is None else seen.new_per_day,
            guessed=seen is not None,
            share=asked.share,
            control=asked.shares[0],
            tests=asked.shares[1:],
        )
        rules = Rules(
            alpha=asked.alpha,
            power=asked.power,
            looks=asked.looks,
            weeks=asked.weeks,
            clock_weeks=asked.clock_weeks,
        )
        return SizingAnswer(plan(metrics, traffic, rules), pasts, seen)


def document(answer: SizingAnswer) -> dict[str, Any]:  # Any: JSON
    """The answer as doors and terminals give it."""
    found: dict[str, Any] = plain(answer.plan)
    found["metrics"] = found.pop("rows")
    found["read_from"] = list(answer.sources)
    return found


@contextmanager
def refusing(field: str, prefix: str = "") -> Iterator[None]:
    """What the planner finds impossible, as a refusal of the input."""
    try:
        yield
    except ImpossiblePlan as impossible:
        raise InvalidInput(f"{prefix}{impossible}", field) from impossible


def _definitions(asked: SizingQuestion) -> Mapping[str, MetricDefinition]:
    rows = Metric.objects.filter(key__in=[one.metric for one in asked.metrics], current=True)
    return {row.key: definition_of(row) for row in rows}


def _pasts(
    asked: SizingQuestion, known: Mapping[str, MetricDefinition], now: datetime
) -> Mapping[str, MetricPast]:
    """Of the metrics that something is not said about. One asked about as another kind is another
    metric.
    """
    found: dict[str, MetricPast] = {}
    for one in asked.metrics:
        definition = known.get(one.metric)
        if (
            definition is None
            or one.kind not in (None, definition.kind.value)
            or not _incomplete(one, definition)
        ):
            continue
        past = metric_past(definition, asked.unit_type, now)
        if past is not None:
            found[one.metric] = past
    return found


def _incomplete(one: MetricAsked, definition: MetricDefinition) -> bool:
    return one.baseline is None or (one.sd is None and definition.kind.value != UNNAMED_KIND)


def _inputs(
    one: MetricAsked, definition: MetricDefinition | None, past: MetricPast | None
) -> MetricInputs:
    hours = one.window_hours
    if hours is None and definition is not None:
        hours = definition.window_hours
    return MetricInputs(
        key=one.metric,
        role=cast("Role", _one_of(one.role, ("primary", "secondary", "guardrail"), one, "role")),
        kind=one.kind or (definition.kind.value if definition is not None else UNNAMED_KIND),
        better=cast(
            "Better",
            _one_of(_direction(one, definition), ("increase", "decrease"), one, "direction"),
        ),
        baseline=past.baseline if one.baseline is None and past is not None else one.baseline,
        sd=past.sd if one.sd is None and past is not None else one.sd,
        effect=one.effect,
        effect_kind=cast(
            "EffectKind", _one_of(one.effect_kind, ("absolute", "relative"), one, "effect_kind")
        ),
        margin=one.margin,
        margin_kind=cast(
            "MarginKind",
            _one_of(one.margin_kind, ("points", "relative", "ms", "money"), one, "margin_kind"),
        ),
        required=one.required,
        correlation=one.correlation,
        design_effect=one.design_effect,
        window_days=(hours or 0.0) / 24,
    )


def _direction(one: MetricAsked, definition: MetricDefinition | None) -> str:
    """As said; else as defined; else guardrails rise to harm and everything else to the better. An
    effect's sign says it too.
    """
    if one.direction is not None:
        return one.direction
    if definition is not None:
        return definition.direction.value
    return "decrease" if one.role == "guardrail" or (one.effect or 0.0) < 0 else "increase"


def _one_of(value: str, allowed: tuple[str, ...], one: MetricAsked, field: str) -> str:
    if value not in allowed:
        raise InvalidInput(
            f"{one.metric[:80]}: {field} is one of {', '.join(allowed)}, found {value[:40]!r}",
            field,
        )
    return value
