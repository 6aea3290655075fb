"""The door that says why: from memory, in the key's environment, and with the answer that
assignments give.
"""

from __future__ import annotations

import pytest
from django.db import OperationalError

from experiments.core.clock import utc_now
from experiments.core.types import Environment, Scope, Status
from experiments.selectors import serving
from tests.serving_cast import experiment, launched

pytestmark = pytest.mark.django_db


def ask(client, body):
    return client.post("/api/v1/explain", body, format="json")


@pytest.mark.parametrize("scope", [Scope.SERVER, Scope.READ, Scope.MANAGEMENT])
def test_explain__says_what_assignments_say_and_why(doors, scope):
    launched("checkout")
    launched("search", unit_type="tenant", seed="ba9876543210")
    doors.publish()
    answer = ask(doors.client(scope), {"unit": "u1"})
    assert answer.status_code == 200
    checkout, search = answer.json()["explanations"]
    told = (
        doors.client()
        .post("/api/v1/assignments", {"unit": "u1", "exposure": "none"}, format="json")
        .json()["assignments"]
    )
    for said, explained in zip(told, (checkout, search), strict=True):
        same = ("flag", "experiment", "variant", "value", "reason", "bucket")
        assert [explained[name] for name in same] == [said[name] for name in same]
    assert (checkout["decided_by"], search["decided_by"]) == ("bucket", "default")
    assert search["steps"][-2]["message"] == "search is randomised by tenant; the request has user"
    assert answer["X-Assay-Stale"] == "false"


def test_explain__named_flags_and_experiments__and_the_environment_of_the_key(doors):
    launched("checkout")
    experiment("next", status=Status.DRAFT)
    doors.publish()
    body = {"units": {"user": "u1"}, "flags": ["next"], "experiments": ["next", "Checkout"]}
    production = ask(doors.client(Scope.READ), body).json()
    assert [one["reason"] for one in production["explanations"]] == [
        "default",
        "not_serving",
        "experiment",
    ]
    testing = ask(doors.client(Scope.READ, Environment.TEST), body).json()
    assert (testing["environment"], [one["reason"] for one in testing["explanations"]]) == (
        "test",
        ["preview", "preview", "experiment"],
    )


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "unit"),
        ({"unit": "u1", "units": {"user": "u1"}}, 400, "unit"),
        ({"unit": ""}, 400, "units.user"),
        ({"units": {"visitor": "v"}}, 400, "units.visitor"),
        ({"unit": "u1", "flags": ["gone"]}, 404, "flags"),
        ({"unit": "u1", "experiments": ["gone"]}, 404, "experiments"),
        ({"unit": "u1", "experiments": "checkout"}, 400, "experiments"),
        ({"unit": "u1", "attributes": {str(n): "x" * 8000 for n in range(5)}}, 413, ""),
        ({"unit": "u1", "why": True}, 400, ""),
    ],
)
def test_explain__bad_body__is_refused_at_its_place(doors, body, status, field):
    doors.publish()
    answer = ask(doors.client(Scope.READ), body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.content


def test_explain__database_away__answers_from_memory_and_says_stale(doors, monkeypatch):
    launched("checkout")
    doors.publish()
    client = doors.client(Scope.READ)
    before = ask(client, {"unit": "u1"}).json()["explanations"]

    def refuse(*_args, **_kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(serving, "_newest", refuse)
    serving.refresh(utc_now())
    answer = ask(client, {"unit": "u1"})
    assert (answer.status_code, answer.json()["explanations"], answer.json()["stale"]) == (
        200,
        before,
        True,
    )
