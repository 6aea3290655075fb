"""What management doors are sent: structs, and from them the specs that services take.

One canonical shape; two spellings of shares. A variant's is ``weight`` (fraction) or
``traffic_allocation`` (percent), an experiment's ``traffic_allocation`` (fraction) or
``target_percentage`` (percent). Sending both, or shares that do not make up the whole, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from experiments.core.design.allocation import to_thousandths
from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.errors import InvalidInput
from experiments.core.library.presets import plans_of
from experiments.core.types import JSON, THOUSANDTHS, FlagType
from experiments.core.units import VISITOR
from experiments.http.parsing import MAX_STRING

Text = Annotated[str, Meta(max_length=MAX_STRING)]
Json = Any  # Any: JSON as it was parsed; the services check what it must be
_TOLERANCE = Decimal("0.0001")
_FRACTION = "a fraction above 0 and up to 1"


class VariantBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    key: Text = ""
    description: Text = ""
    is_control: bool = False
    weight: float | None = None
    traffic_allocation: float | None = None
    config: Json = None
    value: Json = None
    model_hash: Text = ""


class MetricBody(msgspec.Struct, forbid_unknown_fields=True):
    """A metric's planned use; a guardrail needs ``margin`` and ``margin_kind``.

    ``worth_micro`` of the primary metric: what one unit of its outcome is worth, in USD micros;
    only then may a gain pay for a cost that breaches its margin.
    """

    metric: Text
    role: Text = "secondary"
    baseline: float | None = None
    baseline_sd: float | None = None
    mde: float | None = None
    mde_kind: Text = "relative"
    required_improvement: float = 0.0
    margin: float | None = None
    margin_kind: Text = ""
    rule: Text = ""
    action: Text = ""
    covariate: Text = ""
    adjusted: bool = False
    worth_micro: int | None = None

    def plan(self) -> MetricPlan:
        return MetricPlan(**msgspec.structs.asdict(self))


class RampStepBody(msgspec.Struct, forbid_unknown_fields=True):
    """A ramp step: its fraction of all units, and the hours of serving and units met that going on
    waits for.
    """

    traffic_allocation: float
    min_hours: int = 0
    min_units: int = 0


class ExperimentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new experiment. Only the name must be there; without variants it is a draft that cannot
    start yet.

    ``unit_type`` is ``user`` where it is not sent, or ``visitor`` (the user, else the session) in a
    call that states ``target_percentage``: applications that create experiments in that way ask
    with either id. ``template`` is the key of one that ships: what is not sent is as it says.
    ``guardrails`` are keys of those that ship; one whose metric is in ``metrics`` as a guardrail is
    planned as stated there.
    """

    name: Text
    key: Text = ""
    template: Text = ""
    description: Text = ""
    experiment_type: Text = "feature"
    tags: list[Text] = []
    flag: Text = ""
    flag_type: FlagType = FlagType.OBJECT
    client_visible: bool = False
    unit_type: Text = ""
    targeting: Json = None
    traffic_allocation: float | None = None
    target_percentage: float | None = None
    ramp: list[RampStepBody] = []
    variants: list[VariantBody] = []
    policy: Text = ""
    primary_metric: Text = ""
    secondary_metrics: list[Text] = []
    metrics: list[MetricBody] = []
    guardrails: list[Text] = []
    hypothesis: Text = ""
    expected_effect: Text = ""
    prd_url: Text = ""
    prd_text: str = ""
    offline_thresholds: Json = None
    confidence_level: float = 0.95
    power: float = 0.8
    min_sample_size: int = 100
    size_class: Text = ""
    dark_mode: Text = "shadow"
    auto_promote: bool = False
    time_zone: Text = "UTC"
    arrival_grace_seconds: int = 10
    arrival_grace_counts: bool = False
    planned_start: datetime | None = None
    planned_end: datetime | None = None
    budget_micro: int | None = None
    breakdowns: Json = None

    def spec(self) -> ExperimentSpec:
        """The spec that the service takes; shares in thousandths."""
        planned = tuple(metric.plan() for metric in self.metrics)
        return ExperimentSpec(
            name=self.name,
            variants=variant_specs(self.variants),
            key=self.key,
            description=self.description,
            experiment_type=self.experiment_type,
            tags=tuple(self.tags),
            flag_key=self.flag,
            flag_type=self.flag_type,
            client_visible=self.client_visible,
            unit_type=self.unit_type or ("user" if self.target_percentage is None else VISITOR),
            targeting=self.targeting,
            traffic=traffic_of(
                self.traffic_allocation, self.target_percentage, default=THOUSANDTHS
            ),
            ramp=ramp_steps(self.ramp),
            policy_key=self.policy,
            primary_metric=self.primary_metric,
            secondary_metrics=tuple(self.secondary_metrics),
            metrics=(*planned, *plans_of(self.guardrails, planned)),
            hypothesis=self.hypothesis,
            expected_effect=self.expected_effect,
            prd_url=self.prd_url,
            prd_text=self.prd_text,
            offline_thresholds=self.offline_thresholds,
            confidence_level=level(self.confidence_level, "confidence_level"),
            power=level(self.power, "power"),
            min_sample_size=self.min_sample_size,
            size_class=self.size_class,
            dark_mode=self.dark_mode,
            auto_promote=self.auto_promote,
            time_zone=self.time_zone,
            arrival_grace_seconds=self.arrival_grace_seconds,
            arrival_grace_counts=self.arrival_grace_counts,
            planned_start=self.planned_start,
            planned_end=self.planned_end,
            budget_micro=self.budget_micro,
            breakdowns=self.breakdowns,
        )


