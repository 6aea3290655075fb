"""Who sees a variant by name for a while, and who never takes part. Unit ids reach the changelog as
keyed hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.core.permissions import Action, check
from experiments.core.targeting.conditions import conditions_json, parse_conditions, segments_named
from experiments.core.types import JSON, Actor, Status
from experiments.core.units import check_unit_id, check_unit_type
from experiments.models import ExcludedUnit, ExclusionList, Experiment, Override, Segment
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    checked,
    locked,
    once,
    permit,
    person_behind,
    publish,
)
from experiments.services.serving.flags import refuse_inexact

LONGEST_OVERRIDE = timedelta(days=90)


def add_override(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    variant_key: str,
    unit_id: str,
    expires_at: datetime,
    unit_type: str = "",
    reason: str = "",
) -> Override:
    """Show a tester this variant until then; never analysed. The unit's earlier override is
    replaced.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.OVERRIDE, experiment)
        if experiment.status in (Status.COMPLETED, Status.ARCHIVED):
            raise Refused(
                f"{experiment.key}: is {experiment.status}; nothing of it is served to testers",
                field="status",
            )
        _refuse_bad_expiry(now, expires_at)
        variant = experiment.variants.filter(key=variant_key).first()
        if variant is None:
            raise NotFound(f"{experiment.key}: no variant {variant_key[:128]!r}", field="variant")
        row = Override(
            experiment=experiment,
            variant=variant,
            unit_type=unit_type or experiment.unit_type,
            unit_id=unit_id,
        )
        row.reason, row.expires_at, row.created_by_id, row.created_at = (
            reason,
            expires_at,
            person_behind(actor),
            now,
        )
        _refuse_bad_unit(row.unit_type, row.unit_id)
        checked(row, exclude=("experiment", "variant", "created_by"))
        Override.objects.filter(
            experiment=experiment, unit_type=row.unit_type, unit_id=row.unit_id
        ).delete()
        row.save(force_insert=True)
        after: JSON = {
            "variant": variant.key,
            "until": expires_at.isoformat(),
            **_hashed(row.unit_type, row.unit_id),
        }
        audit.record(
            actor,
            now,
            action="override_added",
            obj=row,
            experiment=experiment,
            reason=reason,
            after=after,
        )
        publish(now, f"{experiment.key}: override added")
    return row


def remove_override(actor: Actor, now: datetime, *, override_id: int) -> Experiment:
    """Take a tester's variant away before its time."""
    with transaction.atomic():
        row = Override.objects.select_related("variant").filter(pk=override_id).first()
        if row is None:
            raise NotFound(f"override {override_id}: there is none of this id", field="override")
        experiment = locked(row.experiment_id)
        permit(actor, Action.OVERRIDE, experiment)
        before: JSON = {"variant": row.variant.key, **_hashed(row.unit_type, row.unit_id)}
        audit.record(
            actor, now, action="override_removed", obj=row, experiment=experiment, before=before
        )
        row.delete()
        publish(now, f"{experiment.key}: override removed")
    return experiment


def _refuse_bad_expiry(now: datetime, expires_at: datetime) -> None:
    if expires_at.tzinfo is None:
        raise InvalidInput("expires_at needs a time zone", field="expires_at")
    if not now < expires_at <= now + LONGEST_OVERRIDE:
        raise InvalidInput(
            f"expires_at must lie within the next {LONGEST_OVERRIDE.days} days", field="expires_at"
        )


def _refuse_bad_unit(unit_type: str, unit_id: str) -> None:
    problem = check_unit_type(unit_type) or check_unit_id(unit_id, "unit_id")
    if problem is not None:
        raise InvalidInput(problem.message, field=problem.field, problems=[problem])


def _hashed(unit_type: str, unit_id: str) -> dict[str, JSON]:
    return {"unit_type": unit_type, "unit": audit.unit_hash(unit_type, unit_id)}


