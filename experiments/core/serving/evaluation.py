"""A flag compiled to one function: which answer it gives to a map of units, attributes and a
moment.

The order is that of ``order.ORDER``. Whatever can be known before anybody asks is built when the catalogue is: every possible answer
(``Served``) once, a table from bucket to answer, and only the steps that the flag has. What is left
for a call is to compare, to hash and to look up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from experiments.core.hashing import ascii_hash as hashed
from experiments.core.hashing import bucket_of
from experiments.core.serving.entities import (
    NO_VARIANT,
    Holdout,
    ServedFlag,
    ServedVariant,
    ServingExperiment,
    ServingRollout,
)
from experiments.core.serving.order import StepName, in_order
from experiments.core.targeting.exclusions import Exclusions
from experiments.core.targeting.predicates import Attributes, Units, first_look
from experiments.core.types import BUCKETS, JSON, BucketRole, DarkMode, Phase, Reason, Status
from experiments.core.units import VISITOR, unit_id

Metadata: TypeAlias = dict[str, str | int | bool]

_PHASE = {BucketRole.MAIN: Phase.MAIN, BucketRole.DARK: Phase.DARK, BucketRole.TWIN: Phase.TWIN}


@dataclass(frozen=True, slots=True)
class Served:
    """One possible answer of a flag, shared by all whom it meets: read it, never change it.

    ``value``, ``config``, ``variant`` and ``is_control`` are what the unit is served.
    ``experiment_id``, ``iteration_id``, ``variant_id`` and ``role`` say under which arm an exposure
    is recorded. That is the served variant, except in a shadow dark launch (``shadow``): there the
    unit is served control, while ``variant_id`` and ``metadata["treatment"]`` name the arm that
    owns its bucket. An iteration of ``None`` (a draft's preview or override) cannot be recorded.
    """

    flag: str | None
    reason: Reason
    value: JSON
    experiment: str | None = None
    variant: str | None = None
    variant_name: str | None = None
    is_control: bool = False
    config: dict[str, JSON] | None = None
    stage: Status | None = None
    shadow: bool = False
    role: Phase | None = None
    experiment_id: int | None = None
    iteration_id: int | None = None
    variant_id: int | None = None
    unit_type: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(slots=True, init=False)
class Assignment:
    """The answer to one unit. ``unit_id`` is the id that decided and ``bucket`` where it hashes;
    both are ``None`` when nothing was hashed.

    Several askers can share an answer and what it holds, so only read it. It is not frozen and has
    no ``__init__`` (``assignment_of`` makes one): each of these costs up to a third of a decision
    (ADR 0032).
    """

    served: Served
    unit_id: str | None
    bucket: int | None


def assignment_of(
    served: Served, unit_id: str | None = None, bucket: int | None = None
) -> Assignment:
    """An answer with these parts."""
    answer = Assignment()
    answer.served, answer.unit_id, answer.bucket = served, unit_id, bucket
    return answer


Evaluator: TypeAlias = Callable[[Units, Attributes, datetime], Assignment]


@dataclass(frozen=True, slots=True)
class Alone:
    """An experiment that nothing else of its flag can forestall: the flag is on and has neither
    overrides nor a rollout.

    ``table`` is its answer by bucket, ``otherwise`` the answer to those who have not come as far as
    that.
    """

    experiment: ServingExperiment
    table: tuple[Served, ...]
    otherwise: Mapping[Reason, Served]


class Compiled(NamedTuple):
    """What answers for a flag; ``alone`` where it is no more than an experiment behind the global
    rules.
    """

    evaluate: Evaluator
    alone: Alone | None = None


def bare(flag: str | None, reason: Reason, value: JSON, experiment: str | None = None) -> Served:
    """An answer without a variant."""
    metadata: Metadata = {"reason": reason.value}
    if experiment is not None:
        metadata["experiment"] = experiment
    return Served(flag=flag, reason=reason, value=value, experiment=experiment, metadata=metadata)


def compiled(
    flag: ServedFlag,
    experiment: ServingExperiment | None,
    exclusions: Exclusions,
    holdout: Holdout | None,
    named: str | None = None,
) -> Compiled:
    """What ``flag`` answers while ``experiment`` serves on it.

    Asked for by the flag, or by the key of an experiment (``named``).
    """
    answers = Answers(flag, experiment, named)
    if not flag.enabled:
        return Compiled(_constant(answers.default(Reason.SWITCHED_OFF)))
    table = answers.table()
    alone = (
        None
        if experiment is None or flag.rollout is not None
        else Alone(experiment, table, answers.otherwise())
    )
    parts = _Parts(flag, experiment, exclusions, holdout, answers, table, alone)
    evaluate = _constant(answers.default(Reason.DEFAULT))
    for put_before in reversed(_STEPS):
        evaluate = put_before(parts, evaluate)
    return Compiled(evaluate, None if answers.overrides() else alone)


def _constant(served: Served) -> Evaluator:
    answer = assignment_of(served)
    return lambda units, attributes, now: answer


# ---------------------------------------------------------------- the steps


_Overrides: TypeAlias = Mapping[str, Mapping[str, Sequence[tuple[datetime, Served]]]]


class _Parts(NamedTuple):
    """What the steps of a flag that is switched on are made of."""

    flag: ServedFlag
    experiment: ServingExperiment | None
    exclusions: Exclusions
    holdout: Holdout | None
    answers: Answers
    table: tuple[Served, ...]
    alone: Alone | None


def _overrides_first(parts: _Parts, decide: Evaluator) -> Evaluator:
    """The first override of any of the request's units that has not expired."""
    overrides = parts.answers.overrides()
    if not overrides:
        return decide

    def evaluate(units: Units, attributes: Attributes, now: datetime) -> Assignment:
        for unit_type, of_type in overrides.items():
            identity = unit_id(units, unit_type)
            for until, served in of_type.get(identity or "", ()):
                if now < until:
                    return assignment_of(served, identity)
        return decide(units, attributes, now)

    return evaluate


def _exclusions_first(parts: _Parts, decide: Evaluator) -> Evaluator:
    exclusions = parts.exclusions
    if not exclusions.lists:
        return decide
    answer = assignment_of(parts.answers.default(Reason.EXCLUDED))

    def evaluate(units: Units, attributes: Attributes, now: datetime) -> Assignment:
        return (
            decide(units, attributes, now)
            if exclusions.excluded_by(units, attributes) is None
            else answer
        )

    return evaluate


def _from_targeting_on(parts: _Parts, decide: Evaluator) -> Evaluator:
    """Targeting, holdout, bucket and rollout in one function, since each call costs; ``decide`` is
    the default, which these end with themselves.
    """
    alone = parts.alone
    if alone is not None and alone.experiment.unit_type != VISITOR and parts.holdout is None:
        return _experiment_alone(alone)
    return _all_steps(
        parts.experiment, parts.flag.rollout, parts.holdout, parts.answers, parts.table
    )


def _experiment_alone(alone: Alone) -> Evaluator:
    """The common case with as little work as possible: a comparison, a hash, a look-up.

    It writes out what ``bucket_of`` and ``assignment_of`` do, because each call costs a tenth of a
    decision (ADR 0032). A test compares it with them.
    """
    experiment, table = alone.experiment, alone.table
    matches, seed, unit_type = experiment.matches, experiment.seed, experiment.unit_type
    attribute, wanted = first_look(experiment.targeting)
    not_targeted, unit_missing = (
        assignment_of(alone.otherwise[reason])
        for reason in (Reason.NOT_TARGETED, Reason.UNIT_MISSING)
    )

    def evaluate(units: Units, attributes: Attributes, now: datetime) -> Assignment:
        if attributes.get(attribute) != wanted and not matches(units, attributes):
            return not_targeted
        identity = units.get(unit_type)
        if not identity:
            return unit_missing
        text = seed + identity
        if text.isascii():
            bucket = hashed(b"%d" % hashed(text.encode())) % 10000 // 10
        else:
            bucket = bucket_of(seed, identity)
        answer = Assignment()
        answer.served = table[bucket]
        answer.unit_id = identity
        answer.bucket = bucket
        return answer

    return evaluate


def _all_steps(
    experiment: ServingExperiment | None,
    rollout: ServingRollout | None,
    holdout: Holdout | None,
    answers: Answers,
    table: tuple[Served, ...],
) -> Evaluator:
    """Targeting, holdout, experiment, rollout, default. A rollout still serves whom the experiment
    does not take.
    """
    defaults = {reason: assignment_of(answers.default(reason)) for reason in _DEFAULT_REASONS}
    rolled_out = answers.rolled_out()

    def evaluate(units: Units, attributes: Attributes, now: datetime) -> Assignment:
        barrier = Reason.DEFAULT if experiment is None else _barrier(experiment, units, attributes)
        rollout_barrier = (
            Reason.DEFAULT if rollout is None else _rollout_barrier(rollout, units, attributes)
        )
        if barrier is not None and rollout_barrier is not None:
            return defaults[barrier if experiment is not None else rollout_barrier]
        if holdout is not None and holdout.holds(unit_id(units, holdout.unit_type), now):
            return defaults[Reason.HOLDOUT]
        if experiment is not None and barrier is None:
            identity = unit_id(units, experiment.unit_type) or ""
            bucket = bucket_of(experiment.seed, identity)
            if (
                experiment.table[bucket] != NO_VARIANT
                or rollout is None
                or rollout_barrier is not None
            ):
                return assignment_of(table[bucket], identity, bucket)
            barrier = (
                Reason.ARM_STOPPED if bucket in experiment.stopped else Reason.NOT_IN_EXPERIMENT
            )
        if rollout is None or rollout_barrier is not None:
            return defaults[barrier or Reason.DEFAULT]
        return _from_rollout(rollout, rolled_out[barrier or Reason.DEFAULT], units, now)

    return evaluate


_STEPS = in_order(
    "evaluating",
    (
        (StepName.OVERRIDE, _overrides_first),
        (StepName.EXCLUSIONS, _exclusions_first),
        (StepName.TARGETING, _from_targeting_on),
    ),
)
"""Each puts its step before what follows; a flag that is switched off needs none of them."""


def _barrier(experiment: ServingExperiment, units: Units, attributes: Attributes) -> Reason | None:
    """Why the experiment cannot take this request, before any hashing."""
    if not experiment.matches(units, attributes):
        return Reason.NOT_TARGETED
    return Reason.UNIT_MISSING if unit_id(units, experiment.unit_type) is None else None


def _rollout_barrier(
    rollout: ServingRollout, units: Units, attributes: Attributes
) -> Reason | None:
    """Why the rollout does not reach this request; one that hashes nobody needs no unit."""
    audience = rollout.audience
    if not audience.matches(units, attributes):
        return Reason.NOT_TARGETED
    identity = unit_id(units, audience.unit_type)
    if identity is None:
        return Reason.UNIT_MISSING if rollout.needs_unit() else None
    tested = audience.buckets is None or bucket_of(audience.seed, identity) in audience.buckets
    return None if tested else Reason.DEFAULT


class Arms(NamedTuple):
    """What a rollout serves: the variant, and control to those held back."""

    variant: Served
    held_back: Served


def _from_rollout(rollout: ServingRollout, arms: Arms, units: Units, now: datetime) -> Assignment:
    identity = unit_id(units, rollout.audience.unit_type)
    bucket = None if identity is None else bucket_of(rollout.audience.seed, identity)
    held_back = bucket in rollout.holdback and (
        rollout.holdback_until is None or now < rollout.holdback_until
    )
    return assignment_of(arms.held_back if held_back else arms.variant, identity, bucket)


# ---------------------------------------------------------------- every answer, once

_OF_ANOTHER_EXPERIMENT = frozenset(
    {
        Reason.DEFAULT,
        Reason.NOT_TARGETED,
        Reason.UNIT_MISSING,
        Reason.NOT_IN_EXPERIMENT,
        Reason.ARM_STOPPED,
    }
)
_DEFAULT_REASONS = (*_OF_ANOTHER_EXPERIMENT, Reason.HOLDOUT)
_BEFORE_THE_HASH = (Reason.EXCLUDED, Reason.NOT_TARGETED, Reason.UNIT_MISSING, Reason.HOLDOUT)


class Answers:
    """The answers a flag can give while this experiment serves, as heard by whoever asks for
    ``named``.

    Who asked for an experiment that did not decide gets the flag's value and none of another one's
    variants.
    """

    def __init__(
        self, flag: ServedFlag, experiment: ServingExperiment | None, named: str | None
    ) -> None:
        self._flag, self._experiment, self._named = flag, experiment, named

    def default(self, reason: Reason) -> Served:
        deciding = None if self._experiment is None else self._experiment.key
        return bare(
            self._flag.key,
            self._as_heard(reason),
            self._flag.default,
            experiment=self._named or deciding,
        )

    def otherwise(self) -> Mapping[Reason, Served]:
        """By the reason why the experiment's table is not looked at."""
        return {reason: self.default(reason) for reason in _BEFORE_THE_HASH}

    def table(self) -> tuple[Served, ...]:
        """By bucket."""
        experiment = self._experiment
        if experiment is None:
            return ()
        outside, stopped = self.default(Reason.NOT_IN_EXPERIMENT), self.default(Reason.ARM_STOPPED)
        arms = {
            (position, role): self._as_asked(
                _main_answer(self._flag, experiment, variant, role), Reason.NOT_SERVING
            )
            for position, variant in enumerate(experiment.variants)
            for role in BucketRole
        }
        unserved = dict.fromkeys(experiment.stopped, stopped)
        return tuple(
            arms.get((experiment.table[b], experiment.roles[b]), unserved.get(b, outside))
            for b in range(BUCKETS)
        )

    def rolled_out(self) -> Mapping[Reason, Arms]:
        """By the reason why the experiment did not take the unit."""
        rollout = self._flag.rollout
        if rollout is None:
            return {}
        variant = _rollout_answer(self._flag, rollout, rollout.variant, Reason.ROLLOUT)
        control = _rollout_answer(self._flag, rollout, rollout.control, Reason.HOLDBACK)
        return {
            reason: Arms(self._as_asked(variant, reason), self._as_asked(control, reason))
            for reason in _OF_ANOTHER_EXPERIMENT
        }

    def overrides(self) -> _Overrides:
        """By unit type and id; each counts for its own experiment: serving or a draft, and not when
        another one was asked for.
        """
        found: dict[str, dict[str, list[tuple[datetime, Served]]]] = {}
        for override in self._flag.overrides:
            experiment = self._overridable(override.experiment)
            variant = None if experiment is None else experiment.variant_named(override.variant)
            if experiment is not None and variant is not None:
                served = _served(
                    self._flag,
                    experiment,
                    variant,
                    Reason.OVERRIDE,
                    Phase.OVERRIDE,
                    unit_type=override.unit_type,
                )
                found.setdefault(override.unit_type, {}).setdefault(override.unit_id, []).append(
                    (override.until, served)
                )
        return found

    def _overridable(self, key: str) -> ServingExperiment | None:
        if self._named is not None and self._named != key:
            return None
        at_hand = (self._experiment, *self._flag.experiments())
        return next(
            (
                experiment
                for experiment in at_hand
                if experiment is not None and experiment.key == key
            ),
            None,
        )

    def _as_asked(self, served: Served, reason: Reason) -> Served:
        if self._named is None or self._named == served.experiment:
            return served
        return bare(self._flag.key, self._as_heard(reason), served.value, experiment=self._named)

    def _as_heard(self, reason: Reason) -> Reason:
        """Who asked for an experiment that serves nothing now hears that, not why another one did
        not take the unit.
        """
        serving = self._experiment.key if self._experiment is not None else None
        rolled_out = self._flag.rollout.experiment if self._flag.rollout is not None else None
        resting = self._named is not None and self._named not in (serving, rolled_out)
        return Reason.NOT_SERVING if resting and reason in _OF_ANOTHER_EXPERIMENT else reason


def _main_answer(
    flag: ServedFlag, experiment: ServingExperiment, owner: ServedVariant, role: BucketRole
) -> Served:
    """To units in a bucket that this arm holds in this role."""
    if experiment.preview:
        reason = Reason.PREVIEW
    else:
        reason = Reason.DARK_LAUNCH if experiment.stage is Status.DARK_LAUNCH else Reason.EXPERIMENT
    shadow = (
        role is BucketRole.DARK
        and experiment.stage is Status.DARK_LAUNCH
        and experiment.dark_mode is DarkMode.SHADOW
    )
    return _served(
        flag, experiment, owner, reason, _PHASE[role], unit_type=experiment.unit_type, shadow=shadow
    )


def _served(
    flag: ServedFlag,
    experiment: ServingExperiment,
    owner: ServedVariant,
    reason: Reason,
    role: Phase,
    *,
    unit_type: str,
    shadow: bool = False,
) -> Served:
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
    return Served(
        flag=flag.key,
        reason=reason,
        value=served.value,
        experiment=experiment.key,
        variant=served.key,
        variant_name=served.name,
        is_control=served.is_control,
        config=served.config,
        stage=experiment.stage,
        shadow=shadow,
        role=role,
        experiment_id=experiment.id,
        iteration_id=experiment.iteration_id,
        variant_id=owner.id,
        unit_type=unit_type,
        metadata=metadata,
    )


def _rollout_answer(
    flag: ServedFlag, rollout: ServingRollout, served: ServedVariant, reason: Reason
) -> Served:
    return Served(
        flag=flag.key,
        reason=reason,
        value=served.value,
        experiment=rollout.experiment,
        variant=served.key,
        variant_name=served.name,
        is_control=served.is_control,
        config=served.config,
        role=Phase.ROLLOUT,
        experiment_id=rollout.experiment_id,
        iteration_id=rollout.iteration_id,
        variant_id=served.id,
        unit_type=rollout.audience.unit_type,
        metadata={
            "reason": reason.value,
            "experiment": rollout.experiment,
            "iteration": rollout.iteration,
            "role": Phase.ROLLOUT.value,
        },
    )
