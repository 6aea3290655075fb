"""Two database roles: the owner makes tables, the application's role may read and write rows, and
append to the audit.

``DATABASE_URL`` names the application's role and ``DATABASE_OWNER_URL`` the owner. Only commands
that change tables act as the owner. With one URL alone everything works as the role that it names,
and ``check --deploy`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dj_database_url
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

_LOCK = 0x4153_5341_5A
"""Advisory lock number: one process grants at a time."""
_NAMED = ("USER", "PASSWORD", "HOST", "PORT")


def app_role() -> str:
    """The role that the application uses; empty when it is the owner itself."""
    usual = dj_database_url.parse(settings.DATABASE_URL)["USER"]
    return usual if settings.DATABASE_OWNER_URL and usual != _owner()["USER"] else ""


@contextmanager
def as_owner() -> Iterator[None]:
    """Speak to the same database as its owner, for the length of a block; as ourselves where no
    owner is named.
    """
    mine = {name: connection.settings_dict[name] for name in _NAMED}
    if not settings.DATABASE_OWNER_URL or mine["USER"] == _owner()["USER"]:
        yield
        return
    connection.close()
    connection.settings_dict.update({name: _owner()[name] for name in _NAMED})
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(mine)


def _owner() -> dict[str, object]:
    return {
        name: value
        for name, value in dj_database_url.parse(settings.DATABASE_OWNER_URL).items()
        if name in _NAMED
    }


def append_only_tables() -> list[str]:
    """Tables whose rows nobody may change or delete, as their models say."""
    with_trigger = (
        m
        for m in apps.get_models()
        if {"append_only", "written_once"} & {t.name for t in getattr(m._meta, "triggers", [])}
    )
    return sorted(model._meta.db_table for model in with_trigger)


def grant(role: str) -> None:
    """Give the application's role what it needs, and take from it what would let it change the
    audit. As the owner.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        )
        for (schema,) in cursor.fetchall():
            for statement in _GRANTS:
                cursor.execute(
                    sql.SQL(statement)
                    .format(schema=sql.Identifier(schema), role=sql.Identifier(role))
                    .as_string(None)
                )
        for table in append_only_tables():
            revoke = sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}")
            cursor.execute(
                revoke.format(table=sql.Identifier(table), role=sql.Identifier(role)).as_string(
                    None
                )
            )


_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "REVOKE CREATE ON SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}",
)


def is_granted(role: str) -> bool:
    """Whether the role has been given its rights, and none that would let it erase the audit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('changelog') IS NULL")
        if cursor.fetchone()[0]:
            return True  # before the first migration there is nothing to give
        cursor.execute(
            "SELECT has_table_privilege(%s, 'changelog', 'INSERT') AND NOT has_table_privilege(%s, 'changelog', 'UPDATE')",
            [role, role],
        )
        return bool(cursor.fetchone()[0])
