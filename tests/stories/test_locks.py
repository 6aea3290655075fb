"""A stranger's lock delays what needs the locked row or table, and nothing else.

``ASSAY_LOCK_SECONDS=60`` holds the lock for as long as the fault was reported with.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings

from config.processes.services import Lease
from experiments.core.clock import utc_now
from tests.live import Answer, Live, installation

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
HELD = float(os.environ.get("ASSAY_LOCK_SECONDS", "6"))
SLOWEST = 2.0
"""Seconds; one wait for a turn at the database may hold all threads once, when the lock begins."""
BEAT = """
import django
django.setup()
from experiments.core.clock import utc_now
from experiments.tasks import honour
print(honour(utc_now()))
"""


@pytest.fixture(scope="module")
def house(services: Lease, redis_url: str) -> Iterator[Live]:
    with installation(services, settings.DATABASE_URL, redis_url) as live:
        live.experiment("locked_one", flag=live.flag("locked_one")["key"])
        live.experiment("free_one", flag=live.flag("free_one")["key"])
        live.settle()
        yield live


@contextmanager
def strangers_lock(live: Live, statement: str) -> Iterator[None]:
    """Another program's transaction that took a lock and does nothing more."""
    with psycopg.connect(live.database_url) as stranger:
        stranger.execute(statement)
        yield
        stranger.rollback()


@contextmanager
def repeated(count: int, ask: object) -> Iterator[list[Answer]]:
    """So many threads that ask again as soon as they are answered."""
    answers, stop = list[Answer](), threading.Event()

    def run() -> None:
        while not stop.is_set():
            answers.append(ask())
            time.sleep(0.05)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def event() -> dict[str, object]:
    return {"event_type": "opened", "units": {"user": "u1"}}


def assigned(live: Live, name: str = "free_one") -> tuple[Answer, float]:
    began = time.monotonic()
    answer = live.post("/api/v1/assignments", {"unit": f"u{began}", "experiments": [name]})
    return answer, time.monotonic() - began


def test_locked_event_ids__cost_no_assignment_and_posts_are_refused_with_a_reason(
    house: Live,
) -> None:
    with (
        strangers_lock(house, "LOCK TABLE event_ids IN ACCESS EXCLUSIVE MODE"),
        repeated(8, lambda: house.post("/api/v1/events", event())) as posts,
    ):
        time.sleep(0.3)
        end, slowest, count = time.monotonic() + HELD, 0.0, 0
        while time.monotonic() < end:
            answer, seconds = assigned(house)
            assert answer.status == 200, answer.body
            slowest, count = max(slowest, seconds), count + 1
            time.sleep(0.05)
    print(
        f"{count} assignments in {HELD:.0f} s, the slowest took {slowest:.2f} s; {len(posts)} posts answered"
    )
    assert slowest < SLOWEST
    assert count > HELD * 4
    refused = [post for post in posts if post.status == 503]
    assert {post.json()["error"]["code"] for post in refused} == {"locked", "busy"}
    assert all("retry-after" in post.headers for post in refused)
    assert {post.status for post in posts} <= {200, 503}
    assert house.post("/api/v1/events", event()).status == 200


def test_emergency_stop__serves_the_default_while_the_row_is_locked_and_is_booked_later(
    house: Live,
) -> None:
    path = "/api/v1/experiments/locked_one/stop?emergency=true"
    with strangers_lock(house, "SELECT 1 FROM experiments WHERE key = 'locked_one' FOR UPDATE"):
        began = time.monotonic()
        answer = house.post(path, {"reason": "it shows wrong prices"}, key="management")
        seconds = time.monotonic() - began
        assert answer.status == 200, answer.body
        assert "has locked the experiment's row" in answer.json()["message"]
        house.settle()
        served = time.monotonic() - began
        given, _ = assigned(house, "locked_one")
        other, _ = assigned(house)
        print(f"answered after {seconds:.2f} s, served after {served:.2f} s")
        assert given.json()["assignments"][0]["variant"] is None
        assert other.json()["assignments"][0]["variant"] is not None
        assert served < 5
        assert (
            house.post("/api/v1/experiments/locked_one/resume", {}, key="management").status == 503
        )
        assert house.python(BEAT).strip() == "0"
        assert house.sql("SELECT status FROM experiments WHERE key = 'locked_one'") == [
            ("running",)
        ]
    assert house.python(BEAT).strip() == "1"
    row = house.sql("SELECT status, pause_cause FROM experiments WHERE key = 'locked_one'")
    line = house.sql(
        "SELECT action, reason FROM changelog WHERE object_label = 'locked_one' ORDER BY id DESC LIMIT 1"
    )
    assert (row, line) == ([("paused", "harm")], [("emergency_stop", "it shows wrong prices")])
    assert house.sql("SELECT outcome FROM urgent_stops") == [("booked",)]


