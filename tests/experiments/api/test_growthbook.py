"""GrowthBook's doors: what a key is sent, what is evaluated for it, and what becomes of what SDKs
report.
"""

from __future__ import annotations

import gzip
import json

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from analytics.selectors.arriving.wiring import oddities_lately
from experiments.core.clock import utc_now
from experiments.core.types import Environment, Scope
from experiments.models import ExcludedUnit, ExclusionList
from experiments.selectors import serving
from tests import serving_cast

FEATURES, EVAL, TRACK = "/api/features/", "/api/eval/", "/track?client_key="


@pytest.fixture
def served(doors):
    serving_cast.launched("checkout", client_visible=True)
    serving_cast.launched("secret", seed="ba9876543210")
    doors.publish()
    return doors


def get(key, **headers):
    return APIClient().get(
        f"{FEATURES}{key}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def evaluate(key, body, **headers):
    return APIClient().post(
        f"{EVAL}{key}", json.dumps(body), content_type="application/json", headers=headers
    )


def report(key, events):
    return APIClient().post(f"{TRACK}{key}", json.dumps(events), content_type="text/plain")


def js_event(unit, variation="control", experiment="checkout", **properties):
    viewed = {
        "experimentId": experiment,
        "variationId": variation,
        "hashAttribute": "id",
        "hashValue": unit,
    } | properties
    return {
        "event_name": "Experiment Viewed",
        "properties_json": viewed,
        "sdk_language": "js",
        "device_id": unit,
        "context_json": {},
    }


def python_event(unit, index=0, key="control", experiment="checkout", **properties):
    viewed = {
        "experiment_id": experiment,
        "variation_id": index,
        "variation_key": key,
        "in_experiment": True,
        "hash_used": True,
    }
    viewed |= {"hash_attribute": "id", "hash_value": unit} | properties
    return {
        "event_name": "$$experiment_viewed",
        "properties_json": viewed,
        "sdk_language": "python",
        "user_id": None,
    }


def assignments():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, v.key, exposure_count, environment FROM experiment_assignments a"
            " JOIN experiment_variants v ON v.variant_id = a.variant_id ORDER BY 1"
        )
        return cursor.fetchall()


# ---------------------------------------------------------------- features


def test_features__client_key__sees_what_clients_may(served):
    answer = get(served.key(Scope.CLIENT))
    assert answer.status_code == 200
    document = answer.json()
    assert document.keys() == {"status", "features", "savedGroups", "dateUpdated", "remoteOnly"}
    assert document["features"].keys() == {"checkout"}
    assert (document["status"], document["savedGroups"], document["remoteOnly"]) == (200, {}, {})
    assert get(served.key(Scope.SERVER)).json()["features"].keys() == {"checkout", "secret"}


def test_features__flag_kept_from_sdks__is_named_and_decided_remotely(served):
    kept = {"remote_only": True, "reason": "the Go service has ids in Cyrillic"}
    manager, address = served.client(Scope.MANAGEMENT), "/api/v1/flags/checkout"
    assert manager.patch(address, kept).json()["remote_only"] is True
    served.publish()
    document = get(served.key(Scope.CLIENT)).json()
    assert document["features"] == {}
    assert "outside ASCII" in document["remoteOnly"]["checkout"]
    answer = evaluate(served.key(Scope.CLIENT), {"attributes": {"id": "Ольга"}})
    assert "checkout" in answer.json()["features"]
    assert manager.patch(address, kept).status_code == 409
    assert manager.patch(address, kept | {"remote_only": False}).status_code == 200
    served.publish()
    assert get(served.key(Scope.CLIENT)).json()["features"].keys() == {"checkout"}


def test_features__test_key__gets_previews(doors):
    serving_cast.experiment("draft", status="draft")
    doors.publish()
    assert "rules" not in get(doors.key(Scope.SERVER)).json()["features"]["draft"]
    assert (
        len(get(doors.key(Scope.SERVER, Environment.TEST)).json()["features"]["draft"]["rules"])
        == 2
    )


