"""Who may read ``/metrics``, and that an outage does not hold it up."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import connection
from django.test import Client

from config.processes import background
from config.processes.background import Reader
from config.web import exposition
from experiments.selectors import serving


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic scrape"},
        {"Authorization": "Bearer é"},
    ],
)
def test_metrics__from_elsewhere__want_the_token(headers: dict[str, str], settings, db) -> None:
    for token in ("", "scrape"):
        settings.METRICS_TOKEN = token
        answer = Client(REMOTE_ADDR="203.0.113.7").get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert b"experiment_" not in answer.content


def test_metrics__with_the_token__are_answered_anywhere(settings, db) -> None:
    settings.METRICS_TOKEN = "scrape"
    assert (
        Client(REMOTE_ADDR="203.0.113.7")
        .get("/metrics", headers={"Authorization": "Bearer scrape"})
        .status_code
        == 200
    )
    assert Client().get("/metrics").status_code == 401


def test_metrics__through_a_proxy_on_this_machine__are_not_this_machines(settings, db) -> None:
    assert Client().get("/metrics").status_code == 200
    assert Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Client().get("/metrics").status_code == 401


def test_metrics__while_the_database_is_known_to_be_away__do_not_ask_it(
    monkeypatch: pytest.MonkeyPatch, db
) -> None:
    away = dataclasses.replace(serving.current(), unreachable=True)
    monkeypatch.setattr(serving, "current", lambda: away)

    def refuse(*_: object) -> None:
        raise AssertionError("the database was asked")

    with connection.execute_wrapper(refuse):
        answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert b"assay_stored_totals_up 0.0" in answer.content


HANGS = 30
"""Seconds that PostgreSQL hangs: far more than a scrape takes on a busy machine."""


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """PostgreSQL hangs in the middle of a reading, and no poll has noticed yet; how often it was
    asked.
    """
    asked: list[int] = []
    over = threading.Event()
    ended = threading.Semaphore(0)

    def hang(_now: datetime) -> list[object]:
        asked.append(1)
        over.wait(HANGS)
        return []

    def in_thread(job: background.Job) -> None:
        background.in_thread(lambda: (job(), ended.release())[0])

    monkeypatch.setattr(exposition, "arm_numbers", hang)
    monkeypatch.setattr(exposition.counting, "count_within", lambda *_: None)
    monkeypatch.setattr(exposition.stored, "start", in_thread)
    yield asked
    over.set()
    assert ended.acquire(timeout=20)


def test_metrics__first_scrape_of_an_outage__has_the_last_values_at_once(
    hanging: list[int], db
) -> None:
    monotonic = time.monotonic()
    before = exposition.ScrapedTotals(
        [exposition.ArmNumbers("kept", "control", True, 7, None, {})],
        [],
        [],
        {},
        exposition.Underway(0, 0, 0, None),
    )
    exposition.stored._value, exposition.stored._works, exposition.stored._read_at = (
        before,
        True,
        monotonic,
    )
    for _ in range(3):
        began = time.monotonic()
        answer = Client().get("/metrics")
        assert time.monotonic() - began < HANGS / 3
        assert b'experiment_sample_size{experiment="kept",variant="control"} 7.0' in answer.content
        assert b"assay_stored_totals_up 1.0" in answer.content
    assert len(hanging) == 1, "a thread for each scrape of an outage would take all connections"


def test_metrics__reading_that_does_not_end__is_not_up(
    hanging: list[int], db, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LATE", 0.1)
    assert b"assay_stored_totals_up 0.0" in Client().get("/metrics").content


def test_reader__fails__keeps_the_last_value_and_reads_again() -> None:
    answers: list[object] = [1, RuntimeError("gone"), 3]

    def read() -> object:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    reader = Reader(read)
    reader.start = lambda job: job()
    seen = [reader.look() for _ in range(3)]
    assert [(found.value, found.works) for found in seen] == [(1, True), (1, False), (3, True)]
