"""Due work that may fail, or end the process that does it: three runs, then it waits for a person.

A run is written down and committed before its work begins. If the process ends amid the work
(killed, out of memory, out of time), the next tick finds a run that never came to its end, and
counts it like any other failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction

from experiments.core.errors import NotFound
from experiments.core.figures import counted
from experiments.core.messages.notices import Notice, NoticeKind
from experiments.core.permissions import Action, check
from experiments.core.types import Actor
from experiments.models import FailedWork
from experiments.services.ground import audit, outbox
from experiments.services.ground.lock_waits import is_locked
from experiments.services.ground.slots import claim

log = structlog.get_logger(__name__)

TRIES = 3
"""Failures in a row, after which work is set aside."""
LOST = "the worker ended during the work (killed, out of memory or out of time)"


def once(
    now: datetime,
    task: str,
    subject: int,
    slot: str,
    work: Callable[[int], object],
    *,
    told: Callable[[int, str], object] | None = None,
) -> bool:
    """One worker does it per slot; whether it was done now. ``told`` as in ``attempt``."""
    return claim(now, task=f"{task}:{subject}", slot=slot) and attempt(
        now, task, subject, work, told=told
    )


def attempt(
    now: datetime,
    task: str,
    subject: int,
    work: Callable[[int], object],
    *,
    told: Callable[[int, str], object] | None = None,
) -> bool:
    """Do a piece of work unless it is set aside or somebody is at it; whether it was done.

    A fault costs this subject alone and is written down; a row that somebody else has locked is no
    fault. ``told(subject, why)`` hears what the work itself could not say: that a worker ended
    during it, and that it is set aside.
    """
    with _alone(task, subject) as mine:
        if not mine:
            return False
        run = _begin(now, task, subject)
        if run.lost:
            _say(told, subject, LOST)
        if not run.begun:
            _set_aside(now, run, told)
            return False
        try:
            work(subject)
        except Exception as fault:
            if is_locked(fault):
                _take_back(run)
                return False
            log.exception("tick_failed", task=task, subject=subject)
            _note(now, run, fault, told)
            return False
        FailedWork.objects.filter(pk=run.row).delete()
        return True


def try_again(actor: Actor, now: datetime, *, failed_id: int) -> FailedWork:
    """Let work that was set aside be tried at the next tick."""
    with transaction.atomic():
        check(actor, Action.ADMINISTER, member=False, subject="failed work")
        row = FailedWork.objects.select_for_update().filter(pk=failed_id).first()
        if row is None:
            raise NotFound(
                f"failed work {failed_id}: there is none; it may have succeeded meanwhile"
            )
        before = row.failures
        row.attempts, row.failures, row.set_aside_at = 0, 0, None
        row.save(update_fields=["attempts", "failures", "set_aside_at"])
        audit.record(
            actor,
            now,
            action="work_tried_again",
            obj=row,
            before={"failures": before},
            after={"failures": 0},
        )
    return row


@dataclass(frozen=True)
class _Run:
    """A run as it was written down; ``begun`` False: there were too many before it. ``lost``: the
    one before never ended.
    """

    row: int
    task: str
    subject: int
    failures: int
    error: str
    begun: bool
    lost: bool
    waits: bool


def _begin(now: datetime, task: str, subject: int) -> _Run:
    """Write a run down before its work. A run that is still open here was lost: its worker ended
    during it.
    """
    statement = """
        INSERT INTO failed_work AS f (task, subject, attempts, failures, error, failed_at)
        VALUES (%(task)s, %(subject)s, 1, 0, '', %(now)s)
        ON CONFLICT (task, subject) DO UPDATE SET
            attempts = CASE WHEN f.attempts < %(tries)s AND f.set_aside_at IS NULL THEN f.attempts + 1 ELSE f.attempts END,
            failures = f.attempts,
            error = CASE WHEN f.attempts > f.failures THEN %(lost)s ELSE f.error END,
            failed_at = CASE WHEN f.attempts > f.failures THEN %(now)s ELSE f.failed_at END
        RETURNING id, attempts, failures, error, set_aside_at IS NOT NULL,
            (SELECT count(*) FROM failed_work b WHERE b.task = %(task)s AND b.subject = %(subject)s AND b.attempts > b.failures)"""
    asked: dict[str, str | int | datetime] = {
        "task": task,
        "subject": subject,
        "tries": TRIES,
        "lost": LOST,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        row, attempts, failures, error, waits, lost = cursor.fetchone()
    return _Run(row, task, subject, failures, error, attempts > failures, bool(lost), waits)


def _take_back(run: _Run) -> None:
    """Somebody else holds a row that the work needs: no fault of the work, so the run does not
    count.
    """
    log.warning("tick_waits_for_a_lock", task=run.task, subject=run.subject)
    if run.failures:
        FailedWork.objects.filter(pk=run.row).update(attempts=run.failures)
    else:
        FailedWork.objects.filter(pk=run.row).delete()


def _note(
    now: datetime, run: _Run, fault: Exception, told: Callable[[int, str], object] | None
) -> None:
    """The run has failed; with the last one it is set aside."""
    error = f"{type(fault).__name__}: {fault}"[:2000]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # the fault may be that the database went away
    FailedWork.objects.filter(pk=run.row).update(
        failures=run.failures + 1, error=error, failed_at=now
    )
    if run.failures + 1 >= TRIES:
        _set_aside(
            now,
            _Run(run.row, run.task, run.subject, run.failures + 1, error, False, False, False),
            told,
        )


def _set_aside(now: datetime, run: _Run, told: Callable[[int, str], object] | None) -> None:
    """No more runs until a person says so. Subscribers get one message."""
    if run.waits:
        return
    with transaction.atomic():
        FailedWork.objects.filter(pk=run.row).update(set_aside_at=now)
        notice = Notice(
            NoticeKind.BREACH,
            f"{run.task} {run.subject} failed {counted(run.failures, 'time')} and was set aside",
            run.error,
        )
        outbox.put(now, notice, key=f"set_aside:{run.row}:{now.timestamp():.0f}")
    log.error(
        "work_set_aside",
        task=run.task,
        subject=run.subject,
        failures=run.failures,
        reason=run.error,
    )
    _say(
        told,
        run.subject,
        f"{run.error}; failed {counted(run.failures, 'time')} and set aside until an administrator has it tried again",
    )


def _say(told: Callable[[int, str], object] | None, subject: int, why: str) -> None:
    if told is None:
        return
    try:
        told(subject, why)
    except Exception:
        log.exception("tick_failed", task="told", subject=subject)


@contextmanager
def _alone(task: str, subject: int) -> Iterator[bool]:
    """Whether nobody else is at this work now. PostgreSQL gives the lock up when the process that
    holds it ends.
    """
    name = f"work:{task}:{subject}"
    mine = _ask("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name)
    try:
        yield mine
    finally:
        if mine and connection.connection is not None:
            _ask("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)


def _ask(statement: str, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [name])
        return bool(cursor.fetchone()[0])