def test_features__id_lists__go_to_servers_alone(served):
    staff = ExclusionList.objects.create(name="staff", created_at=utc_now())
    ExcludedUnit.objects.create(exclusion_list=staff, unit_type="user", unit_id="boss-4711")
    served.publish()
    client, server = get(served.key(Scope.CLIENT)), get(served.key(Scope.SERVER))
    assert (client.json()["features"], client.json()["remoteOnly"].keys()) == ({}, {"checkout"})
    assert b"boss-4711" not in client.content
    assert b"boss-4711" in server.content


def test_features__with_their_tag__are_304_until_something_changes(served):
    key = served.key(Scope.CLIENT)
    first = get(key)
    again = get(key, If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert get(key, If_None_Match=f'"other", {first["ETag"]}').status_code == 304
    assert get(key, If_None_Match='"other"').status_code == 200
    serving_cast.launched("search", seed="aaaaaaaaaaaa", client_visible=True)
    served.publish()
    changed = get(key, If_None_Match=first["ETag"])
    assert (changed.status_code, changed["ETag"] == first["ETag"]) == (200, False)
    assert changed.json()["dateUpdated"] != first.json()["dateUpdated"]


def test_features__gzip__for_who_accepts_it(served):
    key = served.key(Scope.CLIENT)
    packed, bare = get(key, Accept_Encoding="gzip, deflate"), get(key)
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == bare.content
    assert "Content-Encoding" not in bare
    assert packed["Vary"] == "Accept-Encoding"


def test_features__database_away__are_the_same_bytes_and_stale_in_a_header(served, monkeypatch):
    def refuse():
        raise OperationalError("connection refused")

    key = served.key(Scope.CLIENT)
    before = get(key)
    monkeypatch.setattr(serving, "_newest", refuse)
    serving.refresh(utc_now())
    after = get(key)
    assert (after.content, after["ETag"]) == (before.content, before["ETag"])
    assert (before["X-Assay-Stale"], after["X-Assay-Stale"]) == ("false", "true")
    assert evaluate(key, {"attributes": {"id": "u1"}}).status_code == 200
    lost = report(key, [js_event("u1")])
    assert (lost.status_code, lost["Retry-After"], lost.json()["error"]["code"]) == (
        503,
        "5",
        "not_available",
    )


def test_features__head__is_answered(served):
    assert APIClient().head(f"{FEATURES}{served.key(Scope.CLIENT)}").status_code == 200


# ---------------------------------------------------------------- remote evaluation


def test_eval__answers_every_visible_flag_as_our_own_door_does(served):
    key = served.key(Scope.CLIENT)
    for unit in ("u1", "u2", "u3", "u950"):
        body = {
            "attributes": {"id": unit},
            "forcedVariations": {"checkout": 1},
            "forcedFeatures": [["a", 1]],
            "url": "https://a.example",
        }
        feature = evaluate(key, body).json()["features"]
        ours = (
            served.client(Scope.CLIENT)
            .post("/api/v1/assignments", {"unit": unit}, format="json")
            .json()["assignments"][0]
        )
        assert feature.keys() == {"checkout"}
        assert feature["checkout"]["defaultValue"] == ours["value"]
        tracks = [rule["tracks"] for rule in feature["checkout"].get("rules", [])]
        assert [track["result"]["key"] for (track,) in tracks] == (
            [ours["variant"]] if ours["variant"] else []
        )


def test_eval__records_nothing_by_itself(served):
    evaluate(served.key(Scope.CLIENT), {"attributes": {"id": "u1"}})
    assert assignments() == []


def test_eval__same_attributes_with_the_tag__are_304(served):
    key = served.key(Scope.CLIENT)
    tag = evaluate(key, {"attributes": {"id": "u1"}})["ETag"]
    assert evaluate(key, {"attributes": {"id": "u1"}}, **{"If-None-Match": tag}).status_code == 304
    other = serving_cast.unit_in(lambda bucket: bucket % 2 == 1 and bucket < 900)
    same = serving_cast.unit_in(lambda bucket: bucket % 2 == 0 and bucket < 900)
    tag = evaluate(key, {"attributes": {"id": other}})["ETag"]
    assert evaluate(key, {"attributes": {"id": same}}, **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"attributes": ["id"]}, 400, "attributes"),
        ([], 400, ""),
        ({"attributes": {"note": "x" * 33_000}}, 413, ""),
    ],
)
def test_eval__what_does_not_fit__is_refused_by_name(served, body, status, field):
    answer = evaluate(served.key(Scope.CLIENT), body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


# ---------------------------------------------------------------- track


def test_track__both_spellings__are_exposures(served):
    first, second = (
        serving_cast.unit_in(lambda bucket, n=n: bucket % 2 == n and bucket < 900) for n in (0, 1)
    )
    answer = report(
        served.key(Scope.CLIENT), [js_event(first), python_event(second, 1, "treatment")]
    )
    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "conflicts": 0,
        "errors": [],
        "ignored": 0,
    }
    assert assignments() == sorted(
        [(first, "control", 1, "production"), (second, "treatment", 1, "production")]
    )


