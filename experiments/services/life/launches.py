"""Launching: dark launch, start, resume. An iteration begins with a frozen design and its
buckets.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.design.design import digest, facets, judged
from experiments.core.life.checklist import LaunchFacts
from experiments.core.life.lifecycle import Verb
from experiments.core.life.ramping import first_share, parse_ramp
from experiments.core.types import JSON, Actor, Item, Origin, Status
from experiments.models import Evidence, Experiment, Iteration
from experiments.selectors.experiments import open_rollout, resumes_anew
from experiments.services.ground import audit
from experiments.services.ground.guarding import wanted_reason
from experiments.services.life import buckets, ramps
from experiments.services.life.checklist import write_request
from experiments.services.life.steps import end_iteration, enter, finish, move, the_iteration


def start_dark_launch(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str = ""
) -> Experiment:
    """Touch one per cent of units, with as many twins beside them; the design is frozen from here
    on.
    """
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.START_DARK_LAUNCH, reason)
        iteration = _open(moment.experiment, moment.facts, now, dark_started_at=now)
        buckets.hold_dark(iteration, now)
        close_holdback(actor, now, moment.experiment)
        move(moment, now)
        finish(actor, now, moment, after={"iteration": iteration.number})
    return moment.experiment


def start(actor: Actor, now: datetime, *, experiment_id: int, reason: str = "") -> Experiment:
    """Go live at the declared share: from a dark launch in its iteration, else with a new one."""
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.START, reason)
        experiment = moment.experiment
        if not moment.facts.rules.needs(Item.APPROVAL):
            # Where nobody approves, starting is the request: a promotion by hand then wants
            # somebody else.
            write_request(actor, now, experiment, "started")
        if moment.step.source is Status.DRAFT:
            iteration = _open(experiment, moment.facts, now)
            close_holdback(actor, now, experiment)
        else:
            iteration = the_iteration(experiment)
        go_live(iteration, now)
        move(moment, now, start_ts=experiment.start_ts or now)
        finish(
            actor, now, moment, after={"iteration": iteration.number, "traffic": iteration.traffic}
        )
    return experiment


def resume(actor: Actor, now: datetime, *, experiment_id: int, reason: str = "") -> Experiment:
    """Serve again: after a short pause in the same iteration, after harm or a long one in a new
    one, re-randomised.
    """
    with transaction.atomic():
        moment = enter(actor, now, experiment_id, Verb.RESUME, reason)
        experiment = moment.experiment
        iteration = the_iteration(experiment)
        if resumes_anew(iteration, moment.facts.design, now):
            wanted_reason(
                reason, experiment.key, "resuming after so long a pause randomises anew and"
            )
            end_iteration(experiment, now)
            iteration = _open(experiment, moment.facts, now)
            go_live(iteration, now)
        else:
            iteration.pauses.filter(ended_at__isnull=True).update(ended_at=now)
        move(moment, now)
        finish(actor, now, moment, after={"iteration": iteration.number})
    return experiment


def _open(
    experiment: Experiment,
    known: LaunchFacts,
    now: datetime,
    *,
    dark_started_at: datetime | None = None,
) -> Iteration:
    """A new iteration: design, policy and plan as they are now, for good; a layer of its own unless
    it shares one.
    """
    number = experiment.iterations.count() + 1
    layer = experiment.layer
    if layer is None and experiment.origin != Origin.IMPORT:
        layer = buckets.open_layer(now, name=f"{experiment.key}#{number}", private=True)
    return Iteration.objects.create(
        experiment=experiment,
        number=number,
        layer=layer,
        design=known.design.as_json(),
        design_sha256=digest(facets(known.design)),
        policy_rules=known.rules.as_json(),
        plan=_plan(experiment, known),
        traffic=first_share(parse_ramp(known.design.ramp), experiment.traffic),
        began_at=now,
        dark_started_at=dark_started_at,
    )


def _plan(experiment: Experiment, known: LaunchFacts) -> JSON:
    """The computed sample-size plan, if it is about this very design."""
    wanted = digest(judged(known.design, Item.SAMPLE_SIZE))
    found = Evidence.objects.filter(
        experiment=experiment, item=Item.SAMPLE_SIZE.value, judged_sha256=wanted
    ).first()
    detail: JSON = {} if found is None else found.detail
    return detail


def go_live(iteration: Iteration, now: datetime) -> None:
    """Main buckets for the iteration's share; what was randomised elsewhere holds none."""
    if iteration.layer is not None:
        buckets.hold_main(iteration, now)
    iteration.started_at = iteration.step_started_at = now
    iteration.save(update_fields=["started_at", "step_started_at"])
    ramps.begin(iteration, now)


def close_holdback(actor: Actor, now: datetime, experiment: Experiment) -> None:
    """A new experiment on a rolled-out flag compares against the rolled-out value, so nobody is
    held back from it.
    """
    rollout = open_rollout(experiment)
    if rollout is None or not rollout.holdback_buckets:
        return
    before: JSON = {"holdback_buckets": rollout.holdback_buckets}
    rollout.holdback_buckets, rollout.holdback_until = [], None
    rollout.save(update_fields=["holdback_buckets", "holdback_until"])
    audit.record(
        actor,
        now,
        action="holdback_closed",
        obj=rollout,
        experiment=rollout.experiment,
        reason=f"{experiment.key} starts on the flag",
        before=before,
        after={"holdback_buckets": []},
    )
