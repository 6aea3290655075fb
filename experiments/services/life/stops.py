"""Stopping: pause, emergency stop, abort, conclude, archive."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import structlog
from django.db import OperationalError, transaction

from experiments.core.errors import AssayError, Conflict, InvalidInput, Refused
from experiments.core.life.four_eyes import four_eyes
from experiments.core.life.lifecycle import CONCLUSIONS, Verb, transition_for
from experiments.core.messages.notices import TITLE_LENGTH, Notice, NoticeKind
from experiments.core.permissions import Action
from experiments.core.types import JSON, Actor, ActorKind, Outcome, PauseCause, Status
from experiments.models import Experiment, Iteration, Pause, StoppedArm, UrgentStop, Variant
from experiments.selectors.checklist import facts, launch_request
from experiments.services.ground import audit, outbox
from experiments.services.ground.guarding import locked, publish
from experiments.services.ground.lock_waits import is_locked, waiting_at_most
from experiments.services.life import advice
from experiments.services.life.steps import (
    Moment,
    end_iteration,
    enter,
    finish,
    judge,
    move,
    the_iteration,
)

log = structlog.get_logger(__name__)

PATIENCE_MS = 300
"""How long an emergency stop waits for a lock before it goes the way that needs none."""


def pause(actor: Actor, now: datetime, *, experiment_id: int, reason: str = "") -> Experiment:
    """Stop serving for a while; the flag's rollout, else its default, is served instead."""
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.PAUSE, reason)
        _pause(moment, now, PauseCause.PERSON)
        finish(actor, now, moment)
    return moment.experiment


def emergency_stop(actor: Actor, now: datetime, *, experiment_id: int, reason: str) -> Experiment:
    """Stop because it harms: a running experiment is paused with that cause, a dark launch returns
    to draft.

    It never waits for a row that somebody else holds: the default is served at once, and the stop
    is booked later.
    """
    try:
        with transaction.atomic():
            with waiting_at_most(PATIENCE_MS):
                moment = enter(actor, now, experiment_id, Verb.EMERGENCY_STOP, reason)
            _stop(actor, now, moment)
    except OperationalError as error:
        if not is_locked(error):
            raise
        return _stop_without_the_row(actor, now, experiment_id, reason)
    return moment.experiment


def _stop(actor: Actor, now: datetime, moment: Moment) -> None:
    if moment.step.source is Status.DARK_LAUNCH:
        end_iteration(moment.experiment, now)
        move(moment, now)
    else:
        _pause(moment, now, PauseCause.HARM)
    _settle(moment.experiment.pk, now, "booked")
    finish(actor, now, moment, after={"cause": PauseCause.HARM.value})


def _stop_without_the_row(
    actor: Actor, now: datetime, experiment_id: int, reason: str, arms: Collection[str] = ()
) -> Experiment:
    """Judge by what can be read, write the stop down apart from the row, and serve the default from
    this commit on.

    ``arms``: the test arms that are stopped alone; without any, everything is stopped.
    """
    with transaction.atomic():
        experiment = Experiment.objects.select_related("flag", "policy", "layer", "owner").get(
            pk=experiment_id
        )
        moment = judge(actor, now, experiment, Verb.EMERGENCY_STOP, reason)
        alone = arms if moment.step.source is not Status.DARK_LAUNCH else ()
        if alone:
            _split(experiment, the_iteration(experiment), alone)
        written = [_write_down(actor, now, moment, arm) for arm in sorted(set(alone)) or [""]]
        if any(written):
            what = f"{experiment.key}: {', '.join(sorted(set(alone)))}" if alone else experiment.key
            title = f"{what} was stopped in an emergency by {actor.label}; it is booked once its row is free"
            key = (
                f"urgent_stop:{experiment.pk}:{'-'.join(sorted(set(alone)))}:{now.timestamp():.0f}"
            )
            outbox.put(
                now, Notice(NoticeKind.BREACH, title[:TITLE_LENGTH], moment.reason), key=key[:120]
            )
        publish(now, f"{experiment.key}: emergency stop while its row is locked")
    return experiment


def _write_down(actor: Actor, now: datetime, moment: Moment, arm: str) -> bool:
    """Whether nobody has stopped the same before and waits."""
    row = UrgentStop(
        experiment=moment.experiment,
        arm=arm,
        actor_kind=actor.kind.value,
        actor_label=actor.label[:160],
    )
    row.actor_id, row.reason, row.at = actor.user_id, moment.reason, now
    before = UrgentStop.objects.filter(
        experiment=moment.experiment, arm=arm, settled_at__isnull=True
    ).exists()
    UrgentStop.objects.bulk_create([row], ignore_conflicts=True)
    return not before


