"""Who is looking at the live tail, and the carrying of noted answers from every web process to
where all can read them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection, transaction

from analytics.models import SeenAssignment, TailWatch
from analytics.services.ingest import client_drops
from experiments.core.clock import utc_now
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor, ActorKind
from experiments.models import Experiment
from experiments.services.ground import audit
from experiments.services.serving import watching
from experiments.services.serving.watching import Watched

log = structlog.get_logger(__name__)

LASTS = timedelta(minutes=10)
"""After the last look."""
RENEWED = timedelta(minutes=1)
"""A look within this of the one before writes nothing."""
KEPT_FOR = timedelta(minutes=15)
TICK_SECONDS = 0.7
"""A new watch is heard of, and what was noted is carried, within this."""

_thread: threading.Thread | None = None
_stop = threading.Event()
_starting = threading.Lock()


def look(
    actor: Actor,
    now: datetime,
    *,
    experiment: Experiment | None = None,
    unit_id: str = "",
    unit_type: str = "user",
) -> None:
    """Somebody looks at an experiment's or a unit's raw rows: refused unless the permission table
    lets the key's owner, and logged.

    One line in the changelog for each time somebody begins to look; a pause of ten minutes ends it.
    """
    check(_owner(actor), Action.RAW_ROWS, member=False, subject="live tail")
    after: JSON = (
        {"unit_type": unit_type, "unit": audit.unit_hash(unit_type, unit_id)}
        if experiment is None
        else None
    )
    with transaction.atomic():
        begun = _watch(
            actor,
            now,
            "unit" if experiment is None else "experiment",
            unit_id if experiment is None else experiment.key,
        )
        if begun is not None:
            audit.record(
                actor,
                now,
                action="raw_rows_read",
                obj=begun,
                experiment=experiment,
                reason="live tail",
                after=after,
            )


def look_without_units(actor: Actor, now: datetime, experiment: Experiment) -> None:
    """Somebody looks at what arrives for an experiment without being shown whose it is: for all who
    may see the experiment.
    """
    check(actor, Action.VIEW, member=False, subject="live tail")
    with transaction.atomic():
        _watch(actor, now, "experiment", experiment.key)


def _watch(
    actor: Actor, now: datetime, kind: Literal["experiment", "unit"], subject: str
) -> TailWatch | None:
    """Let answers be noted for ten minutes more; the row when the looking begins with it."""
    whose: dict[str, Any] = {
        "kind": kind,
        "subject": subject,
        "key_id": actor.key_id,
        "user_id": actor.user_id if actor.kind is ActorKind.PERSON else None,
    }
    known = TailWatch.objects.filter(**whose).first()
    if known is not None and known.expires_at > now + LASTS - RENEWED:
        return None
    row, _ = TailWatch.objects.update_or_create(**whose, defaults={"expires_at": now + LASTS})
    return row if known is None or known.expires_at <= now else None


def carry(now: datetime) -> int:
    """Hear who is looking, and store what this process has noted. Says how many answers that
    were.
    """
    live = list(TailWatch.objects.filter(expires_at__gt=now).values_list("kind", "subject"))
    watching.watch(
        Watched(
            experiments=frozenset(subject for kind, subject in live if kind == "experiment"),
            units=frozenset(subject for kind, subject in live if kind == "unit"),
        )
    )
    rows = [
        SeenAssignment(
            at=seen.at,
            environment=seen.environment.value,
            flag=seen.flag or "",
            experiment_key=seen.experiment or "",
            variant=seen.variant or "",
            reason=seen.reason,
            unit_id=seen.unit_id or "",
            bucket=seen.bucket,
        )
        for seen in watching.take()
    ]
    SeenAssignment.objects.bulk_create(rows)
    return len(rows)


def trim(now: datetime) -> int:
    """Forget answers of a quarter of an hour ago, and watches that are over. Says how many rows
    went.
    """
    answers, _ = SeenAssignment.objects.filter(at__lt=now - KEPT_FOR).delete()
    watches, _ = TailWatch.objects.filter(expires_at__lt=now - LASTS).delete()
    return answers + watches


def start_carrying() -> None:
    """Carry in a thread for as long as this process lives; asking again changes nothing."""
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            _stop.clear()
            _thread = threading.Thread(target=_run, name="tail-carry", daemon=True)
            _thread.start()


def stop_carrying(timeout: float = 5.0) -> None:
    """End the thread after the pass it is in."""
    _stop.set()
    if _thread is not None:
        _thread.join(timeout)


def _run() -> None:
    while not _stop.wait(TICK_SECONDS):
        for what in (carry, client_drops.carry):
            _pass(what)


def _pass(what: Callable[[datetime], int]) -> None:
    try:
        close_old_connections()
        what(utc_now())
    except Exception as error:  # noqa: BLE001 (the thread must outlive an outage; what is noted meanwhile is bounded)
        log.debug("not_carried", error=str(error))
    finally:
        with suppress(DatabaseFailure):
            connection.close()


def _owner(actor: Actor) -> Actor:
    """A key reads raw rows only where the person it acts for may."""
    return replace(actor, kind=ActorKind.PERSON) if actor.kind is ActorKind.KEY else actor
