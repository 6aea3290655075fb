"""Shared by the services: locking an experiment, checking fields as the tables would, telling
serving.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from experiments.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, Refused
from experiments.core.permissions import Action, check
from experiments.core.targeting.conditions import segments_in
from experiments.core.types import Actor
from experiments.models import Experiment, Flag, Segment, UrgentStop
from experiments.selectors.experiments import is_member
from experiments.services.ground import publishing


def locked(experiment_id: int) -> Experiment:
    """The experiment's row, locked until the transaction ends; whoever comes second sees what the
    first did.

    Rows that refer to it may still be written meanwhile: storing exposures never waits for a verb.
    """
    found = (
        Experiment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("flag", "policy", "layer", "owner")
        .filter(pk=experiment_id)
        .first()
    )
    if found is None:
        raise NotFound(f"experiment {experiment_id}: there is none of this id", field="experiment")
    return found


def locked_flag(flag_key: str) -> Flag:
    """The flag's row, locked until the transaction ends. Lock experiments first, flags after
    them.
    """
    found = Flag.objects.select_for_update().filter(key=flag_key).first()
    if found is None:
        raise NotFound(f"flag {flag_key[:128]!r}: there is none of this key", field="flag")
    return found


def refuse_before_urgent_stop(experiment: Experiment) -> None:
    """While an emergency stop waits to be booked, nothing else moves the experiment."""
    stop = UrgentStop.objects.filter(experiment=experiment, settled_at__isnull=True).first()
    if stop is not None:
        message = f"{experiment.key}: {stop.actor_label} stopped it in an emergency; the stop is booked within seconds; try again then"
        raise Refused(message, field="status", problems=[Problem("urgent_stop", message, "status")])


def lock_segments(experiment: Experiment) -> None:
    """Hold still what the targeting names: a segment edited while a design is frozen would serve
    another audience.
    """
    named = segments_in(experiment.targeting)
    if named:
        list(Segment.objects.select_for_update().filter(key__in=named).order_by("pk"))


def permit(actor: Actor, action: Action, experiment: Experiment) -> None:
    """Refuse unless the table allows it on this experiment."""
    check(actor, action, member=is_member(actor, experiment), subject=experiment.key)


def person_behind(actor: Actor) -> int:
    """The account that stands for the actor: the person, or the key's owner."""
    if actor.user_id is None:
        raise Forbidden(
            f"{actor.label} is nobody in particular; this needs a person or a key with an owner"
        )
    return actor.user_id


def wanted_reason(reason: str, subject: str, what: str) -> str:
    """The reason, or a refusal when there is none."""
    if not reason.strip():
        raise InvalidInput(f"{subject}: {what} needs a reason", field="reason")
    return reason.strip()


def checked(row: models.Model, *, exclude: tuple[str, ...] = ()) -> None:
    """Lengths, choices and formats as the table declares them; a refusal lists every field that is
    wrong.
    """
    documents = tuple(
        field.name for field in row._meta.fields if isinstance(field, models.JSONField)
    )
    found: list[Problem] = []
    try:
        row.clean_fields(exclude=(*exclude, *documents))
    except ValidationError as error:
        found = [
            Problem("invalid", f"{name}: {text}", name)
            for name, texts in error.message_dict.items()
            for text in texts
        ]
    found += [Problem("invalid", f"{name}: {why}", name) for name, why in _unstorable(row)]
    _refuse(row, found)
    for constraint in row._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            _validate(row, constraint)


def _validate(row: models.Model, constraint: models.CheckConstraint) -> None:
    try:
        constraint.validate(type(row), row)
    except ValidationError as error:
        rule = constraint.name.replace("_", " ")
        _refuse(row, [Problem(constraint.name, f"out of range: {rule}", constraint.name)], error)


def _refuse(row: models.Model, found: list[Problem], cause: Exception | None = None) -> None:
    if found:
        raise InvalidInput(
            f"{row._meta.verbose_name}: cannot be stored as sent",
            field=found[0].field,
            problems=found,
        ) from cause


def _unstorable(row: models.Model) -> Iterator[tuple[str, str]]:
    """What PostgreSQL refuses however well it parses: NUL, half surrogates, NaN in documents; and
    moments without a zone.
    """
    for field in row._meta.concrete_fields:
        value = row.__dict__.get(field.attname)
        if isinstance(value, datetime) and value.tzinfo is None:
            yield field.name, "a moment needs a time zone"
        if isinstance(value, str) or isinstance(field, models.JSONField):
            why = _why_unstorable(value)
            if why:
                yield field.name, why


def _why_unstorable(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError) as error:
        return f"cannot be stored: {error!s:.120}"
    return "holds a NUL character" if _NUL in text else ""


_NUL = "\\u0000"
"""How JSON spells it."""


@contextmanager
def once(message: str, field: str) -> Iterator[None]:
    """Say who was first when a unique name turns out to be taken."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Conflict(message, field=field) from error


def publish(now: datetime, reason: str) -> None:
    """Rebuild what serving reads, in this same transaction."""
    publishing.publish(now, reason=reason)
