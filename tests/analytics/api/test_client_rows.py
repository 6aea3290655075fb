"""A client key can be read in every page: what it states marks no crossover, and what it may have
stored is capped.
"""

from __future__ import annotations

import json

import pytest
from rest_framework.test import APIClient

from analytics.core.scans.findings import client_findings
from analytics.models import Assignment, IngestTally
from analytics.services.ingest import client_drops
from experiments.core.serving.caps import HourlyCaps
from experiments.core.serving.exposure import from_line
from experiments.core.types import Scope
from experiments.services.serving import client_rows, spool
from tests import serving_cast


@pytest.fixture
def served(doors):
    serving_cast.launched("checkout", client_visible=True)
    doors.publish()
    return doors


@pytest.fixture
def caps(settings):
    def _set(per_unit=1_000, per_address=100_000):
        settings.CLIENT_ROWS_PER_UNIT, settings.CLIENT_ROWS_PER_ADDRESS = per_unit, per_address
        client_rows.forget()

    _set()
    client_rows.take_dropped()
    yield _set
    settings.CLIENT_ROWS_PER_UNIT, settings.CLIENT_ROWS_PER_ADDRESS = 1_000, 100_000
    client_rows.forget()


@pytest.fixture(autouse=True)
def fresh_spool():
    spool.release()
    yield
    spool.release()


def met(unit, variation):
    return {
        "event_name": "Experiment Viewed",
        "properties_json": {
            "experimentId": "checkout",
            "variationId": variation,
            "hashValue": unit,
        },
    }


def report(key, *items, **how):
    return APIClient().post(
        f"/track?client_key={key}", json.dumps(items), content_type="text/plain", **how
    )


def seen(event_id, unit, **fields):
    return {"event_id": event_id, "units": {"user": unit}, "experiment": "checkout", **fields}


def tallied(outcome):
    return sum(IngestTally.objects.filter(outcome=outcome).values_list("count", flat=True))


NOW = serving_cast.NOW
UNITS = [
    serving_cast.unit_in(lambda bucket, n=n: bucket % 40 == n and bucket < 900) for n in range(12)
]


@pytest.mark.parametrize("door", ["track", "exposures"])
def test_client_key__states_both_arms_of_invented_units__marks_no_crossover(served, caps, door):
    key = served.key(Scope.CLIENT)
    arms = [(unit, arm) for unit in UNITS[:3] for arm in ("control", "treatment")]
    if door == "track":
        answer = report(key, *(met(unit, arm) for unit, arm in arms))
    else:
        items = [seen(f"e{n}", unit, variant=arm) for n, (unit, arm) in enumerate(arms)]
        answer = APIClient().post(
            "/api/v1/exposures", {"exposures": items}, format="json", headers={"X-Api-Key": key}
        )
    assert (answer.status_code, answer.json()["accepted"]) == (200, 6)
    rows = Assignment.objects.select_related("variant")
    assert {
        (row.crossover, row.variant.key == ("control", "treatment")[row.bucket_id % 2])
        for row in rows
    } == {(False, True)}
    assert tallied("other_arm") == 3


def test_server_key__states_another_arm__is_believed(served, caps):
    unit = UNITS[0]
    answer = served.client(Scope.SERVER).post(
        "/api/v1/exposures", {"exposures": [seen("a", unit, variant="treatment")]}, format="json"
    )
    assert answer.json()["accepted"] == 1
    assert Assignment.objects.get().crossover


def test_rows_of_a_unit__above_the_cap__are_named_and_counted_and_the_answer_stays(served, caps):
    caps(per_unit=3)
    key = served.key(Scope.CLIENT)
    answer = report(key, *[met(UNITS[0], "control")] * 5, met(UNITS[1], "treatment"))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 4)
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [
        (3, "over_cap"),
        (4, "over_cap"),
    ]
    assert tallied("over_cap") == 2
    one = APIClient().post(
        "/api/v1/exposures", seen("one", UNITS[0]), format="json", headers={"X-Api-Key": key}
    )
    assert (one.status_code, one.json()["accepted"], one.json()["errors"][0]["code"]) == (
        200,
        0,
        "over_cap",
    )
    other = report(served.key(Scope.CLIENT), met(UNITS[0], "control"))
    assert other.json()["accepted"] == 1


def test_rows_from_an_address__above_the_cap__are_dropped__whatever_the_header_says(served, caps):
    caps(per_address=4)
    key = served.key(Scope.CLIENT)
    for n in range(6):
        answer = report(
            key, met(UNITS[n], "control"), headers={"X-Forwarded-For": f"203.0.113.{n}"}
        )
        assert answer.status_code == 200
    assert Assignment.objects.count() == 4
    assert (
        report(key, met(UNITS[7], "treatment"), REMOTE_ADDR="198.51.100.7").json()["accepted"] == 1
    )


def test_server_and_ingest_keys__have_no_caps(served, caps):
    caps(per_unit=1, per_address=1)
    for scope in (Scope.SERVER, Scope.INGEST):
        items = [seen(f"{scope}{n}", UNITS[n]) for n in range(5)]
        answer = served.client(scope).post("/api/v1/exposures", {"exposures": items}, format="json")
        assert answer.json()["accepted"] == 5


@pytest.mark.parametrize("door", ["ofrep", "assignments"])
def test_decisions__above_the_caps__are_answered_and_not_queued(served, caps, door):
    caps(per_address=2)
    client = served.client(Scope.CLIENT)
    for unit in UNITS[:6]:
        if door == "ofrep":
            answer = client.post(
                "/ofrep/v1/evaluate/flags/checkout",
                {"context": {"targetingKey": unit}},
                format="json",
            )
        else:
            answer = client.post(
                "/api/v1/assignments", {"unit": unit, "experiments": ["checkout"]}, format="json"
            )
        assert answer.status_code == 200
    lines = [
        line for path in spool.waiting() for line in path.read_bytes().splitlines(keepends=True)
    ]
    assert [from_line(line).unit_id for line in lines] == UNITS[:2]
    assert client_drops.carry(NOW) == 4
    assert tallied("over_cap") == 4
    assert client_drops.carry(NOW) == 0


def test_drops__while_the_tallies_cannot_be_written__wait(served, caps, monkeypatch):
    client_rows.note_dropped(3)
    with monkeypatch.context() as broken:
        broken.setattr(client_drops, "add_to_tallies", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            client_drops.carry(NOW)
    assert (client_drops.carry(NOW), tallied("over_cap")) == (3, 3)


def test_caps__begin_anew_each_hour_and_forget_no_address_in_a_flood_of_ids():
    caps = HourlyCaps(per_unit=2, per_address=3)
    assert [caps.admits(1, "u", "a", 10.0) for _ in range(3)] == [True, True, False]
    assert caps.admits(2, "u", "a", 20.0)
    assert not caps.admits(2, "v", "a", 30.0)
    assert caps.admits(1, "u", "a", 3_700.0)


def test_findings__name_what_client_keys_sent():
    assert [finding.code for finding in client_findings({"over_cap": 3, "other_arm": 4})] == [
        "client_rows_dropped",
        "client_arm_disputed",
    ]
    assert client_findings({}) == []
