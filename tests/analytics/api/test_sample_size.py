"""`POST /api/v1/sample-size`: the planner's answer through a door, for an experiment or for
numbers.
"""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from experiments.core.types import Scope
from experiments.models import ChangeLogEntry, Evidence
from tests.factories import METRICS, draft

URL = "/api/v1/sample-size"
RATE = {"metric": "resolved", "baseline": 0.75, "effect": 0.05, "effect_kind": "absolute"}
COMPLAINTS = {
    "metric": "complaints",
    "role": "guardrail",
    "baseline": 0.003,
    "margin": 0.15,
    "margin_kind": "relative",
}


@pytest.fixture
def reader(doors):
    return doors.client(Scope.READ)


def test_sample_size__75_to_80_percent__is_1094_an_arm(reader):
    body = reader.post(URL, {"metrics": [RATE]}, format="json").json()
    assert (body["control"], body["treatment"], body["total"], body["decided_by"]) == (
        1094,
        1094,
        2188,
        "resolved",
    )
    assert body["metrics"][0]["question"] == "find +5 p.p. (75 % → 80 %)"


def test_sample_size__guardrail_out_of_reach__says_what_would_do(reader):
    body = reader.post(
        URL + "/", {"metrics": [RATE, COMPLAINTS], "units_per_day": 3000, "weeks": 4}, format="json"
    ).json()
    row = body["metrics"][1]
    assert (row["within_reach"], row["weeks"] > 4, row["detect_events"]) == (False, True, 752)
    assert row["margin_in_reach"] > 0.15
    assert "in 4 weeks you can prove a margin of" in body["advice"][0]


def test_sample_size__of_an_experiment__is_its_plan_and_nothing_is_stored(reader):
    experiment = draft(metrics=METRICS)
    before = ChangeLogEntry.objects.count()
    body = reader.post(
        URL, {"experiment": experiment.key, "units_per_day": 3000}, format="json"
    ).json()
    assert [row["key"] for row in body["metrics"]] == [metric.metric for metric in METRICS]
    assert (
        reader.post(URL, {"experiment": experiment.pk, "units_per_day": 3000}, format="json").json()
        == body
    )
    assert (ChangeLogEntry.objects.count(), Evidence.objects.count()) == (before, 0)


def test_sample_size__same_question_at_the_terminal__has_the_same_answer(reader, capsys):
    body = {
        "metrics": [RATE, COMPLAINTS],
        "shares": [50, 25, 25],
        "units_per_day": 3000,
        "looks": 3,
    }
    call_command(
        *(
            "sample_size",
            "--metric",
            "resolved",
            "--baseline",
            ".75",
            "--effect",
            ".05",
            "--shares",
            "50,25,25",
            "--looks",
            "3",
        ),
        *("--units-per-day", "3000", "--guardrail", "complaints:relative:.15:base=.003", "--json"),
    )
    assert json.loads(capsys.readouterr().out) == reader.post(URL, body, format="json").json()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "1 to 50 are planned together"),
        ({"metrics": [RATE | {"effect": -0.05, "direction": "increase"}]}, 400, "is a fall"),
        ({"metrics": [RATE], "alpah": 0.05}, 400, "alpah"),
        ({"metrics": [RATE | {"sigma": 1}]}, 400, "sigma"),
        ({"metrics": [RATE | {"baseline": "high"}]}, 400, "metrics[0].baseline"),
        ({"metrics": [RATE | {"baseline": 75}]}, 400, "rates lie between"),
        ({"metrics": [RATE | {"role": "main"}]}, 400, "role is one of"),
        ({"metrics": [RATE], "shares": [1]}, 400, "at least one test arm"),
        ({"metrics": [RATE], "looks": 1000}, 400, "looks are 1 to"),
        ({"metrics": [RATE], "experiment": "rerank"}, 400, "send experiment or metrics"),
        ({"experiment": "nonesuch"}, 404, "none of this id"),
    ],
)
def test_sample_size__wrong_input__says_what_is_wrong(reader, body, status, said):
    response = reader.post(URL, body, format="json")
    assert response.status_code == status
    assert said in json.dumps(response.json()["error"], ensure_ascii=False)


def test_sample_size__incomplete_plan__lists_what_is_missing(reader):
    experiment = draft(metrics=())
    error = reader.post(URL, {"experiment": experiment.key}, format="json").json()["error"]
    assert [problem["code"] for problem in error["problems"]] == ["primary_missing"]


@pytest.mark.parametrize(
    ("scope", "status"),
    [(Scope.MANAGEMENT, 200), (Scope.SERVER, 403), (Scope.INGEST, 403), (Scope.CLIENT, 403)],
)
def test_sample_size__which_keys__may_ask(doors, scope, status):
    assert doors.client(scope).post(URL, {"metrics": [RATE]}, format="json").status_code == status


@pytest.mark.django_db
def test_schema__names_the_door_and_its_body():
    schema = APIClient().get("/api/schema", headers={"Accept": "application/json"}).json()
    operation = schema["paths"]["/api/v1/sample-size"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/SampleSizeBody"
    )
    assert {"SampleSizeBody", "SizedMetric"} <= set(schema["components"]["schemas"])