class ExperimentPatch(msgspec.Struct, forbid_unknown_fields=True):
    """Changes by name; what is left out stays. ``reason`` is wanted for amendments after launch."""

    reason: Text = ""
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    notes: Text | UnsetType = UNSET
    tags: list[Text] | UnsetType = UNSET
    owner: int | UnsetType = UNSET
    collaborators: list[int] | UnsetType = UNSET
    experiment_type: Text | UnsetType = UNSET
    flag: Text | None | UnsetType = UNSET
    layer: Text | None | UnsetType = UNSET
    unit_type: Text | UnsetType = UNSET
    targeting: Json | UnsetType = UNSET
    traffic_allocation: float | UnsetType = UNSET
    target_percentage: float | UnsetType = UNSET
    ramp: list[RampStepBody] | UnsetType = UNSET
    variants: list[VariantBody] | UnsetType = UNSET
    metrics: list[MetricBody] | UnsetType = UNSET
    policy: Text | UnsetType = UNSET
    hypothesis: Text | UnsetType = UNSET
    expected_effect: Text | UnsetType = UNSET
    prd_url: Text | UnsetType = UNSET
    prd_text: str | UnsetType = UNSET
    offline_thresholds: Json | UnsetType = UNSET
    confidence_level: float | UnsetType = UNSET
    power: float | UnsetType = UNSET
    min_sample_size: int | UnsetType = UNSET
    size_class: Text | UnsetType = UNSET
    dark_mode: Text | UnsetType = UNSET
    auto_promote: bool | UnsetType = UNSET
    time_zone: Text | UnsetType = UNSET
    arrival_grace_seconds: int | UnsetType = UNSET
    arrival_grace_counts: bool | UnsetType = UNSET
    planned_start: datetime | None | UnsetType = UNSET
    planned_end: datetime | None | UnsetType = UNSET
    budget_micro: int | None | UnsetType = UNSET
    breakdowns: Json | UnsetType = UNSET

    def changes(self) -> dict[str, object]:
        """Field → value for the editing service; shares in thousandths, levels as decimal text."""
        sent = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value is not UNSET
        }
        changed = {name: value for name, value in sent.items() if name not in _ELSEWHERE}
        if "traffic_allocation" in sent or "target_percentage" in sent:
            changed["traffic"] = traffic_of(
                sent.get("traffic_allocation"), sent.get("target_percentage"), default=THOUSANDTHS
            )
        if self.ramp is not UNSET:
            changed["ramp"] = ramp_steps(self.ramp)
        changed |= {
            name: level(sent[name], name) for name in ("confidence_level", "power") if name in sent
        }
        return changed


