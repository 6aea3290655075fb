"""PostgreSQL and Redis go away under a live server: every answer stands, a cold start serves, and
nothing that was met is lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.conf import settings

from config.processes.services import Lease
from tests.chaos.gate import Gate, to_unix
from tests.live import Live, installation

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
NAME = "outage"
UNITS = [f"пользователь-{number}" if number % 3 == 0 else f"user-{number}" for number in range(60)]


@dataclass
class Cut:
    """An installation whose way to PostgreSQL and Redis can be shut."""

    live: Live
    gates: tuple[Gate, Gate]

    def shut(self) -> None:
        for gate in self.gates:
            gate.shut()

    def open(self) -> None:
        for gate in self.gates:
            gate.open()

    def hang(self) -> None:
        """Connections stay, new ones come about, and nobody hears a word."""
        for gate in self.gates:
            gate.passing.clear()

    def go_on(self) -> None:
        for gate in self.gates:
            gate.passing.set()


@contextmanager
def gated(services: Lease, redis_url: str, role: str) -> Iterator[Cut]:
    """An installation with one experiment, behind gates that are open."""
    database, cache = (
        Gate(to_unix(_postgres_socket(settings.DATABASE_URL))),
        Gate(to_unix(urlsplit(redis_url).path)),
    )
    database.open()
    cache.open()
    with installation(services, settings.DATABASE_URL, redis_url) as live:
        live.flag(NAME, type="object", client_visible=True)
        live.experiment(NAME, flag=NAME, traffic_allocation=0.9)
        live.settle()
        live.stop()
        through = f"postgresql://assay@127.0.0.1:{database.port}/{live.database_url.partition('?')[0].rpartition('/')[2]}"
        redis = f"redis://127.0.0.1:{cache.port}/1"
        live.environment = {
            **live.environment,
            "DATABASE_URL": through,
            "REDIS_URL": redis,
            "ASSAY_ROLE": role,
        }
        live.start()
        yield Cut(live, (database, cache))
    database.shut()
    cache.shut()


@pytest.fixture(params=["serve", "all"])
def cut(request: pytest.FixtureRequest, services: Lease, redis_url: str) -> Iterator[Cut]:
    with gated(services, redis_url, request.param) as made:
        yield made


def _postgres_socket(url: str) -> str:
    return f"{unquote(urlsplit(url).netloc.rpartition('@')[2])}/.s.PGSQL.5432"


def answers(live: Live) -> dict[str, Any]:
    """What every door says to every unit, without what tells of staleness."""
    found: dict[str, Any] = {
        "features": live.get(f"/api/features/{live.keys['client']}", key=None).json()["features"]
    }
    for unit in UNITS:
        assigned = live.post("/api/v1/assignments", {"unit": unit, "experiments": [NAME]})
        flag = live.post(
            f"/ofrep/v1/evaluate/flags/{NAME}",
            {"context": {"targetingKey": unit, "assayExposure": "none"}},
        )
        assert (assigned.status, flag.status) == (200, 200), (assigned.body, flag.body)
        found[unit] = [_fresh(assigned.json()), _fresh(flag.json())]
    return found


def _fresh(document: Any) -> Any:
    return json.loads(
        json.dumps(document).replace(', "stale": true', "").replace('"stale": true, ', "")
    )


def stale(live: Live) -> bool:
    return live.post("/api/v1/assignments", {"unit": "u"}).headers["x-assay-stale"] == "true"


def until(true: Callable[[], bool], seconds: float, what: str) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, what
        time.sleep(0.1)
    return time.monotonic() - began


def stored(live: Live) -> int:
    return int(live.sql("SELECT count(*) FROM experiment_assignments")[0][0])


def counts(live: Live) -> list[tuple[int, int]]:
    """(exposures, how many units had so many)."""
    return live.sql(
        "SELECT exposure_count, count(*) FROM experiment_assignments GROUP BY 1 ORDER BY 1"
    )


def kill_web(live: Live) -> None:
    """SIGKILL for whoever listens, as a machine that runs out of memory does it."""
    found = subprocess.run(
        ["pgrep", "-f", f"granian.*--port {live.port}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert found
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)


def test_both_stores_down__answers_stand_cold_start_serves_and_exposures_arrive_once(
    cut: Cut,
) -> None:
    live = cut.live
    before = answers(live)
    met = sum(1 for unit in UNITS if before[unit][0]["assignments"][0]["variant"] is not None)
    assert 0 < met < len(UNITS)
    until(lambda: stored(live) == met, 90, "exposures do not arrive")

    cut.shut()
    until(lambda: stale(live), 60, "nobody noticed")
    assert answers(live) == before
    kill_web(live)
    until(live._answers, 90, "the web process does not come back while the stores are down")
    assert answers(live) == before
    live.stop()
    live.start()
    assert stale(live) and answers(live) == before

    cut.open()
    until(lambda: not stale(live), 60, "it does not notice that PostgreSQL is back")
    # Four rounds of answers, each an exposure at one door and none at the other.
    until(lambda: counts(live)[:1] == [(4, met)], 90, "exposures of the outage are missing")
    assert counts(live) == [(4, met)]


@pytest.mark.parametrize("cut", ["all"], indirect=True)
def test_both_stores_hang__answers_stand_and_readyz_says_within_seconds_that_it_is_not_ready(
    cut: Cut,
) -> None:
    live = cut.live
    before = answers(live)
    assert readiness(live)[:2] == (200, "ok")

    cut.hang()
    until(lambda: readiness(live)[0] == 503, 90, "readyz goes on saying that all is well")
    for _ in range(3):
        status, said, ago, took = readiness(live)
        assert (status, said) == (503, "no answer")
        assert ago > 5 and took < 5  # half a second to wait, and a busy machine
    assert answers(live) == before
    until(lambda: stale(live), 90, "nobody noticed that the catalogue cannot be asked for")

    cut.go_on()
    until(lambda: readiness(live)[0] == 200, 90, "it does not notice that the database goes on")
    until(lambda: not stale(live), 90, "the catalogue stays stale")
    assert answers(live) == before


def readiness(live: Live) -> tuple[int, str, float, float]:
    """Status, what it says of PostgreSQL, how many seconds ago that was asked, and how long the
    answer took.
    """
    began = time.monotonic()
    answer = live.get("/readyz", key=None)
    said = answer.json()
    return (
        answer.status,
        said["postgresql"],
        said["seconds_ago"]["postgresql"],
        time.monotonic() - began,
    )
