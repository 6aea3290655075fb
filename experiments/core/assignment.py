"""Which variant a unit gets, and why: one order of evaluation for every door, SDK and simulation.

unknown flag → switched off → override → exclusions → targeting → global holdout → the flag's
serving experiment → the flag's rollout → default. Always a value with a reason; never an exception
for typed input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from experiments.core.hashing import bucket_of
from experiments.core.serving import NO_VARIANT, Catalogue, ServedFlag, ServedVariant, ServingExperiment, ServingRollout
from experiments.core.targeting import Attributes
from experiments.core.types import JSON, BucketRole, DarkMode, Environment, Phase, Reason, Status
from experiments.core.units import unit_id

Metadata: TypeAlias = dict[str, str | int | bool]

_PHASE = {BucketRole.MAIN: Phase.MAIN, BucketRole.DARK: Phase.DARK, BucketRole.TWIN: Phase.TWIN}


@dataclass(frozen=True)
class AssignmentRequest:
    """What an application asks: a flag, or an experiment by key or name, for a map of units.

    ``client`` marks a client key, which sees only flags that are visible to clients.
    """

    flag: str | None = None
    experiment: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    environment: Environment = Environment.PRODUCTION
    client: bool = False


@dataclass(frozen=True)
class Assignment:
    """The answer. ``value``, ``config``, ``variant`` and ``is_control`` are what the unit is served.

    ``experiment_id``, ``iteration_id``, ``variant_id`` and ``role`` say under which arm an exposure
    is recorded. That is the served variant, except in a shadow dark launch (``shadow``): there the
    unit is served control, while ``variant_id`` and ``metadata["treatment"]`` name the arm that owns
    its bucket. An iteration of ``None`` (a draft's preview or override) cannot be recorded.
    """

    flag: str | None
    reason: Reason
    value: JSON
    experiment: str | None = None
    variant: str | None = None
    variant_name: str | None = None
    is_control: bool = False
    config: dict[str, JSON] | None = None
    bucket: int | None = None
    stage: Status | None = None
    shadow: bool = False
    role: Phase | None = None
    experiment_id: int | None = None
    iteration_id: int | None = None
    variant_id: int | None = None
    unit_type: str | None = None
    unit_id: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(slots=True)
class _Asked:
    """A request resolved to its flag: ``experiment`` decides, ``named`` was asked for by name.

    Lives for one call; not frozen, because that costs half a microsecond of five.
    """

    catalogue: Catalogue
    request: AssignmentRequest
    now: datetime
    flag: ServedFlag
    experiment: ServingExperiment | None
    named: str | None


def assign(catalogue: Catalogue, request: AssignmentRequest, now: datetime) -> Assignment:
    """The answer to one request."""
    asked = _resolve(catalogue, request, now)
    return asked if isinstance(asked, Assignment) else _evaluate(asked)


def assign_all(
    catalogue: Catalogue,
    units: Mapping[str, str],
    attributes: Attributes,
    now: datetime,
    environment: Environment = Environment.PRODUCTION,
    client: bool = False,
) -> tuple[Assignment, ...]:
    """One answer for each serving experiment that the key may see."""
    request = AssignmentRequest(units=units, attributes=attributes, environment=environment, client=client)
    flags = (flag for flag in catalogue.serving(environment) if flag.client_visible or not client)
    served = ((flag, flag.served_to(environment)) for flag in flags)
    return tuple(
        _evaluate(_Asked(catalogue, request, now, flag, experiment, experiment.key))
        for flag, experiment in served
        if experiment is not None
    )


def _resolve(catalogue: Catalogue, request: AssignmentRequest, now: datetime) -> _Asked | Assignment:
    """The flag and experiment asked for; what a client key may not see looks like what does not exist."""
    if request.experiment is not None:
        entry = catalogue.experiment(request.experiment, request.environment)
        if entry is None or (request.client and not entry.flag.client_visible):
            return _answer(None, Reason.NOT_SERVING, None, experiment=request.experiment)
        experiment = entry.experiment or entry.flag.served_to(request.environment)
        return _Asked(catalogue, request, now, entry.flag, experiment, entry.key)
    flag = catalogue.flags.get(request.flag or "")
    if flag is None or (request.client and not flag.client_visible):
        return _answer(request.flag, Reason.UNKNOWN_FLAG, None)
    return _Asked(catalogue, request, now, flag, flag.served_to(request.environment), None)


def _evaluate(asked: _Asked) -> Assignment:
    if not asked.flag.enabled:
        return _default(asked, Reason.SWITCHED_OFF)
    overridden = _override(asked) if asked.flag.overrides else None
    if overridden is not None:
        return overridden
    units, attributes = asked.request.units, asked.request.attributes
    excluded_by = asked.catalogue.exclusions.excluded_by(units, attributes)
    if excluded_by is not None:
        return _default(asked, Reason.EXCLUDED)
    return _beyond_exclusions(asked)


def _beyond_exclusions(asked: _Asked) -> Assignment:
    """Targeting, holdout, experiment, rollout, default. A rollout still serves whom the experiment does not take."""
    experiment, rollout = asked.experiment, asked.flag.rollout
    barrier = Reason.DEFAULT if experiment is None else _barrier(asked, experiment)
    rollout_barrier = Reason.DEFAULT if rollout is None else _rollout_barrier(asked, rollout)
    if barrier is not None and rollout_barrier is not None:
        return _default(asked, barrier if experiment is not None else rollout_barrier)
    if _held_out(asked):
        return _default(asked, Reason.HOLDOUT)
    if experiment is not None and barrier is None:
        served = _from_experiment(asked, experiment)
        if served is not None:
            return _as_asked(asked, served, Reason.NOT_SERVING)
        barrier = Reason.NOT_IN_EXPERIMENT
    if rollout is not None and rollout_barrier is None:
        return _as_asked(asked, _from_rollout(asked, rollout), barrier or Reason.DEFAULT)
    return _default(asked, barrier or Reason.DEFAULT)


def _barrier(asked: _Asked, experiment: ServingExperiment) -> Reason | None:
    """Why the experiment cannot take this request, before any hashing."""
    if not experiment.matches(asked.request.attributes):
        return Reason.NOT_TARGETED
    return Reason.UNIT_MISSING if unit_id(asked.request.units, experiment.unit_type) is None else None


def _rollout_barrier(asked: _Asked, rollout: ServingRollout) -> Reason | None:
    """Why the rollout does not reach this request; one that hashes nobody needs no unit."""
    audience = rollout.audience
    if not audience.matches(asked.request.attributes):
        return Reason.NOT_TARGETED
    identity = unit_id(asked.request.units, audience.unit_type)
    if identity is None:
        return Reason.UNIT_MISSING if rollout.needs_unit() else None
    tested = audience.buckets is None or bucket_of(audience.seed, identity) in audience.buckets
    return None if tested else Reason.DEFAULT


def _held_out(asked: _Asked) -> bool:
    holdout = asked.catalogue.holdout
    return holdout is not None and holdout.holds(unit_id(asked.request.units, holdout.unit_type), asked.now)


def _from_experiment(asked: _Asked, experiment: ServingExperiment) -> Assignment | None:
    identity = unit_id(asked.request.units, experiment.unit_type)
    bucket = bucket_of(experiment.seed, identity or "")
    position = experiment.table[bucket]
    if position == NO_VARIANT:
        return None
    role = experiment.roles[bucket]
    owner = experiment.variants[position]
    shadow = role is BucketRole.DARK and experiment.stage is Status.DARK_LAUNCH and experiment.dark_mode is DarkMode.SHADOW
    return _in_experiment(
        asked, experiment, owner, _reason(experiment), _PHASE[role], unit=(experiment.unit_type, identity), bucket=bucket, shadow=shadow
    )


def _reason(experiment: ServingExperiment) -> Reason:
    if experiment.preview:
        return Reason.PREVIEW
    return Reason.DARK_LAUNCH if experiment.stage is Status.DARK_LAUNCH else Reason.EXPERIMENT


def _override(asked: _Asked) -> Assignment | None:
    """The first override of any of the request's units that has not expired and whose experiment is at hand."""
    for unit_type, of_type in asked.flag.overrides_of.items():
        identity = unit_id(asked.request.units, unit_type)
        for override in of_type.get(identity or "", ()):
            experiment = _overridable(asked, override.experiment)
            variant = None if experiment is None else experiment.variant_named(override.variant)
            if experiment is not None and variant is not None and asked.now < override.until:
                return _in_experiment(asked, experiment, variant, Reason.OVERRIDE, Phase.OVERRIDE, unit=(unit_type, identity))
    return None


def _overridable(asked: _Asked, key: str) -> ServingExperiment | None:
    """An override counts for its own experiment: serving or a draft, and not when another one was asked for."""
    if asked.named is not None and asked.named != key:
        return None
    at_hand = (asked.experiment, *asked.flag.experiments())
    return next((experiment for experiment in at_hand if experiment is not None and experiment.key == key), None)


def _in_experiment(
    asked: _Asked,
    experiment: ServingExperiment,
    owner: ServedVariant,
    reason: Reason,
    role: Phase,
    unit: tuple[str, str | None],
    bucket: int | None = None,
    shadow: bool = False,
) -> Assignment:
    """The answer from the arm that owns the bucket; in a shadow control is what is served."""
    served = experiment.control if shadow else owner
    metadata: Metadata = {
        "reason": reason.value,
        "experiment": experiment.key,
        "iteration": experiment.iteration,
        "stage": experiment.stage.value,
        "role": role.value,
    }
    if shadow:
        metadata |= {"shadow": True, "treatment": owner.key}
    return Assignment(
        flag=asked.flag.key,
        reason=reason,
        value=served.value,
        experiment=experiment.key,
        variant=served.key,
        variant_name=served.name,
        is_control=served.is_control,
        config=served.config,
        bucket=bucket,
        stage=experiment.stage,
        shadow=shadow,
        role=role,
        experiment_id=experiment.id,
        iteration_id=experiment.iteration_id,
        variant_id=owner.id,
        unit_type=unit[0],
        unit_id=unit[1],
        metadata=metadata,
    )


def _as_asked(asked: _Asked, answer: Assignment, reason: Reason) -> Assignment:
    """Who asked for an experiment that did not decide gets the flag's value and none of another one's variants."""
    if asked.named is None or asked.named == answer.experiment:
        return answer
    return _answer(asked.flag.key, _as_heard(asked, reason), answer.value, experiment=asked.named)


def _from_rollout(asked: _Asked, rollout: ServingRollout) -> Assignment:
    identity = unit_id(asked.request.units, rollout.audience.unit_type)
    bucket = None if identity is None else bucket_of(rollout.audience.seed, identity)
    held_back = bucket in rollout.holdback and (rollout.holdback_until is None or asked.now < rollout.holdback_until)
    served, reason = (rollout.control, Reason.HOLDBACK) if held_back else (rollout.variant, Reason.ROLLOUT)
    return Assignment(
        flag=asked.flag.key,
        reason=reason,
        value=served.value,
        experiment=rollout.experiment,
        variant=served.key,
        variant_name=served.name,
        is_control=served.is_control,
        config=served.config,
        bucket=bucket,
        role=Phase.ROLLOUT,
        experiment_id=rollout.experiment_id,
        iteration_id=rollout.iteration_id,
        variant_id=served.id,
        unit_type=rollout.audience.unit_type,
        unit_id=identity,
        metadata={"reason": reason.value, "experiment": rollout.experiment, "iteration": rollout.iteration, "role": Phase.ROLLOUT.value},
    )


def _default(asked: _Asked, reason: Reason) -> Assignment:
    deciding = None if asked.experiment is None else asked.experiment.key
    return _answer(asked.flag.key, _as_heard(asked, reason), asked.flag.default, experiment=asked.named or deciding)


_OF_ANOTHER_EXPERIMENT = frozenset({Reason.DEFAULT, Reason.NOT_TARGETED, Reason.UNIT_MISSING, Reason.NOT_IN_EXPERIMENT})


def _as_heard(asked: _Asked, reason: Reason) -> Reason:
    """Who asked for an experiment that serves nothing now hears that, not why another one did not take the unit."""
    serving = asked.experiment.key if asked.experiment is not None else None
    rolled_out = asked.flag.rollout.experiment if asked.flag.rollout is not None else None
    resting = asked.named is not None and asked.named not in (serving, rolled_out)
    return Reason.NOT_SERVING if resting and reason in _OF_ANOTHER_EXPERIMENT else reason


def _answer(flag: str | None, reason: Reason, value: JSON, experiment: str | None = None) -> Assignment:
    """An answer without a variant."""
    metadata: Metadata = {"reason": reason.value}
    if experiment is not None:
        metadata["experiment"] = experiment
    return Assignment(flag=flag, reason=reason, value=value, experiment=experiment, metadata=metadata)
