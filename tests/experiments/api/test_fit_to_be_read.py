"""What looks alike and is not: ids with white space, twins in Unicode, versions with a v, numbers
that clients round, packed bodies.
"""

from __future__ import annotations

import base64
import gzip
import json
import unicodedata

import pytest
from rest_framework.test import APIClient

from analytics.models import AiEvent, Assignment, IngestTally
from analytics.selectors.arriving.wiring import oddities_lately
from experiments.core.clock import utc_now
from experiments.core.types import Scope
from experiments.http.parsing import BATCH_BODY
from experiments.models import Experiment, Flag
from experiments.selectors import serving
from tests import serving_cast

SPACES = (" u1", "u1 ", "\u00a0u1", "u1\u00a0", "\u2003u1", "u1\u3000", "\u202fu1")
COMPOSED, APART = (unicodedata.normalize(form, "Zoé") for form in ("NFC", "NFD"))


@pytest.fixture
def served(doors):
    serving_cast.launched("checkout", client_visible=True)
    doors.publish()
    return doors


@pytest.mark.parametrize("unit", SPACES)
def test_white_space_around_an_id__makes_that_unit_unfit_at_every_door_and_says_so(served, unit):
    server = served.client()
    rest = server.post(
        "/api/v1/assignments", {"units": {"user": unit}, "experiments": ["checkout"]}, format="json"
    )
    assert rest.status_code == 400 and "white space" in rest.content.decode()
    both = {"units": {"user": unit, "session": "s1"}, "experiments": ["checkout"]}
    beside = server.post("/api/v1/assignments", both, format="json")
    assert "unit_missing" in beside.content.decode()
    ofrep = server.post(
        "/ofrep/v1/evaluate/flags/checkout", {"context": {"targetingKey": unit}}, format="json"
    )
    assert "white space" in ofrep.content.decode()
    told = {"exposures": [{"event_id": "e1", "units": {"user": unit}, "experiment": "checkout"}]}
    ingest = server.post("/api/v1/exposures", told, format="json")
    assert "unit_id_white_space" in ingest.content.decode()
    track = [
        {
            "event_name": "Experiment Viewed",
            "properties": {"experimentId": "checkout", "variationId": "control"},
            "attributes": {"id": unit},
        }
    ]
    snippet = APIClient().post(
        f"/track?client_key={served.key(Scope.CLIENT)}", track, format="json"
    )
    assert snippet.status_code == 400 and "white space" in snippet.content.decode()
    assert not Assignment.objects.exists()


def exposed(served, *units):
    items = [
        {"event_id": f"e-{unit.encode().hex()}", "units": {"user": unit}, "experiment": "checkout"}
        for unit in units
    ]
    return served.client().post("/api/v1/exposures", {"exposures": items}, format="json").json()


def test_twins_in_unicode__stay_two_units_and_are_counted_once(served):
    names = [unit for k in range(400) for unit in (f"{COMPOSED}{k}", f"{APART}{k}")]
    answer = exposed(served, *names)
    stored = set(Assignment.objects.values_list("user_id", flat=True))
    pairs = sum(f"{COMPOSED}{k}" in stored and f"{APART}{k}" in stored for k in range(400))
    assert pairs > 100 and answer["accepted"] == len(stored)
    assert oddities_lately(utc_now()).twins == pairs
    exposed(served, "plain-ascii", "Ωmega")
    assert IngestTally.objects.get(outcome="twin_ids").count == pairs


def test_twins_in_unicode__of_another_batch__are_counted(served):
    stored = []
    for k in range(400):
        one, other = f"{COMPOSED}{k}", f"{APART}{k}"
        if exposed(served, one)["accepted"] and exposed(served, other)["accepted"]:
            stored.append(k)
            break
    assert stored and oddities_lately(utc_now()).twins == 1


def test_events__packed_with_gzip__are_read(served):
    body = json.dumps(
        {"events": [{"event_id": "g1", "event_type": "apply", "units": {"user": "u1"}}]}
    ).encode()
    answer = served.client().post(
        "/api/v1/events",
        gzip.compress(body),
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )
    assert answer.json()["accepted"] == 1 and AiEvent.objects.get().user_id == "u1"


@pytest.mark.parametrize(
    "path", ["/api/v1/events", "/api/v1/observations", "/api/v1/exposures", "/v1/batch"]
)
def test_packed_bodies__that_grow_beyond_a_body__are_refused(served, path):
    bomb = gzip.compress(b" " * (64 * BATCH_BODY))
    assert len(bomb) < BATCH_BODY // 8
    client = served.client() if path.startswith("/api") else APIClient()
    key = (
        {}
        if path.startswith("/api")
        else {
            "Authorization": "Basic "
            + base64.b64encode(f"{served.key(Scope.INGEST)}:".encode()).decode()
        }
    )
    answer = client.post(
        path, bomb, content_type="application/json", headers={"Content-Encoding": "gzip", **key}
    )
    assert answer.status_code == 413 and "when unpacked" in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "encoding"),
    [("/api/v1/assignments", "gzip"), ("/api/v1/experiments", "gzip"), ("/api/v1/events", "br")],
)
def test_packed_bodies__elsewhere_or_of_another_packing__are_refused_by_name(
    served, path, encoding
):
    client = served.client(Scope.MANAGEMENT if path.endswith("experiments") else Scope.SERVER)
    answer = client.post(
        path,
        gzip.compress(b"{}"),
        content_type="application/json",
        headers={"Content-Encoding": encoding},
    )
    assert answer.status_code == 400 and "Content-Encoding" in answer.content.decode()


