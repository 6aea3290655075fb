"""Why this user: the evaluation order walked step by step.

The same decision as ``assign``, worked out a second time in the open: slowly, with words, and in
none of its code. A test holds that both always agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from experiments.core.figures import counted
from experiments.core.hashing import bucket_of
from experiments.core.serving.assignment import AssignmentRequest
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import (
    NO_VARIANT,
    Override,
    ServedFlag,
    ServedVariant,
    ServingExperiment,
    ServingRollout,
)
from experiments.core.serving.explanation import Detail, Explanation, Step
from experiments.core.serving.order import StepName, in_order
from experiments.core.targeting.explained_conditions import condition_row, how_excluded, why_not
from experiments.core.targeting.predicates import Attributes, Condition, Units
from experiments.core.types import JSON, BucketRole, DarkMode, Environment, Reason, Status
from experiments.core.units import unit_id

__all__ = ["Explanation", "Step", "explain", "explain_all"]


def explain(catalogue: Catalogue, request: AssignmentRequest, now: datetime) -> Explanation:
    """Why ``assign`` answers this request as it does."""
    if request.experiment is None:
        flag = catalogue.flags.get(request.flag or "")
        if flag is None or (request.client and not flag.client_visible):
            return _nothing(
                request.flag, None, Reason.UNKNOWN_FLAG, f"there is no flag {request.flag!r}"
            )
        return _Walk(
            catalogue, request, now, flag, flag.served_to(request.environment), None
        ).walk()
    entry = catalogue.experiment(request.experiment, request.environment)
    if entry is None or (request.client and not entry.flag.client_visible):
        return _nothing(
            None,
            request.experiment,
            Reason.NOT_SERVING,
            f"there is no experiment {request.experiment!r} that serves or rests",
        )
    serving = entry.experiment or entry.flag.served_to(request.environment)
    return _Walk(catalogue, request, now, entry.flag, serving, entry.key).walk()


def explain_all(
    catalogue: Catalogue,
    units: Units,
    attributes: Attributes,
    now: datetime,
    environment: Environment = Environment.PRODUCTION,
) -> tuple[Explanation, ...]:
    """One explanation for each flag, which is one for each experiment that serves or was rolled
    out.
    """
    asked = (
        AssignmentRequest(flag=key, units=units, attributes=attributes, environment=environment)
        for key in catalogue.flags
    )
    return tuple(explain(catalogue, request, now) for request in asked)


def _nothing(flag: str | None, experiment: str | None, reason: Reason, message: str) -> Explanation:
    return Explanation(
        flag, experiment, reason, None, steps=(Step(StepName.FLAG, "decided", message),)
    )


@dataclass(frozen=True)
class _Decision:
    """What the flag answers, before it is told to somebody who asked for one experiment.

    ``of`` is the experiment whose variant it is; ``otherwise`` is what who asked for another one
    hears.
    """

    step: StepName
    reason: Reason
    value: JSON
    message: str
    detail: Detail = field(default_factory=dict)
    variant: ServedVariant | None = None
    of: str | None = None
    otherwise: Reason = Reason.NOT_SERVING
    identity: str | None = None
    bucket: int | None = None


_OF_ANOTHER_EXPERIMENT = (
    Reason.DEFAULT,
    Reason.NOT_TARGETED,
    Reason.UNIT_MISSING,
    Reason.NOT_IN_EXPERIMENT,
    Reason.ARM_STOPPED,
)
"""Reasons that say something about the experiment which decides, and nothing about one that rests.
"""


class _Walk:
    """One request's way through the order; ``named`` is the experiment asked for by name."""

    def __init__(
        self,
        catalogue: Catalogue,
        request: AssignmentRequest,
        now: datetime,
        flag: ServedFlag,
        experiment: ServingExperiment | None,
        named: str | None,
    ) -> None:
        self.catalogue, self.units, self.attributes, self.now = (
            catalogue,
            request.units,
            request.attributes,
            now,
        )
        self.flag, self.experiment, self.named = flag, experiment, named
        self.steps: list[Step] = []
        self.barrier: Reason | None = None
        self.rollout_barrier: Reason | None = None

    def walk(self) -> Explanation:
        """Ask each step in turn until one decides; the last one always does."""
        decision = next(filter(None, (step(self) for step in _STEPS)))
        self.steps.append(Step(decision.step, "decided", decision.message, decision.detail))
        return self._told(decision)

    # ---- the steps; each answers with a decision, or notes that it was passed

    def _switch(self) -> _Decision | None:
        if not self.flag.enabled:
            return self._default(
                StepName.FLAG, Reason.SWITCHED_OFF, f"flag {self.flag.key} is switched off"
            )
        return self._pass(StepName.FLAG, f"flag {self.flag.key} is switched on")

    def _override(self) -> _Decision | None:
        """Unit types in the order in which the overrides first name them, then the overrides' own
        order.
        """
        mine = [
            override for override in self.flag.overrides if self._overridden(override) is not None
        ]
        for unit_type in dict.fromkeys(override.unit_type for override in mine):
            identity = unit_id(self.units, unit_type)
            for override in mine:
                if (
                    override.unit_type == unit_type
                    and override.unit_id == (identity or "")
                    and self.now < override.until
                ):
                    return self._overridden(override)
        over = [
            o for o in mine if o.unit_id == unit_id(self.units, o.unit_type) and o.until <= self.now
        ]
        found = (
            f"the one for {over[0].variant} ended {over[0].until.isoformat()}"
            if over
            else "none for these units"
        )
        return self._pass(StepName.OVERRIDE, f"override: {found}", {"on_the_flag": len(mine)})

    def _overridden(self, override: Override) -> _Decision | None:
        if self.named is not None and self.named != override.experiment:
            return None
        at_hand = (self.experiment, *self.flag.experiments())
        experiment = next(
            (one for one in at_hand if one is not None and one.key == override.experiment), None
        )
        variant = None if experiment is None else experiment.variant_named(override.variant)
        if variant is None:
            return None
        until, who = override.until.isoformat(), f"{override.unit_type} {override.unit_id}"
        return _Decision(
            StepName.OVERRIDE,
            Reason.OVERRIDE,
            variant.value,
            f"an override shows {who} the variant {variant.key} of {override.experiment} until {until}",
            {
                "experiment": override.experiment,
                "variant": variant.key,
                "unit_type": override.unit_type,
                "until": until,
            },
            variant=variant,
            of=override.experiment,
            identity=override.unit_id,
        )

    def _exclusions(self) -> _Decision | None:
        exclusions = self.catalogue.exclusions
        key = exclusions.excluded_by(self.units, self.attributes)
        if key is None:
            return self._pass(
                StepName.EXCLUSIONS,
                f"exclusions: on none of {counted(len(exclusions.lists), 'list')}",
            )
        listed = next(entry for entry in exclusions.lists if entry.key == key)
        how = how_excluded(listed, self.units, self.attributes, exclusions.segments)
        return self._default(
            StepName.EXCLUSIONS,
            Reason.EXCLUDED,
            f"exclusion list {key} holds the request: {how}",
            {"list": key, "by": how},
        )

    def _reach(self) -> _Decision | None:
        """Targeting and unit of the experiment and of the rollout: whether either reaches the
        request.
        """
        experiment, rollout = self.experiment, self.flag.rollout
        self.barrier = (
            Reason.DEFAULT if experiment is None else self._experiment_barrier(experiment)
        )
        self.rollout_barrier = Reason.DEFAULT if rollout is None else self._rollout_barrier(rollout)
        if self.barrier is None or self.rollout_barrier is None:
            return None
        return self._no_more(self.barrier if experiment is not None else self.rollout_barrier)

    def _experiment_barrier(self, experiment: ServingExperiment) -> Reason | None:
        if not self._targeted(experiment.key, experiment.targeting):
            return Reason.NOT_TARGETED
        identity, wanted = unit_id(self.units, experiment.unit_type), experiment.unit_type
        if identity is None:
            has = ", ".join(sorted(self.units)) or "no unit"
            self._bar(
                StepName.UNIT,
                f"{experiment.key} is randomised by {wanted}; the request has {has}",
                {"wanted": wanted},
            )
            return Reason.UNIT_MISSING
        self._pass(
            StepName.UNIT,
            f"{experiment.key} is randomised by {wanted}: {identity}",
            {"unit_type": wanted, "unit": identity},
        )
        return None

    def _targeted(self, who: str, targeting: Sequence[Condition]) -> bool:
        rows = [
            condition_row(condition, self.units, self.attributes, self.catalogue.segments)
            for condition in targeting
        ]
        failed = next((row for row in rows if not row["holds"]), None)
        detail: Detail = {"conditions": [dict(row) for row in rows]}
        if failed is None:
            found = "all conditions hold" if rows else "it has no conditions"
            self._pass(StepName.TARGETING, f"{who}'s targeting: {found}", detail)
        else:
            self._bar(
                StepName.TARGETING,
                f"{who}'s targeting: {why_not(failed)}",
                detail | {"failed": dict(failed)},
            )
        return failed is None

    def _rollout_barrier(self, rollout: ServingRollout) -> Reason | None:
        audience, who = rollout.audience, f"the rollout of {rollout.experiment}"
        if not self._targeted(who, audience.targeting):
            return Reason.NOT_TARGETED
        identity = unit_id(self.units, audience.unit_type)
        if identity is None and rollout.needs_unit():
            self._bar(
                StepName.UNIT,
                f"{who} goes by {audience.unit_type}, which the request has not",
                {"wanted": audience.unit_type},
            )
            return Reason.UNIT_MISSING
        if (
            identity is None
            or audience.buckets is None
            or bucket_of(audience.seed, identity) in audience.buckets
        ):
            return None
        bucket = bucket_of(audience.seed, identity)
        self._bar(
            StepName.ROLLOUT,
            f"{who} reaches who was tested; bucket {bucket} was not",
            {"bucket": bucket},
        )
        return Reason.DEFAULT

    def _holdout(self) -> _Decision | None:
        holdout = self.catalogue.holdout
        if holdout is None:
            return self._pass(StepName.HOLDOUT, "global holdout: there is none")
        identity = unit_id(self.units, holdout.unit_type)
        until = None if holdout.until is None else holdout.until.isoformat()
        detail: Detail = {"unit_type": holdout.unit_type, "until": until}
        if identity is None:
            return self._pass(
                StepName.HOLDOUT,
                f"global holdout: it goes by {holdout.unit_type}, which the request has not",
                detail,
            )
        bucket = bucket_of(holdout.seed, identity)
        detail |= {"bucket": bucket}
        if holdout.until is not None and holdout.until <= self.now:
            return self._pass(StepName.HOLDOUT, f"global holdout: ended {until}", detail)
        if bucket not in holdout.buckets:
            return self._pass(StepName.HOLDOUT, f"global holdout: {identity} is not in it", detail)
        return self._default(
            StepName.HOLDOUT,
            Reason.HOLDOUT,
            f"the global holdout holds {identity} out until {until}",
            detail,
        )

    def _bucket(self) -> _Decision | None:
        experiment = self.experiment
        if experiment is None or self.barrier is not None:
            return None
        takes_all = self.flag.rollout is None or self.rollout_barrier is not None
        decision = self._by_bucket(experiment, takes_all=takes_all)
        if decision is None:
            self.barrier = self._outside(experiment)
        return decision

    def _rollout(self) -> _Decision | None:
        rollout = self.flag.rollout
        if rollout is None or self.rollout_barrier is not None:
            return None
        return self._rolled_out(rollout, self.barrier or Reason.DEFAULT)

    def _rest(self) -> _Decision:
        return self._no_more(self.barrier or Reason.DEFAULT)

    def _by_bucket(self, experiment: ServingExperiment, *, takes_all: bool) -> _Decision | None:
        identity = unit_id(self.units, experiment.unit_type) or ""
        bucket = bucket_of(experiment.seed, identity)
        owner = experiment.table[bucket]
        if owner != NO_VARIANT:
            return _owned(
                experiment, experiment.variants[owner], experiment.roles[bucket], identity, bucket
            )
        stopped = next(
            (variant.key for variant in experiment.variants if bucket in variant.stopped), None
        )
        held = (
            "is held by no variant"
            if stopped is None
            else f"belongs to {stopped}, which is switched off"
        )
        detail: Detail = {"bucket": bucket, "owner": None}
        if stopped is not None:
            detail["stopped"] = stopped
        self._bar(
            StepName.BUCKET, f"{experiment.key}: bucket {bucket} of {identity} {held}", detail
        )
        if not takes_all:
            return None
        return replace(self._no_more(self._outside(experiment)), identity=identity, bucket=bucket)

    def _outside(self, experiment: ServingExperiment) -> Reason:
        """Why a unit without a variant has none: its arm was stopped, or no arm holds its
        bucket.
        """
        bucket = bucket_of(experiment.seed, unit_id(self.units, experiment.unit_type) or "")
        stopped = any(bucket in variant.stopped for variant in experiment.variants)
        return Reason.ARM_STOPPED if stopped else Reason.NOT_IN_EXPERIMENT

    def _rolled_out(self, rollout: ServingRollout, otherwise: Reason) -> _Decision:
        identity = unit_id(self.units, rollout.audience.unit_type)
        bucket = None if identity is None else bucket_of(rollout.audience.seed, identity)
        held = bucket in rollout.holdback and (
            rollout.holdback_until is None or self.now < rollout.holdback_until
        )
        arm, reason = (
            (rollout.control, Reason.HOLDBACK) if held else (rollout.variant, Reason.ROLLOUT)
        )
        until = None if rollout.holdback_until is None else rollout.holdback_until.isoformat()
        said = (
            f"bucket {bucket} is held back until {until}" if held else "the unit is in its audience"
        )
        return _Decision(
            StepName.ROLLOUT,
            reason,
            arm.value,
            f"{rollout.experiment} was rolled out: {said}, so {arm.key} is served",
            {
                "experiment": rollout.experiment,
                "bucket": bucket,
                "held_back": held,
                "holdback_until": until,
            },
            variant=arm,
            of=rollout.experiment,
            otherwise=otherwise,
            identity=identity,
            bucket=bucket,
        )

    # ---- what they share

    def _pass(self, step: StepName, message: str, detail: Detail | None = None) -> _Decision | None:
        self.steps.append(Step(step, "passed", message, detail or {}))
        return None

    def _bar(self, step: StepName, message: str, detail: Detail | None = None) -> None:
        self.steps.append(Step(step, "barred", message, detail or {}))

    def _default(
        self, step: StepName, reason: Reason, message: str, detail: Detail | None = None
    ) -> _Decision:
        return _Decision(
            step,
            reason,
            self.flag.default,
            f"{message}, so the flag's default is served",
            detail or {},
            otherwise=reason,
        )

    def _no_more(self, reason: Reason) -> _Decision:
        serving = (
            "no experiment and no rollout takes the unit"
            if self.experiment or self.flag.rollout
            else "nothing serves on the flag"
        )
        return self._default(StepName.DEFAULT, reason, serving)

    def _told(self, decision: _Decision) -> Explanation:
        """Who asked for an experiment that did not decide gets the flag's value and none of another
        one's variants.
        """
        foreign = decision.variant is not None and self.named not in (None, decision.of)
        reason = self._heard(
            decision.otherwise if foreign or decision.variant is None else decision.reason
        )
        serving = (
            decision.of
            if decision.variant is not None
            else None
            if self.experiment is None
            else self.experiment.key
        )
        if foreign or reason is Reason.NOT_SERVING:
            message = f"asked for {self.named}, which did not decide: the flag's value comes without a variant, as {reason.value}"
            self.steps.append(Step(StepName.ASKED, "passed", message))
        variant = None if foreign or decision.variant is None else decision.variant.key
        return Explanation(
            self.flag.key,
            self.named or serving,
            reason,
            decision.value,
            variant,
            decision.identity,
            decision.bucket,
            tuple(self.steps),
        )

    def _heard(self, reason: Reason) -> Reason:
        serving = None if self.experiment is None else self.experiment.key
        rolled_out = None if self.flag.rollout is None else self.flag.rollout.experiment
        resting = self.named is not None and self.named not in (serving, rolled_out)
        return Reason.NOT_SERVING if resting and reason in _OF_ANOTHER_EXPERIMENT else reason


