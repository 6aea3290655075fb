"""Keys that manage have a limit; doors that decide never answer 429."""

from __future__ import annotations

import pytest

from experiments.core.types import Scope
from experiments.http import limits

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_limit(settings, monkeypatch):
    settings.MANAGEMENT_LIMIT = 3
    monkeypatch.setattr(limits, "_windows", limits.Windows())


def test_management_key__above_its_limit_is_429_with_retry_after(doors):
    client = doors.client(Scope.MANAGEMENT)
    answers = [client.get("/api/v1/experiments") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    last = answers[-1]
    assert 1 <= int(last["Retry-After"]) <= 61
    assert last.json()["error"]["code"] == "too_many"


def test_another_key__has_its_own_count(doors):
    first, second = doors.client(Scope.MANAGEMENT), doors.client(Scope.READ)
    for _ in range(4):
        first.get("/api/v1/experiments")
    assert second.get("/api/v1/experiments").status_code == 200


def test_deciding_and_storing__have_no_limit(doors):
    doors.publish()
    client = doors.client(Scope.SERVER)
    decided = {
        client.post("/api/v1/assignments", {"unit": "u"}, format="json").status_code
        for _ in range(8)
    }
    flags = {
        client.post(
            "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u"}}, format="json"
        ).status_code
        for _ in range(8)
    }
    stored = {
        client.post("/api/v1/events", {"events": []}, format="json").status_code for _ in range(8)
    }
    assert decided | flags | stored == {200}


def test_emergency_stop__has_no_limit(doors):
    client = doors.client(Scope.MANAGEMENT)
    answers = {
        client.post("/api/v1/experiments/none/stop?emergency=true", {}, format="json").status_code
        for _ in range(8)
    }
    assert answers == {404}


def test_next_window__has_room_again():
    windows = limits.Windows()
    assert [
        windows.left_after(7, 2, moment) > 0 for moment in (100.0, 101.0, 102.0, 159.0, 160.0)
    ] == [False, False, True, True, False]
    assert windows.left_after(8, 2, 161.0) == 0
