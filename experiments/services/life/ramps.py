"""Moving along a ramp: begin, advance, hold, resume, roll back; by a person, or by the machine on
what it judged.

Going up deals further buckets to the same arms in the same proportions. Going back only stops
serving those that the last step brought: they stay held, each by its arm, so that whoever comes in
again meets the variant they had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from experiments.core.errors import AssayError, Conflict, Problem, Refused
from experiments.core.life.ramping import (
    HeldBy,
    RampFacts,
    RampStep,
    parse_ramp,
    percent,
    standing_against,
    waits_for,
)
from experiments.core.permissions import Action
from experiments.core.types import JSON, Actor, ActorKind, BucketRole, Status
from experiments.models import Experiment, Iteration, RampStay
from experiments.selectors.experiments import iteration_design
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    locked,
    permit,
    publish,
    refuse_before_urgent_stop,
    wanted_reason,
)
from experiments.services.life import buckets

Reader = Callable[[int, datetime], RampFacts]
"""Experiment id and moment → what the newest analysis says about its ramp."""

_reader: Reader | None = None


def set_reader(reader: Reader | None) -> None:
    """Wire what knows the verdicts; they are learnt above this layer."""
    global _reader
    _reader = reader


@dataclass(frozen=True)
class Judged:
    """What a move was decided about; when the ramp is elsewhere by then, somebody was first."""

    iteration_id: int
    step: int


@dataclass(frozen=True)
class _Ramp:
    experiment: Experiment
    iteration: Iteration
    steps: tuple[RampStep, ...]
    stay: RampStay

    def at(self, step: int) -> dict[str, JSON]:
        """A place on the ramp, as the changelog tells it."""
        return {"step": step + 1, "traffic": self.steps[step].share}


def begin(iteration: Iteration, now: datetime) -> None:
    """Note the first step of an iteration that goes live; without a ramp there is none. Inside the
    caller's transaction.
    """
    steps = parse_ramp(iteration_design(iteration).ramp)
    if steps:
        RampStay.objects.create(
            iteration=iteration, step=0, share=steps[0].share, started_at=now, reason="went live"
        )


def advance(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    reason: str = "",
    judged: Judged | None = None,
) -> Experiment:
    """Take the next step. A person may do so before its minimum is met, with a reason, never while
    harm or masks stand against it.
    """
    with transaction.atomic():
        ramp = _enter(actor, experiment_id, Action.ADVANCE_RAMP, judged)
        step = ramp.iteration.step + 1
        if step == len(ramp.steps):
            raise Refused(
                f"{ramp.experiment.key}: stands at its last ramp step, {percent(ramp.stay.share)}",
                field="action",
            )
        if actor.kind is not ActorKind.MACHINE:
            _refuse_untimely(ramp, now, reason)
        _move(ramp, now, step, reason)
        if not ramp.iteration.buckets.filter(role=BucketRole.MAIN.value, step=step).exists():
            buckets.hold_main(ramp.iteration, now)
        _tell(
            actor, now, ramp, "ramp_advanced", reason, before=ramp.at(step - 1), after=ramp.at(step)
        )
        publish(now, f"{ramp.experiment.key}: ramp step {step + 1}")
    return ramp.experiment


def hold(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str, judged: Judged | None = None
) -> Experiment:
    """Stay at this step: until what speaks against the next one is gone, or, held by a person,
    until a person resumes it.
    """
    with transaction.atomic():
        ramp = _enter(actor, experiment_id, Action.HOLD_RAMP, judged)
        reason = wanted_reason(reason, ramp.experiment.key, "holding a ramp")
        by = HeldBy.MACHINE if actor.kind is ActorKind.MACHINE else HeldBy.PERSON
        if ramp.stay.held_by in (HeldBy.PERSON, by):
            raise Refused(
                f"{ramp.experiment.key}: its ramp is held already: {ramp.stay.held_reason}",
                field="action",
            )
        RampStay.objects.filter(pk=ramp.stay.pk).update(
            held_by=by.value, held_since=now, held_reason=reason
        )
        _tell(
            actor, now, ramp, "ramp_held", reason, before=None, after=ramp.at(ramp.iteration.step)
        )
    return ramp.experiment


def resume(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    reason: str = "",
    judged: Judged | None = None,
) -> Experiment:
    """Let a held ramp go on. The machine lifts only its own hold; after a step back it takes who
    may advance.
    """
    with transaction.atomic():
        ramp = _enter(actor, experiment_id, Action.HOLD_RAMP, judged)
        if not ramp.stay.held_by:
            raise Refused(f"{ramp.experiment.key}: its ramp is not held", field="action")
        if _came_back(ramp.stay):
            permit(actor, Action.ADVANCE_RAMP, ramp.experiment)
        RampStay.objects.filter(pk=ramp.stay.pk).update(held_by="", held_since=None, held_reason="")
        was: JSON = {"held": ramp.stay.held_reason}
        _tell(
            actor, now, ramp, "ramp_resumed", reason, before=was, after=ramp.at(ramp.iteration.step)
        )
    return ramp.experiment


def roll_back(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str, judged: Judged | None = None
) -> Experiment:
    """Take the last step back: those it brought get the flag's rollout, else its default, and a
    person decides what comes next.
    """
    with transaction.atomic():
        ramp = _enter(actor, experiment_id, Action.ADVANCE_RAMP, judged)
        reason = wanted_reason(reason, ramp.experiment.key, "a step back")
        step = ramp.iteration.step - 1
        if step < 0:
            raise Refused(
                f"{ramp.experiment.key}: stands at its first ramp step; pause it, or stop it for harm",
                field="action",
            )
        _move(ramp, now, step, reason, held=True)
        _tell(
            actor,
            now,
            ramp,
            "ramp_rolled_back",
            reason,
            before=ramp.at(step + 1),
            after=ramp.at(step),
        )
        publish(now, f"{ramp.experiment.key}: back to ramp step {step + 1}")
    return ramp.experiment


def _enter(actor: Actor, experiment_id: int, action: Action, judged: Judged | None) -> _Ramp:
    """Lock, permission, and a ramp that stands where it was judged."""
    experiment = locked(experiment_id)
    refuse_before_urgent_stop(experiment)
    permit(actor, action, experiment)
    if experiment.status != Status.RUNNING:
        raise Refused(
            f"{experiment.key}: a ramp moves while the experiment runs; it is {experiment.status}",
            field="status",
        )
    stay = RampStay.objects.filter(
        iteration__experiment=experiment, iteration__ended_at__isnull=True, ended_at__isnull=True
    ).first()
    if stay is None:
        raise Refused(
            f"{experiment.key}: was launched without a ramp, at its whole share", field="ramp"
        )
    iteration = Iteration.objects.select_related("layer", "experiment").get(pk=stay.iteration_id)
    if judged is not None and judged != Judged(iteration.pk, iteration.step):
        raise Conflict(
            f"{experiment.key}: its ramp stands at step {iteration.step + 1} now; somebody was first"
        )
    if actor.kind is ActorKind.MACHINE and stay.held_by == HeldBy.PERSON:
        raise Conflict(
            f"{experiment.key}: its ramp is held by a person, who was first: {stay.held_reason}"
        )
    return _Ramp(experiment, iteration, parse_ramp(iteration_design(iteration).ramp), stay)


def _refuse_untimely(ramp: _Ramp, now: datetime, reason: str) -> None:
    """A person is told what stands against the step, and says why when its minimum is not met."""
    if _reader is None:
        raise AssayError(
            "this process cannot read verdicts; advance through the web process",
            code="not_available",
        )
    facts = _reader(ramp.experiment.pk, now)
    problems = [Problem("ramp_against", one, "action") for one in standing_against(facts)]
    if facts.unknown:
        problems.append(Problem("ramp_unknown", facts.unknown, "action"))
    if problems:
        raise Refused(
            f"{ramp.experiment.key}: its ramp cannot go up", field="action", problems=problems
        )
    missing = waits_for(facts)
    if missing:
        wanted_reason(reason, ramp.experiment.key, f"advancing early ({', '.join(missing)})")


def _move(ramp: _Ramp, now: datetime, step: int, reason: str, *, held: bool = False) -> None:
    iteration, share = ramp.iteration, ramp.steps[step].share
    RampStay.objects.filter(pk=ramp.stay.pk).update(
        ended_at=now, held_by="", held_since=None, held_reason=""
    )
    RampStay.objects.create(
        iteration=iteration,
        step=step,
        share=share,
        started_at=now,
        reason=reason,
        held_by=HeldBy.PERSON.value if held else "",
        held_since=now if held else None,
        held_reason=reason if held else "",
    )
    iteration.step, iteration.traffic, iteration.step_started_at = step, share, now
    iteration.save(update_fields=["step", "traffic", "step_started_at"])


def _came_back(stay: RampStay) -> bool:
    """Whether the step was entered from a later one."""
    before = (
        RampStay.objects.filter(iteration_id=stay.iteration_id, pk__lt=stay.pk)
        .order_by("-pk")
        .first()
    )
    return before is not None and before.step > stay.step


def _tell(
    actor: Actor, now: datetime, ramp: _Ramp, action: str, reason: str, *, before: JSON, after: JSON
) -> None:
    audit.record(
        actor, now, action=action, obj=ramp.experiment, reason=reason, before=before, after=after
    )