def create_exclusion_list(
    actor: Actor,
    now: datetime,
    *,
    name: str,
    description: str = "",
    rule: JSON = None,
    active: bool = True,
) -> ExclusionList:
    """A list of units that no experiment includes: by id, by an attribute rule, or both."""
    check(actor, Action.ADMINISTER, member=False, subject=f"exclusion list {name}")
    parsed = _rule(rule)
    with transaction.atomic():
        row = ExclusionList(
            name=name, description=description, active=active, rule=parsed, created_at=now
        )
        checked(row)
        with once(f"exclusion list {name}: the name is taken", "name"):
            row.save(force_insert=True)
        audit.record(
            actor,
            now,
            action="exclusion_list_created",
            obj=row,
            after={"rule": parsed, "active": active},
        )
        publish(now, f"exclusion list {name} created")
    return row


def set_exclusion_list(
    actor: Actor, now: datetime, *, list_id: int, active: bool | None = None, rule: JSON = None
) -> ExclusionList:
    """Switch a list on or off, or give it another rule; serving follows, analysis keeps who was
    in.
    """
    with transaction.atomic():
        row = _locked_list(actor, list_id)
        before: JSON = {"rule": row.rule, "active": row.active}
        row.active = row.active if active is None else active
        row.rule = row.rule if rule is None else _rule(rule)
        row.save(update_fields=["active", "rule"])
        audit.record(
            actor,
            now,
            action="exclusion_list_changed",
            obj=row,
            before=before,
            after={"rule": row.rule, "active": row.active},
        )
        publish(now, f"exclusion list {row.name} changed")
    return row


def add_excluded_units(
    actor: Actor, now: datetime, *, list_id: int, unit_ids: Sequence[str], unit_type: str = "user"
) -> int:
    """Put units on a list; those already there stay. Says how many were new; one bad id and none is
    added.
    """
    with transaction.atomic():
        row = _locked_list(actor, list_id)
        for unit_id in unit_ids:
            _refuse_bad_unit(unit_type, unit_id)
        present = set(
            row.units.filter(unit_type=unit_type, unit_id__in=unit_ids).values_list(
                "unit_id", flat=True
            )
        )
        new = [unit_id for unit_id in dict.fromkeys(unit_ids) if unit_id not in present]
        ExcludedUnit.objects.bulk_create(
            ExcludedUnit(exclusion_list=row, unit_type=unit_type, unit_id=unit_id)
            for unit_id in new
        )
        if new:
            after: JSON = {
                "unit_type": unit_type,
                "units": [audit.unit_hash(unit_type, unit_id) for unit_id in new],
            }
            audit.record(actor, now, action="units_excluded", obj=row, after=after)
            publish(now, f"exclusion list {row.name}: units added")
    return len(new)


def remove_excluded_units(
    actor: Actor, now: datetime, *, list_id: int, unit_ids: Sequence[str], unit_type: str = "user"
) -> int:
    """Take units off a list. Says how many were on it."""
    with transaction.atomic():
        row = _locked_list(actor, list_id)
        removed, _ = row.units.filter(unit_type=unit_type, unit_id__in=list(unit_ids)).delete()
        if removed:
            before: JSON = {
                "unit_type": unit_type,
                "units": [audit.unit_hash(unit_type, unit_id) for unit_id in unit_ids],
            }
            audit.record(actor, now, action="units_readmitted", obj=row, before=before)
            publish(now, f"exclusion list {row.name}: units removed")
    return removed


def _rule(document: JSON) -> JSON:
    conditions = parse_conditions(document, "rule")
    refuse_inexact(document, "rule", "exclusion list")
    named = segments_named(conditions)
    missing = sorted(
        named - set(Segment.objects.filter(key__in=named).values_list("key", flat=True))
    )
    if missing:
        raise NotFound(f"rule: there is no segment {missing[0]!r}; make it first", field="rule")
    return conditions_json(conditions)


def _locked_list(actor: Actor, list_id: int) -> ExclusionList:
    check(actor, Action.ADMINISTER, member=False, subject="exclusion lists")
    row = ExclusionList.objects.select_for_update().filter(pk=list_id).first()
    if row is None:
        raise NotFound(
            f"exclusion list {list_id}: there is none of this id", field="exclusion_list"
        )
    return row