def book_urgent_stops(now: datetime) -> int:
    """Book every emergency stop whose experiment's row is free by now; says how many are
    settled.
    """
    waiting = UrgentStop.objects.filter(settled_at__isnull=True).order_by("at", "pk")
    return sum(_book(stop, now) for stop in waiting)


def _book(stop: UrgentStop, now: datetime) -> bool:
    """As of the moment it was pressed, in the name of whoever pressed. One that still has to wait
    costs no other.
    """
    actor = Actor(ActorKind(stop.actor_kind), stop.actor_label, stop.actor_id)
    try:
        with transaction.atomic(), waiting_at_most(PATIENCE_MS):
            experiment = locked(stop.experiment_id)
            step = transition_for(
                Verb.EMERGENCY_STOP, Status(experiment.status), PauseCause(experiment.pause_cause)
            )
            overtaken = (
                f"the experiment was {experiment.status} by then"
                if step is None
                else _gone_already(experiment, stop.arm)
            )
            if step is None or overtaken:
                _settle(experiment.pk, now, f"not booked: {overtaken}", stop.arm)
                publish(now, f"{experiment.key}: emergency stop overtaken")
                return True
            moment = Moment(experiment, facts(experiment, now), step, stop.reason)
            if stop.arm:
                _stop_alone(actor, stop.at, moment, [stop.arm])
                _settle(experiment.pk, now, "booked", stop.arm)
            else:
                _stop(actor, stop.at, moment)
    except OperationalError as error:
        if not is_locked(error):
            raise
        log.warning("urgent_stop_waits", experiment=stop.experiment_id, since=stop.at.isoformat())
        return False
    except AssayError as error:
        log.error(
            "urgent_stop_refused",
            experiment=stop.experiment_id,
            since=stop.at.isoformat(),
            reason=str(error),
        )
        return False
    return True


def _gone_already(experiment: Experiment, arm: str) -> str:
    """Why an arm needs no stopping any more."""
    if not arm or arm in {one.key for one in _serving(experiment, the_iteration(experiment))}:
        return ""
    return f"{arm} did not serve any more by then"


def _settle(experiment_id: int, now: datetime, outcome: str, arm: str | None = None) -> None:
    """Of one arm, or, when everything was stopped, of all that waits."""
    waiting = UrgentStop.objects.filter(experiment=experiment_id, settled_at__isnull=True)
    (waiting.filter(arm=arm) if arm else waiting).update(settled_at=now, outcome=outcome)


def stop_arms(
    actor: Actor, now: datetime, *, experiment_id: int, variant_keys: Collection[str], reason: str
) -> Experiment:
    """Switch test arms off alone because they harm: their units get the rollout or the default,
    everyone else keeps their variant.

    An arm stays off until a new iteration. When no test arm is left, or in a dark launch,
    everything stops. Like an emergency stop of everything it never waits for a row that somebody
    else holds.
    """
    try:
        with transaction.atomic():
            with waiting_at_most(PATIENCE_MS):
                moment = enter(actor, now, experiment_id, Verb.EMERGENCY_STOP, reason)
            if moment.step.source is Status.DARK_LAUNCH:
                _stop(actor, now, moment)
            else:
                _stop_alone(actor, now, moment, variant_keys)
    except OperationalError as error:
        if not is_locked(error):
            raise
        return _stop_without_the_row(actor, now, experiment_id, reason, variant_keys)
    return moment.experiment


def _stop_alone(actor: Actor, now: datetime, moment: Moment, keys: Collection[str]) -> None:
    iteration = the_iteration(moment.experiment)
    gone, left = _split(moment.experiment, iteration, keys)
    StoppedArm.objects.bulk_create(
        StoppedArm(iteration=iteration, variant=arm, stopped_at=now, reason=moment.reason)
        for arm in gone
    )
    stopped: JSON = [arm.key for arm in gone]
    if left:
        line: JSON = {"stopped": stopped, "iteration": iteration.number}
        audit.record(
            actor,
            now,
            action="arm_stopped",
            obj=moment.experiment,
            reason=moment.reason,
            after=line,
        )
        publish(now, f"{moment.experiment.key}: {', '.join(arm.key for arm in gone)} stopped")
    else:
        _pause(moment, now, PauseCause.HARM)
        finish(actor, now, moment, after={"cause": PauseCause.HARM.value, "stopped": stopped})


