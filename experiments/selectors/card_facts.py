"""What the tables of experiments know for decision cards, of many experiments in a fixed number of
queries.

What the analysis says is added above this layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from experiments.core.cards import CardFacts, RolledOut, Stop
from experiments.core.cards.facts import UNREAD
from experiments.core.life.checklist import LaunchFacts, out_of_reach, states
from experiments.core.types import ActorKind, Item, Origin, Outcome, PauseCause, Status
from experiments.models import (
    ChangeLogEntry,
    Experiment,
    LaunchRequest,
    Rollout,
    UrgentStop,
    Variant,
)
from experiments.selectors.overview import checklist_facts
from experiments.selectors.switches import SWITCHED

UNLAUNCHED = (Status.DRAFT, Status.DARK_LAUNCH)
OVER = (Status.COMPLETED, Status.ARCHIVED)
PLATFORM = "the platform"
_STOPS = ("pause", "emergency_stop", "arm_stopped")
_ENDS = ("conclude", "promote")
_NOTES = ("note_added", "commented")
_DECISION = re.compile(r"^decision \d+: ")


@dataclass
class _Lines:
    """The newest lines of the changelog that a card quotes."""

    stop: ChangeLogEntry | None = None
    ended: ChangeLogEntry | None = None
    note: ChangeLogEntry | None = None


def card_facts(
    experiments: Sequence[Experiment],
    now: datetime,
    *,
    checklists: bool = True,
    known: LaunchFacts | None = None,
) -> dict[int, CardFacts]:
    """Experiment id → facts without a reading. Without ``checklists``, for ordering alone, nothing
    is said of what a draft still needs, of who ended it and of rollouts.

    ``known`` are the checklist's facts of the only experiment, where they are there already.
    """
    gathered = _gathered(experiments, known) if checklists else {}
    requests = _requests(experiments) if known is None else _requested(experiments, known)
    lines = _lines(experiments) if checklists else {}
    rollouts = _rollouts(experiments) if checklists else {}
    off, urgent = _switched_off(experiments), _urgent(experiments)
    found = {
        one.pk: _facts(
            one,
            now,
            gathered.get(one.pk),
            lines.get(one.pk, _Lines()),
            requests.get(one.pk, frozenset()),
            rollouts.get(one.pk),
            off,
            urgent.get(one.pk, {}),
        )
        for one in experiments
    }
    return {**found, **_unread(experiments, gathered, found)} if checklists else found


def _unread(
    experiments: Sequence[Experiment],
    gathered: Mapping[int, LaunchFacts],
    found: Mapping[int, CardFacts],
) -> dict[int, CardFacts]:
    """Of those whose checklist could not be read: that it lacks something, so that nobody is told
    to start it.
    """
    unread = [one.pk for one in experiments if one.status in UNLAUNCHED and one.pk not in gathered]
    return {pk: replace(found[pk], missing=(UNREAD,)) for pk in unread}


def _gathered(
    experiments: Sequence[Experiment], known: LaunchFacts | None
) -> dict[int, LaunchFacts]:
    """Of those that are not launched yet."""
    unlaunched = [one for one in experiments if one.status in UNLAUNCHED]
    return checklist_facts(unlaunched) if known is None else {one.pk: known for one in unlaunched}


def _requested(experiments: Sequence[Experiment], known: LaunchFacts) -> dict[int, frozenset[int]]:
    return {} if known.request is None else {one.pk: known.request.askers for one in experiments}


def _facts(
    experiment: Experiment,
    now: datetime,
    known: LaunchFacts | None,
    lines: _Lines,
    asked: frozenset[int],
    rollout: RolledOut | None,
    off: Mapping[str, Stop],
    urgent: Mapping[str, Stop],
) -> CardFacts:
    status = Status(experiment.status)
    start, end = experiment.start_ts, experiment.planned_end
    over = status in OVER
    return CardFacts(
        status=status,
        outcome=Outcome(experiment.outcome),
        pause_cause=PauseCause(experiment.pause_cause),
        origin=Origin(experiment.origin),
        missing=()
        if known is None
        else tuple(one.title for one in states(known) if one.required and not one.settled),
        asked=asked,
        off=off.get(experiment.flag_id or "") if not over else None,
        urgent=urgent.get(""),
        urgent_arms={arm: stop for arm, stop in urgent.items() if arm},
        flag=experiment.flag_id or "",
        held=experiment.promotion_held,
        stop=_stop(lines.stop) if status is Status.PAUSED else None,
        ended=_ended(lines.ended) if over else None,
        rollout=rollout if experiment.outcome == Outcome.PROMOTED else None,
        hours=None if start is None else (now - start).total_seconds() / 3600,
        days_left=None if end is None else (end - now).total_seconds() / 86_400,
        learned=lines.note is not None
        and (experiment.end_ts is None or lines.note.at >= experiment.end_ts),
        plan=_plan(known),
        missed=_missed(lines.ended) if experiment.outcome == Outcome.PROMOTED else (),
        known=known,
    )


def _plan(known: LaunchFacts | None) -> str:
    """What the computed plan cannot do in the time it gives itself."""
    found = None if known is None else known.evidence.get(Item.SAMPLE_SIZE)
    return "" if found is None else out_of_reach(found)


def _lines(experiments: Iterable[Experiment]) -> dict[int, _Lines]:
    """Of those that are stopped or over, the newest line of each kind."""
    ids = [one.pk for one in experiments if one.status in (Status.PAUSED, *OVER)]
    found: dict[int, _Lines] = {}
    rows = ChangeLogEntry.objects.filter(
        experiment_id__in=ids, action__in=(*_STOPS, *_ENDS, *_NOTES)
    )
    for row in rows.select_related("actor").order_by("at", "id"):
        lines = found.setdefault(row.experiment_id or 0, _Lines())
        name = "stop" if row.action in _STOPS else "ended" if row.action in _ENDS else "note"
        setattr(lines, name, row)
    return found


def _stop(row: ChangeLogEntry | None) -> Stop | None:
    """Who did it and why. What the platform does rests on what an analysis found; so its harm is
    known.
    """
    if row is None:
        return None
    machine = row.actor_kind == ActorKind.MACHINE
    reason = _DECISION.sub("", row.reason) if machine else row.reason
    return Stop(PLATFORM if machine else _name(row), row.at, reason, harm=machine)


def _ended(row: ChangeLogEntry | None) -> Stop | None:
    """Who ended it; the platform's reason is what the card says anyway."""
    found = _stop(row)
    return replace(found, reason="") if found is not None and found.by == PLATFORM else found


