"""What a client hands to an application: values of its own, each with the reason and where it came
from.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from experiments.core.errors import InvalidInput
from experiments.core.serving.asking import Asked, asked
from experiments.core.serving.assignment import Assignment
from experiments.core.types import JSON, Reason
from experiments.core.units import check_unit_id

T = TypeVar("T")

EXPLANATIONS: Mapping[Reason, str] = {
    Reason.UNKNOWN_FLAG: "there is no flag of this name, so the caller's default stands",
    Reason.SWITCHED_OFF: "the flag is switched off, so it has its default",
    Reason.OVERRIDE: "an override shows this variant to this unit",
    Reason.EXCLUDED: "the unit is on an exclusion list, so it is part of no experiment",
    Reason.UNIT_MISSING: "the experiment randomises another type of unit than the request names",
    Reason.NOT_TARGETED: "the attributes do not fit the targeting",
    Reason.HOLDOUT: "the unit is held out of all experiments",
    Reason.EXPERIMENT: "the unit's bucket belongs to this variant",
    Reason.DARK_LAUNCH: "the unit's bucket is part of the dark launch",
    Reason.PREVIEW: "a test key is shown an experiment that does not run yet",
    Reason.HOLDBACK: "the unit is held back from a variant that was rolled out",
    Reason.ROLLOUT: "a variant was rolled out to this audience",
    Reason.NOT_IN_EXPERIMENT: "the unit's bucket belongs to no variant",
    Reason.ARM_STOPPED: "the unit's variant was switched off alone, since it did harm",
    Reason.NOT_SERVING: "the experiment serves nobody now",
    Reason.DEFAULT: "nothing else decides, so the flag has its default",
}


@dataclass(frozen=True)
class Evaluation(Generic[T]):
    """A flag's value and why it is that one. With an ``error`` the value is the caller's default.

    ``reason`` is the step that decided, ``"error"`` when none did. ``error`` is one of
    OpenFeature's codes.
    """

    value: T
    reason: str
    variant: str | None = None
    experiment: str | None = None
    metadata: Mapping[str, str | int | bool] = field(default_factory=dict)
    error: str | None = None
    message: str = ""


@dataclass(frozen=True)
class AssignedVariant:
    """The variant of an experiment that a unit is served; ``config`` is the caller's to change."""

    experiment: str
    key: str
    name: str
    is_control: bool
    config: dict[str, JSON]
    value: JSON
    reason: str


def assigned(answer: Assignment) -> AssignedVariant | None:
    """The variant in an answer, if it is one."""
    served = answer.served
    if served.variant is None or served.experiment is None:
        return None
    config = served.config or {}
    return AssignedVariant(
        experiment=served.experiment,
        key=served.variant,
        name=served.variant_name or served.variant,
        is_control=served.is_control,
        config={name: own(value) for name, value in config.items()},
        value=own(served.value),
        reason=served.reason.value,
    )


def as_json(answer: Assignment, units: Mapping[str, str], stale: bool) -> dict[str, JSON]:
    """An answer as ``POST /api/v1/assignments`` writes it."""
    served = answer.served
    metadata: dict[str, JSON] = {**served.metadata, **({"stale": True} if stale else {})}
    return {
        "unit": answer.unit_id or units.get("user") or next(iter(units.values()), None),
        "experiment": served.experiment,
        "flag": served.flag,
        "variant": served.variant,
        "config": own(served.config),
        "value": own(served.value),
        "bucket": answer.bucket,
        "reason": served.reason.value,
        "stage": None if served.stage is None else served.stage.value,
        "shadow": served.shadow,
        "metadata": metadata,
    }


def own(value: JSON) -> JSON:
    """A copy for the caller: answers are shared, and an application may change what it is given."""
    if isinstance(value, dict):
        return {name: own(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [own(entry) for entry in value]
    return value


def asked_of(
    unit: object, units: Mapping[str, object] | None, attributes: Mapping[str, object] | None = None
) -> Asked:
    """The units that a call names: ``unit`` is short for ``{"user": unit}``.

    Whole numbers up to 2^53 - 1 and UUIDs are taken as their text, since that is how applications
    keep ids. An empty map is no unit at all; an id that cannot be used is named among the problems
    and costs only what needs it.
    """
    if units is None and isinstance(unit, str) and check_unit_id(unit) is None:
        return Asked({"user": unit}, attributes or {})  # nearly every call
    if unit is not None and units is not None:
        raise InvalidInput("send unit or units, not both", "unit")
    named = {"user": unit} if unit is not None else units or {}
    sent = {
        str(kind): str(value) if isinstance(value, uuid.UUID) else value
        for kind, value in named.items()
        if value is not None
    }
    return asked(sent, attributes or {})
