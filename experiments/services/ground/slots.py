"""Slots: whoever inserts the row does the work, so several beats and workers do no harm."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Max

from experiments.models import ClaimedSlot

log = structlog.get_logger(__name__)

HEARD = "heard:"
KEEP = timedelta(days=3)
"""Slots are looked at within one tick; older ones are only ballast."""


AHEAD = timedelta(minutes=10)
"""Clocks of several hosts differ by less. A tick that is claimed for later than that was claimed by
a clock that was wrong.
"""


def claim(now: datetime, *, task: str, slot: str) -> bool:
    """Take one tick of a task; False when somebody has it already.

    One statement decides: two that insert at the same moment wait for each other in the unique
    index, and the second finds the row there.
    """
    table = connection.ops.quote_name(ClaimedSlot._meta.db_table)
    with connection.cursor() as cursor:
        if slot.isdigit():
            _forget_a_wrong_clock(cursor, table, now, task, slot)
        cursor.execute(
            f"INSERT INTO {table} (task, slot, claimed_at) VALUES (%s, %s, %s) ON CONFLICT (task, slot) DO NOTHING",
            [task, slot, now],
        )
        return bool(cursor.rowcount == 1)


def _forget_a_wrong_clock(
    cursor: CursorWrapper, table: str, now: datetime, task: str, slot: str
) -> None:
    """A clock that was ahead has claimed ticks that are still to come: nobody would do their work
    when they come.
    """
    far = str(int((now + AHEAD).timestamp()))
    later = f"DELETE FROM {table} WHERE task = %s AND slot > %s AND (SELECT max(slot) FROM {table} WHERE task = %s) > %s"
    cursor.execute(later, [task, slot, task, far])
    if cursor.rowcount:
        log.warning("clock_was_ahead", task=task, ticks=cursor.rowcount)


def slot_of(now: datetime, *, seconds: int) -> str:
    """The name of the tick a moment falls in: the start of its interval, in whole seconds since
    1970.
    """
    return str(int(now.timestamp()) // seconds * seconds)


def heard(now: datetime, task: str) -> None:
    """Note that a task of beat has come to its end in this minute."""
    claim(now, task=HEARD + task, slot=slot_of(now, seconds=60))


def last_heard() -> dict[str, datetime]:
    """Task → when it last came to its end; tasks that have been silent for days are left out."""
    rows = (
        ClaimedSlot.objects.filter(task__startswith=HEARD)
        .values_list("task")
        .annotate(last=Max("claimed_at"))
    )
    return {task.removeprefix(HEARD): last for task, last in rows}


def forget_old_slots(now: datetime) -> int:
    """Delete what no tick will ask for again; says how many."""
    deleted, _ = ClaimedSlot.objects.filter(claimed_at__lt=now - KEEP).delete()
    return deleted
