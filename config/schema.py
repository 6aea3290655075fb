"""Whether the database's tables are those of this code, and making them so."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.ownership import app_role, as_owner, grant, is_granted

_LOCK = 0x4153_5341_59
"""Advisory lock number ("ASSAY"): of several processes that find an old schema, one migrates and
the others wait.
"""


def missing() -> int:
    """How many migrations the database has not seen."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def bring_up_to_date() -> int:
    """Apply what is missing; how many that were. Safe to call from several processes at once."""
    with as_owner():
        if not missing():
            _grant()
            return 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            try:
                count = missing()
                if count:
                    call_command("migrate", verbosity=0, interactive=False)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
        return count


def _grant() -> None:
    """A role that was made after the tables."""
    role = app_role()
    if role and not is_granted(role):
        grant(role)
