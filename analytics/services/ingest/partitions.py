"""Day partitions of the event tables, made by ingest itself when a day is first written to.

There is no default partition: rows in it would block the creation of their day later. The function
``assay_make_day`` belongs to the owner of the tables and runs as the owner, since the application's
role may make none. It makes a table of its own with a CHECK that says what it holds, so that
attaching it need not read it, and takes no lock that stops readers or writers of other days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

from django.db import connection, transaction

Parent = Literal["ai_events", "ai_ab_metrics", "ai_request_costs", "ai_feedback"]
_LOCK = 7_302_201
"""The advisory lock of partition making: one maker at a time, whatever the day."""


def ensure_days(parent: Parent, days: Iterable[date]) -> list[date]:
    """Make the missing ones of these days; returns those made by this call."""
    wanted = sorted(set(days))
    if not missing_days(parent, wanted):
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        missing = missing_days(parent, wanted)
        for day in missing:
            cursor.execute("SELECT assay_make_day(%s, %s)", [parent, day])
    return missing


def missing_days(parent: Parent, days: Iterable[date]) -> list[date]:
    """Which of these days have no partition yet."""
    by_name = {_name(parent, day): day for day in days}
    # Rows of the catalogue, not to_regclass: that may answer from a cache which a wait for the lock
    # leaves stale.
    statement = """
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = %s::regclass AND c.relname = ANY(%s)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [parent, list(by_name)])
        present = {name for (name,) in cursor.fetchall()}
    return sorted(day for name, day in by_name.items() if name not in present)


def _name(parent: Parent, day: date) -> str:
    return f"{parent}_{day:%Y%m%d}"
