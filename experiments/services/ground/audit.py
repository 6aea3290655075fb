"""The changelog's only writer: every service calls it inside its own transaction."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Model

from experiments.core.messages import notices
from experiments.core.types import JSON, Actor
from experiments.models import ChangeLogEntry, Experiment
from experiments.selectors.wording import words
from experiments.services.ground import outbox

log = structlog.get_logger(__name__)


def record(
    actor: Actor,
    now: datetime,
    *,
    action: str,
    obj: Model,
    experiment: Experiment | None = None,
    reason: str = "",
    before: JSON = None,
    after: JSON = None,
) -> ChangeLogEntry:
    """One line: who did what to which object, why, and what changed; and the message that tells it,
    in the same transaction.

    After the commit, a line of the log names the experiment, the actor and the action.
    """
    line = ChangeLogEntry.objects.create(
        at=now,
        actor_kind=actor.kind.value,
        actor_label=actor.label[:160],
        actor_id=actor.user_id,
        action=action,
        object_type=obj._meta.model_name or "",
        object_id=str(obj.pk),
        object_label=str(obj)[:200],
        experiment=experiment or (obj if isinstance(obj, Experiment) else None),
        reason=reason,
        before=before,
        after=after,
    )
    subject = (
        f"{words(line.object_type)} {line.object_label}"
        if line.experiment is None
        else line.experiment.key
    )
    notice = notices.of_change(
        action=action, subject=subject, actor=actor.label, reason=reason, after=after
    )
    outbox.put(now, notice, key=f"changelog:{line.pk}", experiment=line.experiment)
    transaction.on_commit(partial(_log, line), robust=True)
    return line


def _log(line: ChangeLogEntry) -> None:
    """The change as a line of the log, once it is committed; reasons and contents stay in the
    changelog.
    """
    experiment = None if line.experiment is None else line.experiment.key
    changed = f"{line.object_type} {line.object_label}"
    log.info(
        "changed",
        experiment=experiment,
        actor=line.actor_label,
        action=line.action,
        object=changed,
        changelog=line.pk,
    )


def unit_hash(unit_type: str, unit_id: str) -> str:
    """A unit's id as the changelog shows it: a keyed hash, comparable but not readable."""
    message = f"{unit_type}\x00{unit_id}".encode("utf-8", "surrogatepass")
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()