def _serving(experiment: Experiment, iteration: Iteration) -> list[Variant]:
    """The test arms that are not switched off."""
    off = set(iteration.stopped_arms.values_list("variant_id", flat=True))
    return [arm for arm in experiment.variants.all() if not arm.is_control and arm.pk not in off]


def _split(
    experiment: Experiment, iteration: Iteration, keys: Collection[str]
) -> tuple[list[Variant], list[Variant]]:
    """The arms to switch off, and the test arms that go on; refuses what is no test arm that
    serves.
    """
    serving = _serving(experiment, iteration)
    unknown = sorted(set(keys) - {arm.key for arm in serving})
    if unknown or not keys:
        has = ", ".join(arm.key for arm in serving) or "none"
        named = ", ".join(unknown)[:200] or "nothing"
        raise Refused(
            f"{experiment.key}: {named} is no test arm that serves; these do: {has}",
            field="variants",
        )
    return [arm for arm in serving if arm.key in keys], [
        arm for arm in serving if arm.key not in keys
    ]


def _pause(moment: Moment, now: datetime, cause: PauseCause) -> None:
    iteration = the_iteration(moment.experiment)
    Pause.objects.create(
        iteration=iteration, started_at=now, cause=cause.value, reason=moment.reason
    )
    move(moment, now, cause=cause)


def abort_dark_launch(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str
) -> Experiment:
    """Back to draft; the next dark launch randomises anew."""
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.ABORT_DARK_LAUNCH, reason)
        end_iteration(moment.experiment, now)
        move(moment, now)
        finish(actor, now, moment)
    return moment.experiment


def abort_harmful_dark_launch(
    actor: Actor, now: datetime, *, experiment_id: int, iteration_id: int, reason: str
) -> Experiment:
    """Back to draft because the dark launch that was measured harms; one that went live or began
    anew meanwhile is left alone.

    Whoever may stop in an emergency may do so, the machine above all.
    """
    with transaction.atomic():
        moment = enter(
            actor, now, experiment_id, Verb.ABORT_DARK_LAUNCH, reason, action=Action.EMERGENCY_STOP
        )
        if the_iteration(moment.experiment).pk != iteration_id:
            raise Conflict(
                f"{moment.experiment.key}: another dark launch has begun since the harmful one was measured"
            )
        end_iteration(moment.experiment, now)
        move(moment, now)
        finish(actor, now, moment, after={"cause": PauseCause.HARM.value})
    return moment.experiment


def conclude(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    outcome: Outcome | str | None = None,
    reason: str = "",
) -> Experiment:
    """End without promoting; unless said otherwise the outcome is harm after a harm stop, else
    inconclusive.
    """
    if outcome is not None and outcome not in CONCLUSIONS:
        raise InvalidInput(
            f"outcome {str(outcome)[:40]!r}: concluding records one of {', '.join(CONCLUSIONS)}",
            field="outcome",
        )
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.CONCLUDE, reason)
        _heed(actor, moment.experiment)
        harmed = moment.experiment.pause_cause == PauseCause.HARM
        recorded = (
            Outcome(outcome)
            if outcome
            else (Outcome.STOPPED_HARM if harmed else Outcome.INCONCLUSIVE)
        )
        end_iteration(moment.experiment, now)
        move(moment, now, outcome=recorded, end_ts=now)
        finish(actor, now, moment, after={"outcome": recorded.value})
    return moment.experiment


def _heed(actor: Actor, experiment: Experiment) -> None:
    """Ending what the decision would promote is a decision against it: it takes somebody who did
    not ask for the launch.
    """
    found = None if actor.kind is ActorKind.MACHINE else advice.standing(experiment.pk)
    if not isinstance(found, advice.Recommendation):
        return
    problems = four_eyes(actor, launch_request(experiment))
    if problems:
        message = f"{experiment.key}: the decision recommends {found.variant_key}; concluding against it takes a second person"
        raise Refused(message, field="actor", problems=problems)


def archive(actor: Actor, now: datetime, *, experiment_id: int, reason: str = "") -> Experiment:
    """Put a completed experiment away; its results and its rollout stay."""
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.ARCHIVE, reason)
        move(moment, now)
        finish(actor, now, moment)
    return moment.experiment