def page(path, body):
    return APIClient().post(path, json.dumps(body), content_type="text/plain")


def viewed(unit):
    properties = {"experiment_id": "checkout", "variation_id": "control"}
    return {
        "type": "track",
        "event": "Experiment Viewed",
        "messageId": f"m-{unit}",
        "userId": unit,
        "properties": properties,
    }


def test_segments_client_in_a_page__tells_exposures_with_a_client_key_and_everything_with_an_ingest_key(
    served,
):
    unit = serving_cast.unit_in(lambda bucket: bucket < 300)
    client, ingest = served.key(Scope.CLIENT), served.key(Scope.INGEST)
    told = page("/v1/t", viewed(unit) | {"writeKey": client, "sentAt": utc_now().isoformat()})
    assert told.json()["accepted"] == 1 and told["Access-Control-Allow-Origin"] == "*"
    assert Assignment.objects.get().user_id == unit
    order = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "o1",
        "userId": unit,
        "properties": {},
    }
    kept_out = page("/v1/b", {"writeKey": client, "batch": [order]}).json()
    assert (kept_out["accepted"], kept_out["ignored"]) == (0, 1)
    assert page("/v1/b", {"writeKey": ingest, "batch": [order]}).json()["accepted"] == 1
    assert AiEvent.objects.get().event_type == "order_completed"
    for path, kind in (("/v1/i", "identify"), ("/v1/p", "page"), ("/v1/g", "group")):
        assert page(path, {"type": kind, "userId": unit, "writeKey": client}).json()["ignored"] == 1
    assert page("/v1/t", viewed(unit)).status_code == 401
    assert page("/v1/t", viewed(unit) | {"writeKey": served.key(Scope.READ)}).status_code == 403


TOO_LARGE = 2**53 + 1


def drafted(served, **fields):
    body = {"key": "sizes", "name": "Sizes", "flag_type": "integer", "variants": [
        {"key": "control", "name": "control", "weight": 0.5, "is_control": True, "value": 1},
        {"key": "treatment", "name": "treatment", "weight": 0.5, "value": 2},
    ], **fields}  # fmt: skip
    return served.client(Scope.MANAGEMENT).post("/api/v1/experiments", body, format="json")


def test_a_number_that_clients_round__is_refused_when_a_design_is_saved(served):
    variants = [
        {"key": "control", "name": "control", "weight": 0.5, "is_control": True, "value": 1},
        {"key": "treatment", "name": "treatment", "weight": 0.5, "value": TOO_LARGE},
    ]
    refused = drafted(served, variants=variants)
    assert (
        refused.status_code == 400
        and "variants[1].value: 9007199254740993" in refused.content.decode()
    )
    assert not Experiment.objects.filter(key="sizes").exists()
    for rule in ({"op": "gt", "value": TOO_LARGE}, {"op": "in", "value": [1, -TOO_LARGE]}):
        refused = drafted(served, targeting=[{"attribute": "account", **rule}])
        assert refused.status_code == 400 and "2^53" in refused.content.decode()
    assert (
        drafted(
            served, targeting=[{"attribute": "account", "op": "gt", "value": TOO_LARGE - 2}]
        ).status_code
        == 201
    )


def test_versions_with_a_v_or_short_ones__are_saved_whole_and_met_at_every_door(served):
    assert (
        drafted(
            served, targeting=[{"attribute": "app", "op": "semver_gte", "value": "v2.1"}]
        ).status_code
        == 201
    )
    assert Experiment.objects.get(key="sizes").targeting == [
        {"attribute": "app", "op": "semver_gte", "value": "2.1.0"}
    ]
    Experiment.objects.filter(key="checkout").update(
        targeting=[{"attribute": "app", "op": "semver_gte", "value": "2.1.0"}]
    )
    served.publish()
    serving.refresh(utc_now())
    unit, server = serving_cast.unit_in(lambda bucket: bucket < 300), served.client()

    def variant(app):
        body = {"units": {"user": unit}, "attributes": {"app": app}, "experiments": ["checkout"]}
        return server.post("/api/v1/assignments", body, format="json").json()

    said = {
        app: json.dumps(variant(app)) for app in ("v2.1.0", "2.1", "V3", "2.0", "v2", "2.1.0.4")
    }
    assert {app for app, text in said.items() if "not_targeted" not in text} == {
        "v2.1.0",
        "2.1",
        "V3",
    }
    assert Flag.objects.filter(key="checkout").exists()
