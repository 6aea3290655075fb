"""Turns at the database: nobody waits behind stuck requests, kinds do not starve each other, and
refusals say what to do.
"""

from __future__ import annotations

import threading
import time

import pytest
from django.db import OperationalError
from psycopg import errors

from experiments.core.errors import AssayError
from experiments.http.errors import outage
from experiments.services.ground import turns
from experiments.services.ground.lock_waits import is_locked
from experiments.services.ground.turns import TurnKind, Turns, turn


def fault(kind: type[Exception]) -> OperationalError:
    try:
        try:
            raise kind("words of the driver")
        except Exception as cause:
            raise OperationalError("words of Django") from cause
    except OperationalError as error:
        return error


def test_free_turn__is_taken_at_once_and_given_back():
    some = Turns(1, stuck=5)
    first = some.take()
    assert first is not None
    some.leave(first)
    assert some.take() is not None


def test_all_taken__waits_while_the_others_move_on():
    some = Turns(1, stuck=5)
    first = some.take()
    threading.Timer(0.1, some.leave, [first]).start()
    began = time.monotonic()
    assert some.take() is not None
    assert 0.05 < time.monotonic() - began < 4


def test_behind_a_stuck_holder__nobody_waits():
    some = Turns(1, stuck=0.05)
    some.take()
    time.sleep(0.1)
    began = time.monotonic()
    assert some.take() is None
    assert time.monotonic() - began < 0.05


def test_after_somebody_was_stuck__the_next_do_not_wait_either():
    some = Turns(1, stuck=0.05, strained=60)
    first = some.take()
    time.sleep(0.1)
    some.leave(first)
    assert some.take() is not None
    began = time.monotonic()
    assert some.take() is None
    assert time.monotonic() - began < 0.04


def test_turn__within_another_is_the_same_and_refusal_is_named(monkeypatch):
    monkeypatch.setitem(turns._turns, TurnKind.STORE, Turns(1, stuck=0.0))
    with turn(TurnKind.STORE), turn(TurnKind.STORE):
        refused: list[str] = []

        def other() -> None:
            try:
                with turn(TurnKind.STORE):
                    refused.append("nothing")
            except AssayError as error:
                refused.append(error.code)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == ["busy"]
    with turn(TurnKind.STORE):
        assert turns._turns[TurnKind.STORE]._began


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.LockNotAvailable, "locked"),
        (errors.DeadlockDetected, "locked"),
        (errors.QueryCanceled, "too_slow"),
        (Exception, "not_available"),
    ],
)
def test_outage__names_what_kept_the_door_waiting(kind, code):
    error = fault(kind)
    assert outage(error).code == code
    assert is_locked(error) is (code == "locked")


@pytest.mark.django_db
def test_locked_row_at_a_page__is_503_and_says_so(admin_client, monkeypatch):
    from experiments.admin import dashboard

    def locked(*_args, **_named):
        raise fault(errors.LockNotAvailable)

    monkeypatch.setattr(dashboard, "overview", locked)
    from django.contrib import admin

    monkeypatch.setattr(admin.site, "index", locked)
    monkeypatch.setattr(type(admin.site), "each_context", locked)
    answer = admin_client.get("/admin/")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert b"lock" in answer.content


def test_waits__by_role_from_the_environment(monkeypatch):
    from config import database

    monkeypatch.setenv("ASSAY_WAITS", "serve")
    monkeypatch.setenv("ASSAY_DB_LOCK_MS", "700")
    made = database.bounded({"OPTIONS": {"options": "-c work_mem=8MB"}})
    assert made["OPTIONS"]["options"] == (
        "-c lock_timeout=700 -c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000 -c work_mem=8MB"
    )
    assert made["OPTIONS"]["connect_timeout"] == 3
    monkeypatch.setenv("ASSAY_WAITS", "command")
    assert "lock_timeout" not in database.bounded({})["OPTIONS"]["options"]
