"""Databases of tests: one is migrated for all workers of a run, every other is a copy of it.

Migrating takes ten seconds of processor time, copying a tenth of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import dj_database_url
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection

_MIGRATED, _MAKING = "migrated_", 0x4C49_5645
"""How the database begins that all others are copied from, and the lock of those who make or copy
one.
"""
_NAMED = ("USER", "PASSWORD", "HOST", "PORT")
opened: Callable[[], AbstractContextManager[None]] = nullcontext
"""Opens Django's connection, which pytest-django shuts outside tests of databases; set by the
fixture ``services``.
"""


def owner_url() -> str:
    """The address of the owner of all that tests make."""
    return settings.DATABASE_OWNER_URL or settings.DATABASE_URL


def named(url: str, name: str) -> str:
    """The address of another database on the same server."""
    head, _, tail = url.rpartition("/")
    return f"{head}/{name}" + ("?" + tail.partition("?")[2] if "?" in tail else "")


@contextmanager
def lent(name: str) -> Iterator[None]:
    """A database for the length of a block, which Django's connection speaks to as the owner of its
    tables.
    """
    drop(name)
    copy_of_migrated(name)
    try:
        with _pointed_at(name):
            yield
    finally:
        drop(name)


def copy_of_migrated(name: str) -> None:
    """A database as migrations leave it: the first worker of a run that asks migrates it, all
    others copy that.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:32]
    migrated = f"{_MIGRATED}{run}"
    with psycopg.connect(owner_url(), autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_MAKING])
        found = server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [_MIGRATED]
        )
        there = [row[0] for row in found]
        for old in there:
            if old != migrated:
                server.execute(f'DROP DATABASE "{old}"')
        if migrated not in there:
            _make_migrated(migrated)
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}"')


def drop(name: str) -> None:
    """Remove a database, whoever still speaks to it."""
    with psycopg.connect(owner_url(), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _make_migrated(name: str) -> None:
    with psycopg.connect(owner_url(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        with opened(), _pointed_at(name):
            call_command("migrate", verbosity=0, interactive=False)
    except BaseException:
        drop(name)  # half migrated
        raise


@contextmanager
def _pointed_at(name: str) -> Iterator[None]:
    """Django's connection speaks to this database, as the owner."""
    owner, known = dj_database_url.parse(owner_url()), connection.settings_dict
    before = {part: known[part] for part in ("NAME", *_NAMED)}
    connection.close()
    known.update({"NAME": name} | {part: owner[part] for part in _NAMED})
    try:
        yield
    finally:
        connection.close()
        known.update(before)
