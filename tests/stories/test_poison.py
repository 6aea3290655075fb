"""Celery's own pool of processes: work that ends its process or never ends costs itself, and nobody
else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings

from config.celery_settings import SLOW
from config.processes.services import Lease
from tests.live import Live, installation
from tests.places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
SHORT, LONG = 4, 600
"""Seconds of a tick: of a story of many ticks, and of one that ends within the first."""
MANY = 20
# Beat's wake-up, once a tick; what it sends goes to the worker.
BEAT = """
import sys, time
import tests.poisoned
from analytics.tasks import analyse_due
while True:
    analyse_due()
    time.sleep(float(sys.argv[1]))
"""
LATEST = """
SELECT e.key, r.error, r.failed_at IS NULL FROM analysis_runs r JOIN experiments e ON e.experiment_id = r.experiment_id
WHERE r.latest AND e.status = 'running'
"""


@pytest.fixture(scope="module")
def installed(services: Lease, redis_url: str) -> Iterator[Live]:
    with installation(services, settings.DATABASE_URL, redis_url, ASSAY_WAITS="worker") as live:
        yield live


@pytest.fixture
def house(installed: Live) -> Iterator[Live]:
    """The installation without experiments that run."""
    yield installed
    installed.sql("UPDATE experiments SET status = 'archived'")
    for table in ("failed_work", "claimed_slots"):
        installed.sql(f"DELETE FROM {table}")


@contextmanager
def running(live: Live, tick: int, **environment: str) -> Iterator[None]:
    """Beat, and the worker that analyses as ``config.processes.stack`` starts it, with poison in
    it.
    """
    celery = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "celery",
        "--quiet",
        "-A",
        "tests.poisoned",
        "worker",
        "--queues",
        ",".join(SLOW),
    ]
    pool = ["--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    with (live.state / "worker.log").open("ab") as log:
        started = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **os.environ,
                    **live.environment,
                    "ASSAY_TICK_SECONDS": str(tick),
                    **environment,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            for command in (
                [*celery, *pool],
                [sys.executable, "-W", "ignore", "-c", BEAT, str(tick)],
            )
        ]
    try:
        yield
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(what: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.2)


def analysed(live: Live) -> set[str]:
    return {key for key, error, good in live.sql(LATEST) if good and not error}


def test_experiment_that_kills_its_worker__is_set_aside_after_three_runs_and_the_others_go_on(
    house: Live,
) -> None:
    for name in ("poison_one", "healthy_one", "healthy_two"):
        house.experiment(name)
    with running(house, SHORT):
        until(lambda: house.sql("SELECT 1 FROM failed_work WHERE set_aside_at IS NOT NULL"), 240)
        time.sleep(2 * SHORT)
        until(lambda: len(analysed(house)) == 2, 120)
    [(task, attempts, failures, reason)] = house.sql(
        "SELECT task, attempts, failures, error FROM failed_work"
    )
    assert (task, attempts, failures) == ("analyse", 3, 3)
    assert "the worker ended during the work" in reason
    runs = {key: error for key, error, _ in house.sql(LATEST)}
    assert "set aside until an administrator has it tried again" in runs["poison_one"]
    assert analysed(house) == {"healthy_one", "healthy_two"}
    [(told,)] = house.sql("SELECT count(*) FROM outbox_messages WHERE title LIKE '%set aside%'")
    assert told == 1


def test_experiment_that_never_finishes__twenty_others_are_analysed_within_a_tick(
    house: Live,
) -> None:
    house.experiment("endless_one")
    for number in range(MANY):
        house.experiment(f"quick_{number:02}")
    with running(house, LONG):
        until(lambda: len(analysed(house)) == MANY, 300)
        assert "endless_one" not in analysed(house)


def test_time_limit__is_booked_on_the_experiment_that_ran(house: Live) -> None:
    for name in ("endless_two", "healthy_three"):
        house.experiment(name)
    booked = "SELECT f.failures, f.error FROM failed_work f JOIN experiments e ON e.experiment_id = f.subject WHERE e.key = 'endless_two'"
    with running(house, LONG, POISONED_SECONDS="20"):
        until(
            lambda: (
                analysed(house) == {"healthy_three"}
                and any(failures for failures, _ in house.sql(booked))
            ),
            120,
        )
        [(failures, error)] = house.sql(booked)
    assert failures == 1 and "SoftTimeLimitExceeded" in error
    assert house.sql("SELECT count(*) FROM failed_work WHERE failures > 0") == [(1,)]
