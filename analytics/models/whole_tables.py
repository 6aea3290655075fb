"""A cursor for statements that read whole days of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper


@contextmanager
def whole_tables() -> Iterator[CursorWrapper]:
    """A cursor under which the planner joins by hash, never by nested loop.

    Such a statement reads every unit, so a hash join is right. On tables that were just filled and
    have no statistics yet, the planner expects a single row and takes minutes for what a hash join
    does in a second.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop = on")
