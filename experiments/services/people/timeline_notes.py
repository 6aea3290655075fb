"""Notes on the timeline: put there by anybody who may comment, taken back by whoever wrote them."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor
from experiments.models import Experiment, TimelineNote
from experiments.models.notes import KINDS
from experiments.services.ground import audit
from experiments.services.ground.guarding import locked, permit, person_behind

MOST_CHARACTERS = 500
LONGEST_DAYS = 366


def put_note(
    actor: Actor,
    now: datetime,
    *,
    kind: str,
    first_day: date,
    text: str,
    last_day: date | None = None,
    experiment_id: int | None = None,
) -> TimelineNote:
    """Mark days on an experiment's timeline, or without one on all of them."""
    last = last_day or first_day
    _refuse_bad(kind, first_day, last, text)
    with transaction.atomic():
        experiment = None if experiment_id is None else locked(experiment_id)
        if experiment is None:
            check(actor, Action.COMMENT, member=False, subject="timeline")
        else:
            permit(actor, Action.COMMENT, experiment)
        note = TimelineNote.objects.create(
            experiment=experiment,
            kind=kind,
            first_day=first_day,
            last_day=last,
            text=text,
            author_id=person_behind(actor),
            created_at=now,
        )
        audit.record(
            actor, now, action="note_put", obj=note, experiment=experiment, after=_shown(note)
        )
        return note


def withdraw_note(
    actor: Actor, now: datetime, *, note_id: int, reason: str = ""
) -> Experiment | None:
    """Take one's own note back; it stays in the history. Says whose timeline it stood on."""
    with transaction.atomic():
        note = (
            TimelineNote.objects.select_for_update(of=("self",))
            .select_related("experiment")
            .filter(pk=note_id)
            .first()
        )
        if note is None:
            raise NotFound(f"note {note_id}: there is none")
        check(actor, Action.COMMENT, member=False, subject=str(note))
        if note.author_id != actor.user_id:
            raise Forbidden(f"{note}: only {note.author.username}, who wrote it, takes it back")
        if note.withdrawn_at is not None:
            raise Refused(f"{note}: was taken back already")
        note.withdrawn_at = now
        note.save(update_fields=["withdrawn_at"])
        audit.record(
            actor,
            now,
            action="note_withdrawn",
            obj=note,
            experiment=note.experiment,
            reason=reason,
            before=_shown(note),
        )
        return note.experiment


def _refuse_bad(kind: str, first: date, last: date, text: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(
            f"note: expected a kind of {', '.join(KINDS)}, found {kind[:40]!r}", "kind"
        )
    if not text or len(text) > MOST_CHARACTERS:
        raise InvalidInput(
            f"note: write 1 to {MOST_CHARACTERS} characters, found {len(text)}", "text"
        )
    if last < first or (last - first).days > LONGEST_DAYS:
        raise InvalidInput(
            f"note: the last day has to be on {first} or at most {LONGEST_DAYS} days later, found {last}",
            "last_day",
        )


def _shown(note: TimelineNote) -> JSON:
    return {
        "kind": note.kind,
        "days": f"{note.first_day} to {note.last_day}",
        "text": note.text,
        "all": note.experiment_id is None,
    }
