"""Segments: named audiences. What a launched experiment or a rollout relies on stays as it was;
make another one instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from experiments.core.errors import InvalidInput, NotFound, Problem, Refused
from experiments.core.figures import counted
from experiments.core.permissions import Action, check
from experiments.core.targeting.conditions import (
    SEGMENT_KEY,
    conditions_json,
    parse_conditions,
    segments_named,
)
from experiments.core.types import JSON, Actor
from experiments.core.units import check_unit_id, check_unit_type
from experiments.models import Segment, SegmentUnit
from experiments.selectors.segments import relying_on
from experiments.services.ground import audit
from experiments.services.ground.guarding import checked, once, publish
from experiments.services.serving.flags import refuse_inexact

MAX_RULES = 20
MAX_UNITS = 50_000
"""Every server holds them in memory; a larger audience is an attribute of its units."""


def create_segment(
    actor: Actor, now: datetime, *, key: str, name: str, description: str = "", rules: JSON = None
) -> Segment:
    """A segment; its ids are added afterwards. The key is what conditions say, and never
    changes.
    """
    check(actor, Action.ADMINISTER, member=False, subject=f"segment {key[:80]}")
    if SEGMENT_KEY.fullmatch(key) is None:
        message = f"segment key {key[:80]!r}: expected 1 to 80 of a-z, 0-9 and . _ -, beginning with a letter or digit"
        raise InvalidInput(message, field="key")
    with transaction.atomic():
        row = Segment(
            key=key,
            name=name,
            description=description,
            rules=_parsed(rules),
            created_at=now,
            updated_at=now,
        )
        checked(row)
        with once(f"segment {key}: the key is taken", "key"):
            row.save(force_insert=True)
        audit.record(
            actor, now, action="segment_created", obj=row, after={"name": name, "rules": row.rules}
        )
    return row


def edit_segment(
    actor: Actor,
    now: datetime,
    *,
    segment_id: int,
    name: str | None = None,
    description: str | None = None,
    rules: JSON = None,
    reason: str = "",
) -> Segment:
    """Another name or description at any time; other rules only while nothing launched relies on
    it.
    """
    with transaction.atomic():
        row = _locked(actor, segment_id)
        before: JSON = {"name": row.name, "description": row.description, "rules": row.rules}
        wanted = row.rules if rules is None else _parsed(rules)
        if wanted != row.rules:
            _refuse_relied_on(row)
        row.name, row.description = (
            row.name if name is None else name,
            row.description if description is None else description,
        )
        row.rules, row.updated_at = wanted, now
        checked(row)
        row.save()
        after: JSON = {"name": row.name, "description": row.description, "rules": row.rules}
        audit.record(
            actor, now, action="segment_edited", obj=row, reason=reason, before=before, after=after
        )
        publish(now, f"segment {row.key} edited")
    return row


def add_segment_units(
    actor: Actor,
    now: datetime,
    *,
    segment_id: int,
    unit_ids: Sequence[str],
    unit_type: str = "user",
) -> int:
    """List units by id; those already there stay. Says how many were new; one bad id and none is
    added.
    """
    with transaction.atomic():
        row = _locked(actor, segment_id)
        _refuse_bad_units(unit_type, unit_ids)
        present = set(
            row.units.filter(unit_type=unit_type, unit_id__in=unit_ids).values_list(
                "unit_id", flat=True
            )
        )
        new = [unit_id for unit_id in dict.fromkeys(unit_ids) if unit_id not in present]
        if new:
            _refuse_relied_on(row)
            _refuse_too_many(row, len(new))
            SegmentUnit.objects.bulk_create(
                SegmentUnit(segment=row, unit_type=unit_type, unit_id=unit_id) for unit_id in new
            )
            _units_changed(actor, now, row, "segment_units_added", unit_type, new)
    return len(new)


def remove_segment_units(
    actor: Actor,
    now: datetime,
    *,
    segment_id: int,
    unit_ids: Sequence[str],
    unit_type: str = "user",
) -> int:
    """Take units off a segment's list. Says how many were on it."""
    with transaction.atomic():
        row = _locked(actor, segment_id)
        listed = row.units.filter(unit_type=unit_type, unit_id__in=list(unit_ids))
        gone = list(listed.values_list("unit_id", flat=True))
        if gone:
            _refuse_relied_on(row)
            listed.delete()
            _units_changed(actor, now, row, "segment_units_removed", unit_type, gone)
    return len(gone)


def _locked(actor: Actor, segment_id: int) -> Segment:
    check(actor, Action.ADMINISTER, member=False, subject="segments")
    row = Segment.objects.select_for_update().filter(pk=segment_id).first()
    if row is None:
        raise NotFound(f"segment {segment_id}: there is none of this id", field="segment")
    return row


def _parsed(rules: JSON) -> JSON:
    if rules is None:
        return []
    if not isinstance(rules, list) or len(rules) > MAX_RULES:
        raise InvalidInput(
            f"rules: expected a list of at most {MAX_RULES} rules, each a list of conditions",
            field="rules",
        )
    return [_parsed_rule(rule, f"rules[{index}]") for index, rule in enumerate(rules)]


def _parsed_rule(rule: JSON, path: str) -> JSON:
    conditions = parse_conditions(rule, path)
    refuse_inexact(rule, path, "segment")
    if not conditions:
        raise InvalidInput(
            f"{path}: a rule without conditions would hold for everybody; leave it out", field=path
        )
    if segments_named(conditions):
        raise InvalidInput(
            f"{path}: a segment names no other segment; write that one's conditions here instead",
            field=path,
        )
    return conditions_json(conditions)


def _refuse_relied_on(row: Segment) -> None:
    problems = [
        Problem("segment_frozen", f"{user} relies on it; make a new segment", "segment")
        for user in relying_on(row.key)
    ]
    if problems:
        raise Refused(
            f"segment {row.key}: who is in it cannot change now", field="segment", problems=problems
        )


def _refuse_bad_units(unit_type: str, unit_ids: Sequence[str]) -> None:
    wrong = [
        check_unit_type(unit_type),
        *(check_unit_id(unit_id, "unit_id") for unit_id in unit_ids),
    ]
    problems = [problem for problem in wrong if problem is not None]
    if problems:
        raise InvalidInput(problems[0].message, field=problems[0].field, problems=problems[:20])


def _refuse_too_many(row: Segment, more: int) -> None:
    count = row.units.count() + more
    if count > MAX_UNITS:
        message = f"segment {row.key}: would list {counted(count, 'unit')}; at most {MAX_UNITS:,} are held."
        message += " Send an attribute with requests instead."
        raise InvalidInput(message, field="units")


def _units_changed(
    actor: Actor, now: datetime, row: Segment, action: str, unit_type: str, unit_ids: Sequence[str]
) -> None:
    row.updated_at = now
    row.save(update_fields=["updated_at"])
    hashed: JSON = {
        "unit_type": unit_type,
        "units": [audit.unit_hash(unit_type, unit_id) for unit_id in unit_ids],
    }
    audit.record(actor, now, action=action, obj=row, after=hashed)
    publish(now, f"segment {row.key}: units changed")
