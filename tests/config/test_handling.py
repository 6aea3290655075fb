"""What a thread tidies after a request: database connections, in threads that had one."""

from __future__ import annotations

import threading
from io import BytesIO

import pytest
from django.core.signals import request_finished, request_started
from django.db.backends.signals import connection_created

from config.web import handling
from config.web.requests_read import with_body

TOLD = (("before", "_BEFORE"), ("after", "_AFTER"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch):
    found: list[str] = []
    for name, receivers in TOLD:
        monkeypatch.setattr(handling, receivers, (lambda name=name, **_: found.append(name),))
    return found


def ask() -> handling.Answer:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/livez",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
    }
    return handling.Handler().answer(with_body(environ | {"wsgi.input": BytesIO()}, b""))


def in_a_thread(*acts) -> None:
    thread = threading.Thread(target=lambda: [act() for act in acts])
    thread.start()
    thread.join()


def test_answer__in_a_thread_without_a_connection__tidies_nothing(told: list[str]):
    answers: list[handling.Answer] = []
    in_a_thread(lambda: answers.append(ask()))
    assert answers[0][0] == 200
    assert told == []


def test_answer__in_a_thread_that_had_a_connection__tidies_before_and_after(told: list[str]):
    in_a_thread(handling._note_connection, ask, ask)
    assert told == ["before", "after"] * 2


def test_tidy_where_needed__takes_over_djangos_receivers_and_hears_of_connections():
    heard: list[bool] = []
    before = [
        list(signal.receivers) for signal in (request_started, request_finished, connection_created)
    ]
    try:
        handling.tidy_where_needed()
        for signal, taken in (
            (request_started, handling._BEFORE),
            (request_finished, handling._AFTER),
        ):
            live = [receiver for entry in signal.receivers if (receiver := entry[1]()) is not None]
            assert not set(taken) & set(live)
        in_a_thread(
            lambda: connection_created.send(sender=None, connection=None),
            lambda: heard.append(handling._thread.had_connection),
        )
    finally:
        for signal, receivers in zip(
            (request_started, request_finished, connection_created), before, strict=True
        ):
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()
    assert heard == [True]
