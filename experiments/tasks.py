"""Beat's wake-ups: ask what is due, claim the tick, call the service. Messages may be lost; the
tables keep what is due.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from celery import shared_task

from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import SYSTEM, Outcome
from experiments.models import Experiment
from experiments.selectors import due
from experiments.services.ground import delivery, due_refusals, due_work, outbox, publishing
from experiments.services.ground.slots import claim, slot_of
from experiments.services.life import lifecycle, stops

log = structlog.get_logger(__name__)

TICK_SECONDS = 10


@shared_task(name="experiments.tasks.honour_planned_start_end")
def honour_planned_start_end() -> int:
    """Book emergency stops that a lock kept waiting, start and end what is planned for now, and
    conclude harm stops that nobody resolved. Says how many moved."""
    now = utc_now()
    if not claim(now, task="honour_planned_start_end", slot=slot_of(now, seconds=TICK_SECONDS)):
        return 0
    return honour(now)


def honour(now: datetime) -> int:
    """The work of one tick, at a given moment."""
    moved = stops.book_urgent_stops(now)
    moved += sum(_try("planned_start", pk, now, _start) for pk in due.to_start(now))
    moved += sum(_try("planned_end", pk, now, _end) for pk in due.to_end(now))
    return moved + sum(
        _try("harm_unresolved", pk, now, _give_up) for pk in due.harm_unresolved(now)
    )


def _start(pk: int, now: datetime) -> Experiment:
    due.read_policy(
        Experiment.objects.select_related("policy").get(pk=pk)
    )  # a fault here is reported, a refusal only logged
    return lifecycle.start(SYSTEM, now, experiment_id=pk, reason="planned start")


def _end(pk: int, now: datetime) -> Experiment:
    return lifecycle.conclude(SYSTEM, now, experiment_id=pk, reason="planned end")


def _give_up(pk: int, now: datetime) -> Experiment:
    reason = f"stopped for harm {due.HARM_HOURS} hours ago and not resumed"
    return lifecycle.conclude(
        SYSTEM, now, experiment_id=pk, outcome=Outcome.STOPPED_HARM, reason=reason
    )


def _try(what: str, pk: int, now: datetime, verb: Callable[[int, datetime], Experiment]) -> int:
    """Says whether it moved. A refusal is an answer, which is told once; a lock is somebody else's:
    both are asked again at the next tick.

    A fault is counted as for all due work.
    """
    moved: list[int] = []

    def move(subject: int) -> None:
        try:
            verb(subject, now)
        except AssayError as error:
            due_refusals.tell(now, what, subject, error)
        else:
            moved.append(subject)

    due_work.attempt(now, what, pk, move)
    return len(moved)


@shared_task(name="experiments.tasks.publish_expired")
def publish_expired() -> bool:
    """Rebuild the catalogue when an override, a holdback or the global holdout has ended. Says
    whether it did.
    """
    now = utc_now()
    if not due.catalogue_expired(now) or not claim(
        now, task="publish_expired", slot=slot_of(now, seconds=TICK_SECONDS)
    ):
        return False
    publishing.publish(now, reason="something expired")
    return True


def _address(now: datetime) -> None:
    """What cannot be addressed waits; what was addressed before is sent all the same."""
    try:
        while outbox.address(now) == outbox.BATCH:
            pass
    except Exception:
        log.exception("messages_not_addressed")


@shared_task(name="experiments.tasks.deliver_notifications")
def deliver_notifications() -> int:
    """Address what happened, write due digests, send what is due. Says how many messages arrived.

    No slot is claimed: each row goes to one worker, so several may share the work.
    """
    now = utc_now()
    _address(now)
    digests = [
        pk
        for pk in outbox.digests_due(now)
        if due_work.attempt(now, "digest", pk, lambda pk: outbox.write_digest(pk, now))
    ]
    if digests:
        _address(now)
    if claim(now, task="forget_old_messages", slot=slot_of(now, seconds=3600)):
        outbox.forget_old(now)
    return delivery.deliver_due(now)
