"""Real PostgreSQL and Redis for every test that asks for a database; nothing is started for those
that do not.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from config.celery import app
from config.processes.services import Lease, lease
from tests import databases, scheduling
from tests.live import live  # noqa: F401  (a fixture)

# A slow moment of a busy machine is no counterexample.
hypothesis_settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("house")


# Passwords of test accounts guard nothing, and the real hash costs a third of a second for each
# account and each sign-in. Installations in processes of their own (tests/live.py) keep the real
# one.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


# Each test client builds the middleware anew, which would look through all static files each time.
# They are found when asked for.
settings.WHITENOISE_AUTOREFRESH = True


# A message is done where it is sent, so that a test sees what came of it. Tests with a real worker
# start one of their own.
app.conf.task_always_eager = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    scheduling.longest_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> scheduling.Files | None:
    return scheduling.Files(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay to the end; looking through them again and again took
    an eighth of the time.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Importing a web process starts threads that read the catalogue for ever, under all later
    tests.
    """
    if "config.web.wsgi" in sys.modules:
        pytest.fail(
            f"config.web.wsgi was imported before or at {item.nodeid}: start it in a process of its own"
        )


@pytest.fixture(scope="session")
def services(django_db_blocker: DjangoDbBlocker) -> Iterator[Lease]:
    """The servers, shared by all workers of a run and stopped by the last one."""
    databases.opened = django_db_blocker.unblock
    with lease() as held:
        yield held


@pytest.fixture(scope="session")
def django_db_setup(
    services: Lease, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The worker's own database. In place of pytest-django's, which would migrate one for each
    worker.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with django_db_blocker.unblock(), databases.lent(f"test_assay_{worker}"):
        yield


@pytest.fixture(scope="module")
def rows_of_the_file(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A transaction around all tests of a file: what its fixtures write is there for each test, and
    gone after the last.

    A test's own transaction is a savepoint in it, so what a test writes is rolled back as ever.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="session")
def redis_url(services: Lease) -> str:
    """A Redis database of the worker's own, so that parallel tests do not meet."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    base = settings.REDIS_URL.rsplit("db=", 1)[0]
    return (
        f"{base}db={1 + int(worker.removeprefix('gw')) % 15}"
        if "db=" in settings.REDIS_URL
        else settings.REDIS_URL
    )


@pytest.fixture
def redis_client(redis_url: str, settings: object) -> Iterator[redis.Redis]:
    """An empty Redis; settings.REDIS_URL points to it for the length of the test."""
    settings.REDIS_URL = redis_url  # type: ignore[attr-defined]  # pytest-django's settings take any name
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def own_catalogue(settings: object, tmp_path: Path) -> Iterator[None]:
    """Catalogue files of this test's own, and nothing in memory from another test's database."""
    from experiments.selectors import serving  # needs the apps

    settings.CATALOGUE_DIR = tmp_path  # type: ignore[attr-defined]  # pytest-django's settings take any name
    serving.forget()
    yield
    serving.forget()


@pytest.fixture(autouse=True)
def readings_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's rows are in its own transaction, which no background thread sees."""
    for reader in (
        "config.web.exposition.stored",
        "config.web.health.postgresql",
        "config.web.health.cache",
    ):
        monkeypatch.setattr(f"{reader}.start", lambda job: job())


@pytest.fixture(autouse=True)
def keys_at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """In a test the keyring is read again when the test asks, so the command need not wait. The
    waits that it asked for.
    """
    waits: list[float] = []
    monkeypatch.setattr("experiments.management.commands.create_key.sleep", waits.append)
    return waits
