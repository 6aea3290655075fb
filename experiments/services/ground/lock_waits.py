"""Waiting for locks: telling a lock that somebody else holds from other faults, and waiting for
less long than usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

_LOCKED = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected."""
_CUT_OFF = frozenset({"57014"})
"""query_canceled: a statement took longer than this process lets it."""


def is_locked(error: BaseException) -> bool:
    """Whether the database gave up waiting for a lock that another transaction holds."""
    return isinstance(error, DatabaseError) and _sqlstate(error) in _LOCKED


def is_cut_off(error: BaseException) -> bool:
    """Whether the database ended a statement that took too long."""
    return isinstance(error, DatabaseError) and _sqlstate(error) in _CUT_OFF


def _sqlstate(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


@contextmanager
def waiting_at_most(milliseconds: int) -> Iterator[None]:
    """Wait no longer than this for each lock that the block takes. Inside the caller's
    transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        usual = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(milliseconds)])
    yield
    with connection.cursor() as cursor:  # after a fault the rollback restores it
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])