def _name(row: ChangeLogEntry) -> str:
    named = row.actor is not None and row.actor_kind == ActorKind.PERSON
    return (row.actor.get_full_name() if named and row.actor is not None else "") or row.actor_label


def _missed(row: ChangeLogEntry | None) -> tuple[str, ...]:
    unmet = row.after.get("unmet") if row is not None and isinstance(row.after, dict) else None
    return tuple(str(one) for one in unmet) if isinstance(unmet, list) else ()


def _requests(experiments: Iterable[Experiment]) -> dict[int, frozenset[int]]:
    """Who asked last for the launch of each, and who made the key with which they did."""
    ids = [one.pk for one in experiments if one.status not in OVER]
    rows = LaunchRequest.objects.filter(experiment_id__in=ids).order_by("requested_at", "id")
    found = rows.values_list("experiment_id", "requested_by_id", "key__made_by_id")
    return {pk: frozenset({asker, maker} - {None}) for pk, asker, maker in found}


def _rollouts(experiments: Iterable[Experiment]) -> dict[int, RolledOut]:
    """What each promotion left."""
    ids = [one.pk for one in experiments if one.outcome == Outcome.PROMOTED]
    if not ids:
        return {}
    controls = dict(
        Variant.objects.filter(experiment_id__in=ids, is_control=True).values_list(
            "experiment_id", "name"
        )
    )
    rows = (
        Rollout.objects.filter(experiment_id__in=ids)
        .select_related("variant")
        .order_by("created_at", "id")
    )
    return {
        row.experiment_id: RolledOut(
            row.variant.name,
            row.closed_at is None,
            len(row.holdback_buckets),
            row.holdback_until,
            controls.get(row.experiment_id, "control"),
        )
        for row in rows
    }


def _switched_off(experiments: Iterable[Experiment]) -> dict[str, Stop]:
    """Flag key → who switched it off, of those that are off."""
    off = {one.flag.key for one in experiments if one.flag is not None and not one.flag.enabled}
    if not off:
        return {}
    rows = ChangeLogEntry.objects.filter(action=SWITCHED, object_type="flag", object_label__in=off)
    newest = {row.object_label: row for row in rows.select_related("actor").order_by("at", "id")}
    created = {one.flag.key: one.flag.created_at for one in experiments if one.flag is not None}
    return {key: _switch(newest.get(key), created[key]) for key in off}


def _switch(row: ChangeLogEntry | None, otherwise: datetime) -> Stop:
    return Stop("somebody", otherwise, "") if row is None else Stop(_name(row), row.at, row.reason)


def _urgent(experiments: Iterable[Experiment]) -> dict[int, dict[str, Stop]]:
    """Emergency stops that serve already and wait for their experiment's row: by the stopped arm's
    name, of everything by "".
    """
    ids = [one.pk for one in experiments if one.status in (Status.RUNNING, Status.DARK_LAUNCH)]
    found: dict[int, dict[str, Stop]] = {}
    rows = list(
        UrgentStop.objects.filter(experiment_id__in=ids, settled_at__isnull=True).order_by(
            "at", "id"
        )
    )
    names = _names(rows) if any(row.arm for row in rows) else {}
    for row in rows:
        arm = names.get((row.experiment_id, row.arm), row.arm)
        found.setdefault(row.experiment_id, {})[arm] = Stop(row.actor_label, row.at, row.reason)
    return found


def _names(stops: Iterable[UrgentStop]) -> dict[tuple[int, str], str]:
    """Experiment id and key of an arm → the arm's name."""
    arms = Variant.objects.filter(experiment_id__in={one.experiment_id for one in stops})
    return {
        (experiment, key): name or key
        for experiment, key, name in arms.values_list("experiment_id", "key", "name")
    }
