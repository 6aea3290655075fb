"""The launch checklist, read: facts from the tables, states, blockers, and what an actor may press
next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from experiments.core.design.allocation import BucketRow, free_buckets
from experiments.core.design.policies import rules_from_json
from experiments.core.errors import Problem
from experiments.core.life import checklist, gate
from experiments.core.life.checklist import (
    Computed,
    Evaluated,
    ItemState,
    LaunchFacts,
    OpenRollout,
    Requested,
    SignedOff,
)
from experiments.core.life.four_eyes import FOUR_EYES, four_eyes
from experiments.core.life.lifecycle import SERVING, Need, Transition, Verb, verbs_from
from experiments.core.permissions import may
from experiments.core.types import Actor, Item, PauseCause, Status
from experiments.models import Bucket, Experiment, LaunchRequest
from experiments.selectors import checklist_rows
from experiments.selectors.experiments import (
    design_of,
    is_member,
    iteration_rules,
    launch_of,
    open_rollout,
)


@dataclass(frozen=True)
class VerbStep:
    """A verb that this actor may press now, what it is called, and what still stands against it."""

    verb: Verb
    label: str
    target: Status
    needs_reason: bool
    blockers: tuple[Problem, ...] = ()

    @property
    def open(self) -> bool:
        """Whether pressing it would go through."""
        return not self.blockers


def facts(experiment: Experiment, now: datetime) -> LaunchFacts:
    """Everything the gate looks at, as of now. Call it under the experiment's lock to decide by
    it.
    """
    iteration = launch_of(experiment)
    return LaunchFacts(
        design=design_of(experiment),
        rules=rules_from_json(experiment.policy.rules)
        if iteration is None
        else iteration_rules(iteration),
        status=Status(experiment.status),
        cause=PauseCause(experiment.pause_cause),
        sign_offs=_sign_offs(experiment),
        evaluations=_evaluations(experiment),
        evidence=_evidence(experiment),
        request=launch_request(experiment),
        dark_started_at=iteration.dark_started_at if iteration is not None else None,
        flag_busy_with=_flag_busy_with(experiment),
        rolled_out=_rolled_out(experiment),
        layer_free=_layer_free(experiment, now),
        planned_end_over=experiment.planned_end is not None and experiment.planned_end <= now,
    )


def states(experiment: Experiment, now: datetime) -> tuple[ItemState, ...]:
    """Every checklist item's state, in the order of the walk."""
    return checklist.states(facts(experiment, now))


def blockers(experiment: Experiment, verb: Verb, now: datetime) -> list[Problem]:
    """Everything that stops this verb now, whoever presses it."""
    return gate.blockers(verb, facts(experiment, now))


def next_steps(experiment: Experiment, actor: Actor, now: datetime) -> list[VerbStep]:
    """The verbs that lead on from here and that this actor may press, each with its blockers."""
    return steps_of(facts(experiment, now), actor, member=is_member(actor, experiment))


def steps_of(known: LaunchFacts, actor: Actor, *, member: bool) -> list[VerbStep]:
    """The same for whoever has gathered the facts already."""
    leaving = verbs_from(known.status, known.cause)
    return [_step(step, known, actor) for step in leaving if may(actor, step.action, member=member)]


def _step(step: Transition, known: LaunchFacts, actor: Actor) -> VerbStep:
    found = gate.blockers(step.verb, known)
    if step.action in FOUR_EYES:
        found += four_eyes(actor, known.request)
    return VerbStep(step.verb, step.label, step.target, Need.REASON in step.needs, tuple(found))


def launch_request(experiment: Experiment) -> Requested | None:
    """Who asked last for the launch, and of which design."""
    row = (
        LaunchRequest.objects.filter(experiment=experiment)
        .select_related("requested_by", "key__made_by")
        .first()
    )
    return None if row is None else checklist_rows.requested(row)


def _sign_offs(experiment: Experiment) -> dict[Item, SignedOff]:
    newest: dict[Item, SignedOff] = {}
    for row in experiment.sign_offs.select_related("signed_by").order_by("-signed_at", "-id"):
        newest.setdefault(Item(row.item), checklist_rows.signed(row))
    return newest


def _evaluations(experiment: Experiment) -> tuple[Evaluated, ...]:
    rows = experiment.offline_evaluations.select_related("variant").order_by("-recorded_at", "-id")
    return tuple(checklist_rows.evaluated(row) for row in rows)


def _evidence(experiment: Experiment) -> dict[Item, Computed]:
    newest: dict[Item, Computed] = {}
    for row in experiment.evidence.order_by("-computed_at", "-id"):
        newest.setdefault(Item(row.item), checklist_rows.computed(row))
    return newest


def _flag_busy_with(experiment: Experiment) -> str:
    if experiment.flag_id is None:
        return ""
    others = Experiment.objects.filter(flag_id=experiment.flag_id, status__in=SERVING).exclude(
        pk=experiment.pk
    )
    return others.values_list("key", flat=True).first() or ""


def _rolled_out(experiment: Experiment) -> OpenRollout | None:
    rollout = open_rollout(experiment)
    return OpenRollout(rollout.value, rollout.experiment.key) if rollout is not None else None


def _layer_free(experiment: Experiment, now: datetime) -> int | None:
    """Free buckets of a shared layer; ``None`` for a private one, which is always empty."""
    if experiment.layer_id is None:
        return None
    rows = (
        Bucket.objects.filter(layer_id=experiment.layer_id)
        .order_by()
        .values_list("index", "iteration_id", "resting_until")
    )
    return len(
        free_buckets(
            (BucketRow(index, holder is not None, rest) for index, holder, rest in rows), now
        )
    )
