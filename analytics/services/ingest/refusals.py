"""Refused items are kept for the live tail: few, for a while, and never at the cost of those that
are accepted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from analytics.core.intake.ingest_items import ItemError
from analytics.core.intake.sent import Sent
from analytics.models import RefusedItem
from analytics.services.ingest.known import find_experiments
from experiments.core.types import Environment

PER_BATCH = 20
PER_SECOND = 100
"""A process keeps no more than this; the rest is in the day's tallies all the same."""
KEPT_PER_EXPERIMENT, KEPT_OF_NONE = 200, 2000
KEPT_FOR = timedelta(days=7)


class _Budget:
    """So many in each second of this process."""

    def __init__(self, per_second: int) -> None:
        self._per_second, self._second, self._left, self._lock = per_second, 0, 0, threading.Lock()

    def take(self, wanted: int) -> int:
        """How many of them may be kept now."""
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._left = second, self._per_second
            given = min(wanted, self._left)
            self._left -= given
            return given


_budget = _Budget(PER_SECOND)


def keep(errors: Sequence[ItemError], now: datetime, *, kind: str, environment: Environment) -> int:
    """Note the first of a batch's refusals, inside its transaction. Says how many."""
    kept = errors[: _budget.take(min(len(errors), PER_BATCH))] if errors else ()
    if not kept:
        return 0
    sent = [error.sent or Sent() for error in kept]
    known = find_experiments(one.experiment for one in sent if one.experiment)
    RefusedItem.objects.bulk_create(
        RefusedItem(
            at=now,
            kind=kind,
            environment=environment.value,
            experiment_id=known[one.experiment].id if one.experiment in known else None,
            sent_experiment=one.experiment,
            unit_id=one.unit_id,
            event_id=one.event_id,
            name=one.name,
            code=error.code[:40],
            field=error.field[:120],
            message=_storable(error.message)[:500],
        )
        for one, error in zip(sent, kept, strict=True)
    )
    return len(kept)


def trim(now: datetime) -> int:
    """Keep the newest of each experiment, and of those that name none; nothing older than a week.
    Says how many went.
    """
    statement = """
        DELETE FROM refused_items WHERE at < %s OR id IN (
            SELECT id FROM (
                SELECT id, experiment_id, row_number() OVER (PARTITION BY experiment_id ORDER BY id DESC) AS nth FROM refused_items
            ) AS numbered WHERE nth > CASE WHEN experiment_id IS NULL THEN %s ELSE %s END)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [now - KEPT_FOR, KEPT_OF_NONE, KEPT_PER_EXPERIMENT])
        return int(cursor.rowcount)


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()