def test_track__an_index_alone__leaves_the_variant_to_the_bucket(served):
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == 1 and bucket < 900)
    event = python_event(unit, 0)
    del event["properties_json"]["variation_key"]
    assert report(served.key(Scope.CLIENT), [event]).json()["accepted"] == 1
    assert assignments() == [(unit, "treatment", 1, "production")]


def test_track__other_events_and_forced_variations__are_ignored(served):
    forced = python_event("u1", hash_used=False)
    other = [
        {"event_name": name, "properties_json": {}}
        for name in ("Feature Evaluated", "$$feature_evaluated", "Purchase")
    ]
    answer = report(served.key(Scope.CLIENT), [forced, *other])
    assert answer.json() == {
        "accepted": 0,
        "duplicates": 0,
        "conflicts": 0,
        "errors": [],
        "ignored": 4,
    }
    assert assignments() == []


def test_track__bad_events__are_named_in_their_place_and_good_ones_kept(served):
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == 0 and bucket < 900)
    bad = [
        ({"event_name": "Purchase"}, None),
        (js_event("u1", experiment="nonesuch"), "unknown_experiment"),
        ("text", "not_an_object"),
        (js_event(unit), None),
        (js_event(5.5), "unit_id_type"),
        (js_event("u1", hashAttribute="deviceId"), "unit_type"),
        (js_event(""), "unit_missing"),
        (js_event("u1", variation="blue"), "unknown_variant"),
        ({"event_name": "Experiment Viewed"}, "missing"),
        ({"event_name": "Experiment Viewed", "properties_json": "x"}, "invalid"),
        (js_event("a\u200bb"), "unit_id_character"),
        (js_event("u1", experiment="secret"), "unknown_experiment"),
        (js_event("u1", variation=True), "invalid"),
    ]
    response = report(served.key(Scope.CLIENT), [event for event, _ in bad])
    answer = response.json()
    assert response.status_code == 207
    assert (answer["accepted"], answer["ignored"]) == (1, 1)
    wanted = {index: code for index, (_, code) in enumerate(bad) if code}
    assert {error["index"]: error["code"] for error in answer["errors"]} == wanted
    assert assignments() == [(unit, "control", 1, "production")]


def test_track__of_a_test_key__is_kept_apart(served):
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == 0 and bucket < 900)
    report(served.key(Scope.CLIENT, Environment.TEST), [js_event(unit)])
    assert assignments() == [(unit, "control", 1, "test")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (b"", 400),
        (b"[", 400),
        (b"\xff", 400),
        (b'["' + b"x" * 1_050_000 + b'"]', 413),
    ],
)
def test_track__what_is_no_array__is_refused(served, body, status):
    answer = APIClient().post(f"{TRACK}{served.key(Scope.CLIENT)}", body, content_type="text/plain")
    assert (answer.status_code, set(answer.json()["error"])) == (
        status,
        {"code", "message", "field", "problems"},
    )


def test_track__more_than_a_batch__is_too_large(served):
    assert report(served.key(Scope.CLIENT), [1] * 1001).status_code == 413


