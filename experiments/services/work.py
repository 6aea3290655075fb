"""Work of beat that may poison a tick: tried three times, then set aside with its reason until a person has it tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import connection, transaction

from experiments.core.errors import NotFound
from experiments.core.notices import Notice, NoticeKind
from experiments.core.permissions import Action, check
from experiments.core.types import Actor
from experiments.models import FailedWork
from experiments.services import audit, outbox
from experiments.services.slots import claim
from experiments.services.waits import is_locked

log = structlog.get_logger(__name__)

TRIES = 3
"""Failures in a row, after which work is set aside."""


def once(now: datetime, task: str, subject: int, slot: str, work: Callable[[int], object]) -> None:
    """One worker does it per slot, unless it is set aside; a fault costs this subject alone and is written down.

    A row that somebody else has locked is no fault: the subject waits for the next tick, the others go on.
    """
    if not claim(now, task=f"{task}:{subject}", slot=slot) or _is_set_aside(task, subject):
        return
    try:
        work(subject)
    except Exception as fault:
        if is_locked(fault):  # not its fault: the next tick tries again
            log.warning("tick_waits_for_a_lock", task=task, subject=subject)
            return
        log.exception("tick_failed", task=task, subject=subject)
        _note(now, task, subject, fault)
    else:
        FailedWork.objects.filter(task=task, subject=subject).delete()


def try_again(actor: Actor, now: datetime, *, failed_id: int) -> FailedWork:
    """Let work that was set aside be tried at the next tick."""
    with transaction.atomic():
        check(actor, Action.ADMINISTER, member=False, subject="failed work")
        row = FailedWork.objects.select_for_update().filter(pk=failed_id).first()
        if row is None:
            raise NotFound(f"failed work {failed_id}: there is none; it may have succeeded meanwhile")
        before = row.failures
        row.failures, row.set_aside_at = 0, None
        row.save(update_fields=["failures", "set_aside_at"])
        audit.record(actor, now, action="work_tried_again", obj=row, before={"failures": before}, after={"failures": 0})
    return row


def _is_set_aside(task: str, subject: int) -> bool:
    return FailedWork.objects.filter(task=task, subject=subject, set_aside_at__isnull=False).exists()


def _note(now: datetime, task: str, subject: int, fault: Exception) -> None:
    """Count the failure; with the last one, tell somebody."""
    error = f"{type(fault).__name__}: {fault}"[:2000]
    statement = """
        INSERT INTO failed_work AS f (task, subject, failures, error, failed_at) VALUES (%s, %s, 1, %s, %s)
        ON CONFLICT (task, subject) DO UPDATE SET failures = f.failures + 1, error = EXCLUDED.error, failed_at = EXCLUDED.failed_at
        RETURNING id, failures"""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, [task, subject, error, now])
            row, failures = cursor.fetchone()
        if failures >= TRIES:
            FailedWork.objects.filter(pk=row).update(set_aside_at=now)
            notice = Notice(NoticeKind.BREACH, f"{task} {subject} failed {failures} times and was set aside", error)
            outbox.put(now, notice, key=f"set_aside:{row}:{now.timestamp():.0f}")
