"""What every lifecycle verb does alike: lock, permission, gate, conditional move, line,
catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from experiments.core.errors import Conflict, Refused
from experiments.core.life import gate
from experiments.core.life.checklist import LaunchFacts
from experiments.core.life.four_eyes import FOUR_EYES, four_eyes
from experiments.core.life.lifecycle import TRANSITIONS, Need, Transition, Verb, transition_for
from experiments.core.permissions import Action
from experiments.core.types import JSON, Actor, Outcome, PauseCause, Status
from experiments.models import Experiment, Iteration
from experiments.selectors.checklist import facts
from experiments.selectors.experiments import open_iteration
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    lock_segments,
    locked,
    locked_flag,
    permit,
    publish,
    refuse_before_urgent_stop,
    wanted_reason,
)
from experiments.services.life import buckets


@dataclass(frozen=True)
class Moment:
    """A verb in progress: the locked experiment, what is known of it, and the arrow it takes."""

    experiment: Experiment
    facts: LaunchFacts
    step: Transition
    reason: str


def enter(
    actor: Actor,
    now: datetime,
    experiment_id: int,
    verb: Verb,
    reason: str,
    action: Action | None = None,
) -> Moment:
    """Lock experiment and flag, check permission, then refuse with every blocker. Inside the
    caller's transaction.

    Everybody who may press hears the same list of blockers; nobody else hears it.
    """
    experiment = locked(experiment_id)
    if verb is not Verb.EMERGENCY_STOP:
        refuse_before_urgent_stop(experiment)
    if experiment.flag is not None:
        locked_flag(experiment.flag.key)
    lock_segments(experiment)
    return judge(actor, now, experiment, verb, reason, action)


def judge(
    actor: Actor,
    now: datetime,
    experiment: Experiment,
    verb: Verb,
    reason: str,
    action: Action | None = None,
) -> Moment:
    """Permission, blockers and reason, as the experiment is now; the caller has locked it, or knows
    that it could not.
    """
    step = transition_for(verb, Status(experiment.status), PauseCause(experiment.pause_cause))
    wanted = action or (
        step.action if step is not None else next(t.action for t in TRANSITIONS if t.verb is verb)
    )
    permit(actor, wanted, experiment)
    known = facts(experiment, now)
    found = gate.blockers(verb, known) + (
        four_eyes(actor, known.request) if wanted in FOUR_EYES else []
    )
    if found or step is None:
        raise Refused(
            _cannot(experiment, verb, step),
            field=found[0].field if found else "status",
            problems=found,
        )
    if Need.REASON in step.needs:
        reason = wanted_reason(reason, experiment.key, verb.value.replace("_", " "))
    return Moment(experiment, known, step, reason)


def _cannot(experiment: Experiment, verb: Verb, step: Transition | None) -> str:
    if step is None:
        return f"{experiment.key}: cannot {verb.value.replace('_', ' ')} from {experiment.status}"
    return f"{experiment.key}: cannot go {step.source.value} → {step.target.value}"


def move(
    moment: Moment,
    now: datetime,
    *,
    outcome: Outcome | None = None,
    cause: PauseCause = PauseCause.NONE,
    **changes: object,
) -> None:
    """Change the status on condition that it is still what the gate judged; whoever was first
    wins.
    """
    experiment, step = moment.experiment, moment.step
    values: dict[str, object] = {
        "status": step.target.value,
        "pause_cause": cause.value,
        "updated_at": now,
        **changes,
    }
    if outcome is not None:
        values["outcome"] = outcome.value
    updated = Experiment.objects.filter(pk=experiment.pk, status=step.source.value).update(**values)
    if updated != 1:
        raise Conflict(f"{experiment.key}: is no longer {step.source.value}; somebody was first")
    experiment.refresh_from_db()


def finish(
    actor: Actor, now: datetime, moment: Moment, *, after: dict[str, JSON] | None = None
) -> None:
    """The line in the changelog, then the catalogue, in the same transaction."""
    step = moment.step
    before: JSON = {"status": step.source.value}
    line: JSON = {"status": step.target.value, **(after or {})}
    audit.record(
        actor,
        now,
        action=step.verb.value,
        obj=moment.experiment,
        reason=moment.reason,
        before=before,
        after=line,
    )
    publish(now, f"{moment.experiment.key}: {step.verb.value}")


def end_iteration(experiment: Experiment, now: datetime) -> Iteration | None:
    """Close the open iteration and its open pause, and let its buckets rest."""
    iteration = open_iteration(experiment)
    if iteration is None:
        return None
    iteration.pauses.filter(ended_at__isnull=True).update(ended_at=now)
    iteration.held = buckets.holders_of(iteration)
    buckets.release(iteration, now)
    iteration.ended_at = now
    iteration.save(update_fields=["ended_at", "held"])
    return iteration


def the_iteration(experiment: Experiment) -> Iteration:
    """The open iteration; every serving status has one."""
    iteration = open_iteration(experiment)
    if iteration is None:
        raise Refused(f"{experiment.key}: has no open iteration", field="status")
    return iteration