def test_track__a_tenants_experiment__takes_the_tenant(doors):
    serving_cast.launched("pricing", client_visible=True, unit_type="tenant")
    doors.publish()
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == 0 and bucket < 900)
    answer = report(
        doors.key(Scope.CLIENT), [js_event(unit, experiment="pricing", hashAttribute="tenantId")]
    )
    assert answer.json()["accepted"] == 1


# ---------------------------------------------------------------- other SDKs' shapes


def _php(unit, index):
    attributes = {"id": unit, "sdk_language": "php", "sdk_version": "2.0.0"}
    return {
        "event_name": "Experiment Viewed",
        "properties": {"experimentId": "checkout", "variationId": index},
        "attributes": attributes,
    }


def _swift(unit, index):
    return {
        "event": "experiment_viewed",
        "experimentKey": "checkout",
        "variationId": index,
        "hashAttribute": "id",
        "hashValue": unit,
    }


def _java(unit, index):
    arm = ("control", "treatment")[index]
    hashed = {"hash_attribute": "id", "hash_value": unit, "in_experiment": True, "hash_used": True}
    return {
        "event_type": "experiment_viewed",
        "experiment_id": "checkout",
        "variation_id": index,
        "variation_key": arm,
        **hashed,
    }


def _go(unit, index):
    properties = {
        "experimentId": "checkout",
        "variationId": str(index),
        "hashAttribute": "id",
        "hashValue": unit,
    }
    return {
        "event_name": "Experiment Viewed",
        "properties": properties,
        "attributes": {"id": unit},
        "sdk_language": "go",
    }


def _text(unit, index):
    return {
        "event_name": "Experiment Viewed",
        "properties_json": json.dumps(
            js_event(unit)["properties_json"] | {"variationId": str(index)}
        ),
    }


def _by_user(unit, index):
    return {
        "event_name": "Experiment Viewed",
        "properties_json": {"experimentId": "checkout", "variationId": index},
        "user_id": unit,
    }


SHAPES = [_php, _swift, _java, _go, _text, _by_user]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("index", [0, 1])
def test_track__in_the_shape_of_another_sdk__is_recorded(served, shape, index):
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == index and bucket < 900)
    answer = report(served.key(Scope.CLIENT), [shape(unit, index)])
    assert (answer.status_code, answer.json()["accepted"], answer.json()["ignored"]) == (200, 1, 0)
    assert assignments() == [(unit, ("control", "treatment")[index], 1, "production")]


@pytest.mark.parametrize("where", ["/track", "/events", "/events/"])
def test_track__key_and_events_in_one_object__is_recorded(served, where):
    unit = serving_cast.unit_in(lambda bucket: bucket % 2 == 1 and bucket < 900)
    body = {"client_key": served.key(Scope.CLIENT), "events": [_java(unit, 1)]}
    answer = APIClient().post(where, json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert (
        APIClient()
        .post(where, json.dumps(body | {"client_key": "x"}), content_type="application/json")
        .status_code
        == 401
    )


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([_by_user(None, 0) | {"device_id": "d1"}], "unit_missing"),
        ([[js_event("u1")]], "not_an_object"),
        ([_go("u1", 7)], "unknown_variant"),
        ([{"event": "experiment_viewed"}], "missing"),
    ],
)
def test_track__nothing_of_it_kept__is_a_400_with_the_reason(served, events, code):
    answer = report(served.key(Scope.CLIENT), events)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["accepted"]) == (
        400,
        code,
        0,
    )
    assert [error["code"] for error in answer.json()["errors"]] == [code] and assignments() == []


def test_track__what_is_ignored__is_counted_for_the_wiring_page(served):
    report(
        served.key(Scope.CLIENT), [{"event_name": "Feature Evaluated", "properties_json": {}}] * 3
    )
    assert oddities_lately(utc_now()).ignored == 3


def test_events__a_method_that_is_not_served__is_json():
    answer = APIClient().get("/events")
    assert (answer.status_code, answer["Content-Type"], answer.json()["error"]["code"]) == (
        405,
        "application/json",
        "method_not_allowed",
    )
    assert APIClient().get("/events/nothing").json()["error"]["code"] == "not_found"
