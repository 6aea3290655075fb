"""Declare an attribute public, or take that back: what browsers may read of targeting rules."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.errors import NotFound
from experiments.core.permissions import Action, check
from experiments.core.targeting.public_attributes import refuse_unless_publishable
from experiments.core.types import Actor
from experiments.models import PublicAttribute
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    checked,
    once,
    person_behind,
    publish,
    wanted_reason,
)


def declare_public(actor: Actor, now: datetime, *, name: str, reason: str) -> PublicAttribute:
    """From now on client payloads may show what flags compare this attribute with."""
    subject = f"attribute {name[:64]}"
    check(actor, Action.ADMINISTER, member=False, subject=subject)
    refuse_unless_publishable(name)
    why = wanted_reason(reason, subject, "declaring it public")
    with transaction.atomic():
        row = PublicAttribute(
            name=name, reason=why, declared_by_id=person_behind(actor), declared_at=now
        )
        checked(row, exclude=("declared_by",))
        with once(f"{subject}: it is public already", "name"):
            row.save(force_insert=True)
        audit.record(
            actor,
            now,
            action="attribute_declared_public",
            obj=row,
            reason=why,
            after={"name": name},
        )
        publish(now, f"{subject} declared public")
    return row


def withdraw_public(actor: Actor, now: datetime, *, name: str, reason: str) -> None:
    """Client payloads show no values of this attribute any more; flags that compare it become
    remote-only for browsers.
    """
    subject = f"attribute {name[:64]}"
    check(actor, Action.ADMINISTER, member=False, subject=subject)
    why = wanted_reason(reason, subject, "making it private")
    with transaction.atomic():
        row = PublicAttribute.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise NotFound(f"{subject}: it is not declared public", field="name")
        audit.record(
            actor,
            now,
            action="attribute_made_private",
            obj=row,
            reason=why,
            before={"name": name, "reason": row.reason},
        )
        row.delete()
        publish(now, f"{subject} made private")
