"""Slots: whoever inserts the row does the work, so several beats and workers do no harm."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from experiments.models import ClaimedSlot

KEEP = timedelta(days=3)
"""Slots are looked at within one tick; older ones are only ballast."""


def claim(now: datetime, *, task: str, slot: str) -> bool:
    """Take one tick of a task; False when somebody has it already.

    One statement decides: two that insert at the same moment wait for each other in the unique
    index, and the second finds the row there.
    """
    table = connection.ops.quote_name(ClaimedSlot._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (task, slot, claimed_at) VALUES (%s, %s, %s) ON CONFLICT (task, slot) DO NOTHING", [task, slot, now]
        )
        return bool(cursor.rowcount == 1)


def slot_of(now: datetime, *, seconds: int) -> str:
    """The name of the tick a moment falls in: the start of its interval, in whole seconds since 1970."""
    return str(int(now.timestamp()) // seconds * seconds)


def forget_old_slots(now: datetime) -> int:
    """Delete what no tick will ask for again; says how many."""
    deleted, _ = ClaimedSlot.objects.filter(claimed_at__lt=now - KEEP).delete()
    return deleted