_STEPS = in_order(
    "explaining",
    (
        (StepName.FLAG, _Walk._switch),
        (StepName.OVERRIDE, _Walk._override),
        (StepName.EXCLUSIONS, _Walk._exclusions),
        (StepName.TARGETING, _Walk._reach),
        (StepName.HOLDOUT, _Walk._holdout),
        (StepName.BUCKET, _Walk._bucket),
        (StepName.ROLLOUT, _Walk._rollout),
        (StepName.DEFAULT, _Walk._rest),
    ),
)


def _owned(
    experiment: ServingExperiment,
    owner: ServedVariant,
    role: BucketRole,
    identity: str,
    bucket: int,
) -> _Decision:
    dark = experiment.stage is Status.DARK_LAUNCH
    shadow = dark and role is BucketRole.DARK and experiment.dark_mode is DarkMode.SHADOW
    served = experiment.control if shadow else owner
    reason = (
        Reason.PREVIEW if experiment.preview else Reason.DARK_LAUNCH if dark else Reason.EXPERIMENT
    )
    said = f", in shadow: {served.key} is served" if shadow else ""
    return _Decision(
        StepName.BUCKET,
        reason,
        served.value,
        f"{experiment.key}: bucket {bucket} of {identity} belongs to {owner.key} ({role.value}){said}",
        {
            "bucket": bucket,
            "owner": owner.key,
            "role": role.value,
            "shadow": shadow,
            "iteration": experiment.iteration,
        },
        variant=served,
        of=experiment.key,
        identity=identity,
        bucket=bucket,
    )
