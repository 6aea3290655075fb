"""The global holdout: a share of units that gets every flag's default until a moment, to see what
all experiments do together.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction

from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.core.hashing import new_seed
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor
from experiments.core.units import check_unit_type
from experiments.models import GlobalHoldout
from experiments.services.ground import audit
from experiments.services.ground.guarding import checked, once, publish, wanted_reason

MAX_SHARE = 200
"""Thousandths; more would starve every experiment."""


def set_holdout(
    actor: Actor,
    now: datetime,
    *,
    share: int,
    until: datetime,
    unit_type: str = "user",
    reason: str = "",
) -> GlobalHoldout:
    """Open the holdout, or give the open one another share or end.

    The seed stays while it is open: whoever was held out stays so when the share grows.
    """
    check(actor, Action.ADMINISTER, member=False, subject="global holdout")
    _refuse_bad(now, share, until, unit_type)
    with transaction.atomic():
        row = _open(now)
        if row is not None and row.unit_type != unit_type:
            raise Refused(
                f"global holdout: holds out {row.unit_type}s; end it before holding out {unit_type}s",
                field="unit_type",
            )
        before = None if row is None else _shown(row)
        row = row or GlobalHoldout(
            unit_type=unit_type, seed=new_seed(secrets.token_bytes(6)), created_at=now
        )
        row.share, row.until, row.reason = (
            share,
            until,
            wanted_reason(reason, "global holdout", "a change"),
        )
        checked(row, exclude=("ended_at",))
        with once("global holdout: somebody else has just opened one; look again", "holdout"):
            row.save()
        audit.record(
            actor,
            now,
            action="holdout_set",
            obj=row,
            reason=row.reason,
            before=before,
            after=_shown(row),
        )
        publish(now, "global holdout set")
    return row


def end_holdout(actor: Actor, now: datetime, *, reason: str = "") -> GlobalHoldout:
    """Let everybody in again before its time."""
    check(actor, Action.ADMINISTER, member=False, subject="global holdout")
    with transaction.atomic():
        row = _open(now)
        if row is None:
            raise NotFound("global holdout: there is none open", field="holdout")
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        why = wanted_reason(reason, "global holdout", "ending it")
        audit.record(actor, now, action="holdout_ended", obj=row, reason=why, before=_shown(row))
        publish(now, "global holdout ended")
    return row


def _open(now: datetime) -> GlobalHoldout | None:
    """The open one, locked; one whose time is over is closed on the way."""
    row = GlobalHoldout.objects.select_for_update().filter(ended_at__isnull=True).first()
    if row is not None and row.until <= now:
        row.ended_at = row.until
        row.save(update_fields=["ended_at"])
        return None
    return row


def _refuse_bad(now: datetime, share: int, until: datetime, unit_type: str) -> None:
    if not 1 <= share <= MAX_SHARE:
        raise InvalidInput(
            f"share: expected 1 to {MAX_SHARE} thousandths of all units, found {share}",
            field="share",
        )
    if until.tzinfo is None or until <= now:
        raise InvalidInput("until: expected a moment to come, with a time zone", field="until")
    problem = check_unit_type(unit_type)
    if problem is not None:
        raise InvalidInput(problem.message, field=problem.field)


def _shown(row: GlobalHoldout) -> JSON:
    return {"unit_type": row.unit_type, "share": row.share, "until": row.until.isoformat()}
