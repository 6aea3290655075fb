"""Promotion and what it leaves on the flag: the rollout, its holdback, the way back."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from experiments.core.design.design import DesignVariant
from experiments.core.errors import Conflict, InvalidInput, NotFound, Problem, Refused
from experiments.core.figures import counted, moment
from experiments.core.life.checklist import LaunchFacts
from experiments.core.life.four_eyes import four_eyes
from experiments.core.life.lifecycle import Verb
from experiments.core.life.reasons import WANTED, says_why
from experiments.core.permissions import Action
from experiments.core.types import BUCKETS, JSON, Actor, ActorKind, Item, Origin, Outcome
from experiments.models import Experiment, Iteration, Rollout
from experiments.selectors.experiments import iteration_design, iteration_rules, open_rollout
from experiments.services.ground import audit
from experiments.services.ground.guarding import locked, locked_flag, permit, publish, wanted_reason
from experiments.services.life import advice, buckets
from experiments.services.life.steps import end_iteration, enter, finish, move, the_iteration
from experiments.services.serving.flags import change_default

RETURN_DAYS = 28
"""Days in which the owner may return to control, and in which the holdback is kept."""


def promote(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    variant_key: str,
    decision_note: str = "",
    decision_id: int | None = None,
    iteration_id: int | None = None,
) -> Experiment:
    """Roll a test arm out to the audience it was tested on, and complete the experiment.

    With ``decision_id``, the stored decision that recommends this very arm, the machine may do it,
    and under a policy without approval the team and management keys. Without one it takes a person
    who is not the one that asked for the launch, and a reason; where conditions are not met, a
    reason that says why, and the changelog keeps what was not met. The policy's holdback is kept
    either way. ``iteration_id`` refuses a decision about an iteration that is over.
    """
    recommended = decision_id is not None
    action = Action.PROMOTE_RECOMMENDED if recommended else Action.PROMOTE
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.PROMOTE, decision_note, action)
        iteration = the_iteration(moment.experiment)
        _refuse_promotion(
            actor, moment.experiment, moment.facts, iteration, recommended, iteration_id
        )
        arm = _test_arm(iteration, variant_key)
        _refuse_stopped(iteration, arm)
        unmet = () if recommended else _reason_against(moment.experiment, arm, decision_note)
        rollout = _roll_out(actor, now, moment.experiment, iteration, arm)
        end_iteration(moment.experiment, now)
        move(moment, now, outcome=Outcome.PROMOTED, end_ts=now)
        after: dict[str, JSON] = {
            "outcome": Outcome.PROMOTED.value,
            "variant": arm.key,
            "rollout": rollout.pk,
            "decision": decision_id,
        }
        finish(actor, now, moment, after=after | ({"unmet": list(unmet)} if unmet else {}))
    return moment.experiment


def _reason_against(experiment: Experiment, arm: DesignVariant, reason: str) -> tuple[str, ...]:
    """What a person promotes in spite of. Against conditions that are not met it takes a reason
    that says why.
    """
    wanted_reason(reason, experiment.key, "promoting what no decision recommends")
    unmet = advice.unmet(experiment.pk, arm.key)
    if unmet and not says_why(reason):
        listed = [Problem("condition_unmet", one, "variant") for one in unmet]
        lacking = f"{experiment.key}: {arm.key} does not meet {counted(len(unmet), 'condition')}"
        message = f"{lacking}; promoting it anyway needs {WANTED}, found {reason[:80]!r}"
        raise InvalidInput(message, field="reason", problems=listed)
    return unmet


def _refuse_promotion(
    actor: Actor,
    experiment: Experiment,
    known: LaunchFacts,
    iteration: Iteration,
    recommended: bool,
    iteration_id: int | None,
) -> None:
    if iteration_id is not None and iteration_id != iteration.pk:
        raise Conflict(
            f"{experiment.key}: iteration {iteration_id} is over; a decision about it promotes nothing"
        )
    found: list[Problem] = []
    if experiment.origin == Origin.IMPORT or experiment.flag is None:
        found.append(
            Problem("no_flag", "it was randomised elsewhere and has no flag to roll out on", "flag")
        )
    needs_approval = iteration_rules(iteration).needs(Item.APPROVAL)
    if recommended and needs_approval:
        found += four_eyes(actor, known.request)
        if actor.kind is ActorKind.KEY:
            found.append(
                Problem(
                    "person_wanted", "its policy wants a person, not a key, to promote", "actor"
                )
            )
    if actor.kind is ActorKind.MACHINE:
        found += _machine_may_not(experiment, iteration)
    if found:
        raise Refused(f"{experiment.key}: cannot promote", field=found[0].field, problems=found)


def _machine_may_not(experiment: Experiment, iteration: Iteration) -> list[Problem]:
    found = []
    if experiment.promotion_held:
        found.append(Problem("promotion_held", "a person holds its promotion", "promotion_held"))
    if not iteration_design(iteration).auto_promote:
        found.append(
            Problem("not_automatic", "its design leaves promotion to people", "auto_promote")
        )
    return found


def _test_arm(iteration: Iteration, variant_key: str) -> DesignVariant:
    arm = iteration_design(iteration).variant(variant_key)
    if arm is None:
        raise NotFound(
            f"{iteration.experiment.key}: no variant {variant_key[:128]!r}", field="variant"
        )
    if arm.is_control:
        raise Refused(
            f"{iteration.experiment.key}: {arm.key} is the control; conclude instead of promoting it",
            field="variant",
        )
    return arm


def _refuse_stopped(iteration: Iteration, arm: DesignVariant) -> None:
    """What was switched off for harm is not given to everybody."""
    off = iteration.stopped_arms.filter(variant__key=arm.key).first()
    if off is not None:
        message = f"{iteration.experiment.key}: {arm.key} is switched off since {moment(off.stopped_at)} ({off.reason[:200]})"
        raise Refused(f"{message}; only a new iteration can clear it", field="variant")


def _roll_out(
    actor: Actor, now: datetime, experiment: Experiment, iteration: Iteration, arm: DesignVariant
) -> Rollout:
    """The rollout's row, after closing an earlier one. Buckets are read before they are
    released.
    """
    design, rules = iteration_design(iteration), iteration_rules(iteration)
    _close_earlier(actor, now, experiment)
    held_back = buckets.holdback(iteration, rules.holdback)
    until = now + timedelta(days=RETURN_DAYS)
    return Rollout.objects.create(
        flag=locked_flag(design.flag_key),
        experiment=experiment,
        iteration=iteration,
        variant=experiment.variants.get(key=arm.key),
        value=arm.served,
        config=arm.config if isinstance(arm.config, dict) else {},
        control_value=design.control.served if design.control is not None else None,
        audience={
            "unit_type": design.unit_type,
            "seed": iteration.layer.seed if iteration.layer is not None else "",
            "targeting": design.targeting or [],
            "buckets": buckets.indexes_of(iteration),
        },
        holdback_buckets=held_back,
        holdback_until=until if held_back else None,
        returnable_until=until,
        created_at=now,
    )


def _close_earlier(actor: Actor, now: datetime, experiment: Experiment) -> None:
    """One rollout per flag. What had reached everybody becomes the default, so that those outside
    the new audience keep it.
    """
    earlier = open_rollout(experiment)
    if earlier is None:
        return
    reason = f"replaced by the promotion of {experiment.key}"
    audience = earlier.audience
    if not audience.get("targeting") and len(audience.get("buckets") or range(BUCKETS)) == BUCKETS:
        change_default(actor, now, locked_flag(earlier.flag.key), earlier.value, reason)
    _close(earlier, now, reason)
    audit.record(
        actor,
        now,
        action="rollout_closed",
        obj=earlier,
        experiment=earlier.experiment,
        reason=reason,
    )


def _close(rollout: Rollout, now: datetime, reason: str) -> None:
    if (
        Rollout.objects.filter(pk=rollout.pk, closed_at__isnull=True).update(
            closed_at=now, closed_reason=reason
        )
        != 1
    ):
        raise Conflict(f"rollout {rollout.pk}: was closed meanwhile")


def return_to_control(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str
) -> Experiment:
    """Take a promotion back within 28 days: everybody gets control's value again."""
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.RETURN_TO_CONTROL, experiment)
        reason = wanted_reason(reason, experiment.key, "returning to control")
        rollout = _returnable(experiment, now)
        flag = locked_flag(rollout.flag.key)
        _close(rollout, now, reason)
        if flag.default_value != rollout.control_value:
            _serve_control(rollout, now)
        Experiment.objects.filter(pk=experiment.pk).update(
            outcome=Outcome.REVERTED.value, updated_at=now
        )
        before: JSON = {"outcome": experiment.outcome, "value": rollout.value}
        after: JSON = {"outcome": Outcome.REVERTED.value, "value": rollout.control_value}
        audit.record(
            actor,
            now,
            action="returned_to_control",
            obj=experiment,
            reason=reason,
            before=before,
            after=after,
        )
        publish(now, f"{experiment.key}: returned to control")
        experiment.refresh_from_db()
    return experiment