_ELSEWHERE = frozenset(
    {"reason", "traffic_allocation", "target_percentage", "ramp", "variants", "metrics"}
)


def ramp_steps(steps: Sequence[RampStepBody]) -> list[JSON]:
    """The steps as the core reads them, shares in thousandths; whether they rise to the planned
    share is the design's rule.
    """
    shares = [
        _share(step.traffic_allocation, 1, f"ramp[{i}].traffic_allocation", _FRACTION)
        for i, step in enumerate(steps)
    ]
    return [
        {"share": share, "hours": step.min_hours, "units": step.min_units}
        for share, step in zip(shares, steps, strict=True)
    ]


def variant_specs(variants: Sequence[VariantBody]) -> tuple[VariantSpec, ...]:
    """The arms with their weights in thousandths; equal weights when none is given."""
    weights = _weights(variants)
    return tuple(
        VariantSpec(
            name=variant.name,
            weight=weight,
            key=variant.key,
            description=variant.description,
            is_control=variant.is_control,
            config=variant.config,
            value=variant.value,
            model_hash=variant.model_hash,
        )
        for variant, weight in zip(variants, weights, strict=True)
    )


def _weights(variants: Sequence[VariantBody]) -> list[int]:
    for index, variant in enumerate(variants):
        if variant.weight is not None and variant.traffic_allocation is not None:
            message = f"variants[{index}]: send weight (fraction) or traffic_allocation (percent), not both"
            raise InvalidInput(message, f"variants[{index}].weight")
    fractions = [variant.weight for variant in variants if variant.weight is not None]
    percents = [
        variant.traffic_allocation for variant in variants if variant.traffic_allocation is not None
    ]
    if not fractions and not percents:
        return _equal(len(variants))
    if len(fractions) == len(variants):
        return _thousandths(fractions)
    if len(percents) == len(variants):
        return _from_percents(percents)
    raise InvalidInput(
        "variants: give every variant its share, all as weight (fractions) or all as traffic_allocation (percent)",
        "variants",
    )


def _equal(count: int) -> list[int]:
    share = Decimal(1) / count if count else Decimal(1)
    return to_thousandths([share] * count) if count else []


def _thousandths(shares: Sequence[float | Decimal]) -> list[int]:
    """Shares as the table keeps them; a refusal names the place in the body, not in the
    arithmetic.
    """
    try:
        return to_thousandths(shares)
    except InvalidInput as error:
        raise InvalidInput(
            f"variants: {error.message}", error.field.replace("weights", "variants")
        ) from error


def _from_percents(percents: Sequence[float]) -> list[int]:
    exact = [Decimal(str(percent)) for percent in percents]
    total = sum(exact, Decimal(0))
    if abs(total - 100) > _TOLERANCE:
        raise InvalidInput(
            f"variants: traffic_allocation sums to {total:f}; expected 100 (percent)", "variants"
        )
    return _thousandths([part / total for part in exact])


def traffic_of(fraction: float | None, percent: float | None, *, default: int) -> int:
    """The share of all units in thousandths, from either spelling; at least one thousandth."""
    if fraction is not None and percent is not None:
        message = "send traffic_allocation (fraction) or target_percentage (percent) of the experiment, not both"
        raise InvalidInput(message, "traffic_allocation")
    if fraction is not None:
        return _share(fraction, 1, "traffic_allocation", _FRACTION)
    return (
        default
        if percent is None
        else _share(percent, 100, "target_percentage", "a percentage above 0 and up to 100")
    )


def _share(value: float, whole: int, field: str, wanted: str) -> int:
    if not 0 < value <= whole:
        raise InvalidInput(f"{field}: expected {wanted}, found {value:g}", field)
    return max(1, round(Decimal(str(value)) * THOUSANDTHS / whole))


def level(value: float, field: str) -> str:
    """A confidence level or power as the decimal text that the table keeps."""
    if not 0.5 < value < 1:
        raise InvalidInput(
            f"{field}: expected a fraction above 0.5 and below 1, found {value:g}", field
        )
    return f"{value:.3f}"