def test_planned_start_of_a_locked_experiment__delays_only_itself(house: Live) -> None:
    for name in ("planned_one", "planned_two"):
        made = house.experiment(name, start=False, flag=house.flag(name)["key"])
        due = utc_now() - timedelta(minutes=1 if name == "planned_two" else 2)
        house.sql(
            "UPDATE experiments SET planned_start = %s WHERE experiment_id = %s", due, made["id"]
        )
    live = Live(
        house.host,
        house.port,
        house.state,
        {**house.environment, "ASSAY_WAITS": "worker"},
        house.database_url,
    )
    status = "SELECT status FROM experiments WHERE key LIKE 'planned_%' ORDER BY key"
    with strangers_lock(house, "SELECT 1 FROM experiments WHERE key = 'planned_one' FOR UPDATE"):
        began = time.monotonic()
        assert live.python(BEAT).strip() == "1"
        assert time.monotonic() - began < 30
        assert [row[0] for row in house.sql(status)] == ["draft", "running"]
    assert live.python(BEAT).strip() == "1"
    assert [row[0] for row in house.sql(status)] == ["running", "running"]


def test_emergency_stop_of_one_arm__serves_the_default_to_its_units_while_the_row_is_locked(
    house: Live,
) -> None:
    arms = [
        {"name": name, "traffic_allocation": share, "is_control": name == "old"}
        for name, share in (("old", 34), ("one", 33), ("two", 33))
    ]
    house.experiment("arms_one", flag=house.flag("arms_one")["key"], variants=arms)
    house.settle()
    before = variants(house, "arms_one")
    path = "/api/v1/experiments/arms_one/stop?emergency=true"
    with strangers_lock(house, "SELECT 1 FROM experiments WHERE key = 'arms_one' FOR UPDATE"):
        answer = house.post(
            path, {"reason": "it shows wrong prices", "variant": "one"}, key="management"
        )
        assert answer.status == 200, answer.body
        assert "row is locked" in answer.json()["message"]
        house.settle()
        assert variants(house, "arms_one") == {
            unit: None if arm == "one" else arm for unit, arm in before.items()
        }
    assert house.python(BEAT).strip() == "1"
    assert variants(house, "arms_one") == {
        unit: None if arm == "one" else arm for unit, arm in before.items()
    }
    stopped = "SELECT v.key FROM experiment_stopped_arms s JOIN experiment_variants v ON v.variant_id = s.variant_id"
    assert house.sql(stopped) == [("one",)]
    assert house.sql("SELECT arm, outcome FROM urgent_stops WHERE arm <> ''") == [("one", "booked")]
    assert house.sql("SELECT status FROM experiments WHERE key = 'arms_one'") == [("running",)]


def variants(live: Live, name: str) -> dict[str, str | None]:
    asked = {
        "batch": [{"unit": f"arm{n}"} for n in range(60)],
        "experiments": [name],
        "exposure": "none",
    }
    answers = live.post("/api/v1/assignments", asked).json()["results"]
    return {f"arm{n}": one["variant"] for n, items in enumerate(answers) for one in items}


@contextmanager
def no_connection_left(live: Live) -> Iterator[None]:
    """All connections that the application may have are taken: its own are ended, and it gets no
    other.
    """
    name = live.database_url.partition("?")[0].rpartition("/")[2]
    live.sql(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    try:
        live.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        yield
    finally:
        live.sql(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')


def until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_connections_exhausted__cost_no_assignment_and_no_exposure_and_end_by_themselves(
    house: Live,
) -> None:
    def stored() -> int:
        return int(
            house.sql("SELECT count(*) FROM experiment_assignments WHERE user_id LIKE 'late-%'")[0][
                0
            ]
        )

    def ready() -> int:
        return house.get("/readyz", key=None).status

    with no_connection_left(house):
        until(lambda: ready() == 503, 30, "readyz does not say that the database cannot be had")
        answers = [
            house.post("/api/v1/assignments", {"unit": f"late-{n}", "experiments": ["free_one"]})
            for n in range(100)
        ]
        assert [answer.status for answer in answers] == [200] * 100
        assert all(answer.json()["assignments"][0]["variant"] for answer in answers)
        began = time.monotonic()
        refused = house.post("/api/v1/events", {"event_type": "opened", "units": {"user": "late"}})
        assert refused.status == 503, refused.body
        assert time.monotonic() - began < 15  # the pool's three seconds, on a busy machine
        assert stored() == 0
    until(lambda: ready() == 200, 30, "readyz does not notice that there are connections again")
    until(lambda: stored() == 100, 60, "exposures are missing")