def _returnable(experiment: Experiment, now: datetime) -> Rollout:
    rollout = open_rollout(experiment)
    if rollout is None or rollout.experiment_id != experiment.pk:
        raise Refused(f"{experiment.key}: has no open rollout to take back", field="rollout")
    if now > rollout.returnable_until:
        message = f"{experiment.key}: could be taken back until {moment(rollout.returnable_until)}; now it is an admin's change"
        raise Refused(message, field="rollout")
    return rollout


def _serve_control(rollout: Rollout, now: datetime) -> None:
    """Where the flag's default is not control's value, the same audience is served control's value
    instead.
    """
    control = rollout.experiment.variants.get(is_control=True)
    Rollout.objects.create(
        flag=rollout.flag,
        experiment=rollout.experiment,
        iteration=rollout.iteration,
        variant=control,
        value=rollout.control_value,
        config=control.config,
        control_value=rollout.control_value,
        audience=rollout.audience,
        returnable_until=now,
        created_at=now,
    )


def hold_promotion(
    actor: Actor, now: datetime, *, experiment_id: int, held: bool, reason: str = ""
) -> Experiment:
    """Keep the machine from promoting, or let it again; people and their decisions are not
    touched.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.HOLD_PROMOTION, experiment)
        if experiment.promotion_held == held:
            raise Refused(
                f"{experiment.key}: its promotion is {'held' if held else 'not held'} already",
                field="promotion_held",
            )
        experiment.promotion_held, experiment.updated_at = held, now
        experiment.save(update_fields=["promotion_held", "updated_at"])
        before: JSON = {"promotion_held": not held}
        audit.record(
            actor,
            now,
            action="promotion_held",
            obj=experiment,
            reason=reason,
            before=before,
            after={"promotion_held": held},
        )
    return experiment
