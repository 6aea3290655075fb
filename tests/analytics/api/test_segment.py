"""``POST /v1/batch``: what Segment's and RudderStack's clients send becomes exposures, observations
and events.
"""

from __future__ import annotations

import base64
import gzip
import json
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from experiments.core.clock import utc_now
from experiments.core.types import Scope
from experiments.selectors import serving
from tests import serving_cast

URL = "/v1/batch"


@pytest.fixture
def served(doors):
    serving_cast.launched("checkout")
    doors.publish()
    return doors


def basic(key):
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def send(doors, *messages, key=None, packed=False, **headers):
    body = json.dumps(
        {"batch": list(messages), "sentAt": "2026-03-01T00:00:00Z", "writeKey": "in the body too"}
    ).encode()
    body = gzip.compress(body, mtime=0) if packed else body
    headers = (
        basic(key or doors.key(Scope.INGEST))
        | ({"Content-Encoding": "gzip"} if packed else {})
        | headers
    )
    return APIClient().post(URL, body, content_type="application/json", headers=headers)


def track(event, message_id="m1", user="u1", **message):
    found = {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "userId": user,
        "anonymousId": None,
        "integrations": {},
        "context": {},
    }
    return found | {"timestamp": utc_now().isoformat(), "properties": {}} | message


def viewed(unit, message_id="m1", variation="control", experiment="checkout", **message):
    properties = {
        "experiment_id": experiment,
        "experiment_name": "Checkout",
        "variation_id": variation,
    }
    return track("Experiment Viewed", message_id, unit, properties=properties, **message)


def rows(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def units_of(arm):
    return serving_cast.unit_in(lambda bucket: bucket % 2 == arm and bucket < 900)


ASSIGNED = "SELECT user_id, v.key, exposure_count FROM experiment_assignments a JOIN experiment_variants v ON v.variant_id = a.variant_id"
EVENTS = "SELECT event_id, event_type, user_id, unit_type, units, value, payload, latency_ms, experiment_id FROM ai_events ORDER BY 1"


def test_batch__of_every_kind__is_sorted_and_kept(served):
    answer = send(
        served,
        viewed(units_of(1), "m1", "treatment"),
        track(
            "Order Completed",
            "m2",
            properties={"revenue": 9.5, "coupon": "x", "latency_ms": 12},
            context={"groupId": "acme"},
        ),
        track("anything", "m3", properties={"metric": "ndcg", "value": 0.5}),
        {
            "type": "identify",
            "messageId": "m4",
            "userId": "u1",
            "traits": {"email": "a@example.com"},
        },
        track("page.closed", "m5", user=None, anonymousId="a7"),
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "accepted": 4,
        "duplicates": 0,
        "conflicts": 0,
        "errors": [],
        "ignored": 1,
    }
    assert rows(ASSIGNED) == [(units_of(1), "treatment", 1)]
    (_, kind, user, of, units, value, payload, latency, _), closed = rows(EVENTS)
    assert (kind, user, of, value, latency) == ("order_completed", "u1", "user", 9.5, 12)
    assert (json.loads(units), json.loads(payload)) == (
        {"user": "u1", "tenant": "acme"},
        {"coupon": "x", "revenue": 9.5},
    )
    assert closed[1:4] == ("page.closed", "a7", "session")
    assert rows("SELECT metric_name, value, user_id FROM ai_ab_metrics") == [("ndcg", 0.5, "u1")]


def test_batch__gzipped__as_rudder_sends_it(served):
    assert send(served, viewed(units_of(0)), packed=True).json()["accepted"] == 1


def test_batch__the_same_message_again__counts_once(served):
    message = viewed(units_of(0))
    assert send(served, message, message).json()["duplicates"] == 1
    again = send(
        served,
        message,
        message | {"properties": {"experiment_id": "checkout", "variation_id": "treatment"}},
    )
    assert (
        again.json()["duplicates"],
        again.json()["conflicts"],
        again.json()["errors"][0]["code"],
    ) == (1, 1, "conflict")
    assert rows(ASSIGNED) == [(units_of(0), "control", 1)]


def test_batch__other_tracks_of_an_experiment__are_stamped_with_it(served):
    found = track(
        "clicked", properties={"experimentId": "checkout", "variationId": "treatment", "place": 3}
    )
    assert send(served, found).json()["accepted"] == 1
    ((*_, payload, _, experiment),) = rows(EVENTS)
    assert (json.loads(payload), experiment is not None) == ({"place": 3}, True)


def test_batch__bad_messages__are_named_in_their_place_and_good_ones_kept(served):
    bad = [
        ({"type": "page", "messageId": "a"}, None),
        (track("", "b"), "invalid"),
        (track("clicked", "c"), None),
        (track("clicked", "d", user=None), "unit_missing"),
        (track("clicked", None), "event_id_missing"),
        (5, "not_an_object"),
        ({"type": "charge", "messageId": "e"}, "type"),
        (viewed("u1", "f", experiment="nonesuch"), "unknown_experiment"),
        (viewed(units_of(0), "g", variation=7), "unknown_variant"),
        (track("clicked", "h", timestamp="yesterday"), "timestamp_invalid"),
        (track("clicked", "i", user=5.5), "unit_id_type"),
        (track("clicked", "j", properties={"value": "9.99"}), None),
        (track("clicked", "k", properties=[1]), "invalid"),
        (track("🎉", "l"), "invalid"),
        (track("seen", "m", properties={"metric": "ndcg"}), "missing"),
    ]
    answer = send(served, *(message for message, _ in bad)).json()
    assert (answer["success"], answer["accepted"], answer["ignored"]) == (True, 2, 1)
    assert {error["index"]: error["code"] for error in answer["errors"]} == {
        i: code for i, (_, code) in enumerate(bad) if code
    }
    assert [row[0] for row in rows(EVENTS)] == ["c", "j"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("apply", "apply"),
        ("ui:Apply/now-1.2", "ui:Apply/now-1.2"),
        ("  Song Played! ", "song_played"),
    ],
)
def test_batch__event_names__are_kept_where_they_can_be(served, name, kept):
    assert send(served, track(name)).json()["accepted"] == 1
    assert rows(EVENTS)[0][1] == kept


# ---------------------------------------------------------------- refusals


def _refused(answer, status, code):
    document = answer.json()
    assert answer.status_code == status, document
    # Where these clients look, and where our own do.
    assert (document["code"], document["error"]["code"]) == (code, code)
    assert document["message"] == document["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:").decode()},
        {"Authorization": "Bearer x"},
        basic("nobody"),
        basic(""),
    ],
)
def test_batch__without_a_good_write_key__is_401_and_says_how(served, header):
    answer = APIClient().post(URL, {"batch": []}, format="json", headers=header)
    _refused(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Basic realm="assay"'


def test_batch__a_key_that_is_not_for_ingest__is_403(served):
    _refused(send(served, key=served.key(Scope.SERVER)), 403, "wrong_scope")


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"not gzip", "gzip", 400, "encoding"),
        (gzip.compress(b'{"batch": []}', mtime=0)[:-4], "gzip", 400, "encoding"),
        (gzip.compress(b'{"batch": []}', mtime=0) + b"more", "gzip", 400, "encoding"),
        (b'{"batch": []}', "br", 400, "encoding"),
        (
            gzip.compress(b'{"batch": [' + b" " * 50_000_000 + b"]}", mtime=0),
            "gzip",
            413,
            "too_large",
        ),
        (b"x" * 1_048_577, "", 413, "too_large"),
        (b"", "", 400, "invalid"),
        (b'{"batch": {}}', "", 400, "invalid"),
        (b"[]", "", 400, "invalid"),
        (b'{"batch": [], "batch": []}', "", 400, "invalid"),
        (b'{"batch": [' + b"1," * 1000 + b"1]}", "", 413, "too_large"),
    ],
)
def test_batch__bodies_that_cannot_be_taken__are_refused(served, body, encoding, status, code):
    headers = basic(served.key(Scope.INGEST)) | ({"Content-Encoding": encoding} if encoding else {})
    _refused(
        APIClient().post(URL, body, content_type="application/json", headers=headers), status, code
    )


def test_batch__database_away__asks_to_come_back(served, monkeypatch):
    def refuse():
        raise OperationalError("connection refused")

    key = served.key(Scope.INGEST)
    monkeypatch.setattr(serving, "_newest", refuse)
    serving.refresh(utc_now())
    answer = send(served, track("clicked"), key=key)
    _refused(answer, 503, "not_available")
    assert answer["Retry-After"] == "5"


def test_names_of_other_scripts__stay_two_events(served):
    answer = send(served, track("Заказ 1", "m1"), track("Отказ 1", "m2"), track("注文 完了", "m3"))
    assert answer.json()["accepted"] == 3
    assert [row[1] for row in rows(EVENTS)] == ["заказ_1", "отказ_1", "注文_完了"]


def test_conversion__whose_optional_properties_do_not_fit__is_kept_with_notes(served):
    foreign = {
        "revenue": "19.50",
        "experiment_id": "another-tools",
        "variation_id": 3,
        "language": "English (United States)",
    }
    answer = send(
        served,
        track("Paid", "m1", properties=foreign),
        track("Paid", "m2", properties={"experiment_id": "checkout", "variation_id": "blue"}),
    )
    assert (answer.json()["accepted"], answer.json()["errors"]) == (2, [])
    (_, _, user, _, _, value, payload, _, experiment), second = rows(EVENTS)
    payload = json.loads(payload) if isinstance(payload, str) else payload
    assert (user, value, experiment) == ("u1", None, None)
    assert payload.items() >= foreign.items()
    assert len(payload["assay_notes"]) == 3
    assert second[-1] is not None


def test_measured_value__with_another_tools_experiment__is_kept(served):
    answer = send(
        served,
        track(
            "Rated",
            "m1",
            properties={"metric": "csat", "value": 4, "experiment_id": "another-tools"},
        ),
    )
    assert (answer.json()["accepted"], answer.json()["errors"]) == (1, [])


def test_exposure__of_an_experiment_that_is_none_of_ours__is_refused_by_name(served):
    answer = send(served, viewed("u1", experiment="another-tools"))
    assert [error["code"] for error in answer.json()["errors"]] == ["unknown_experiment"]


def test_clock_that_runs_ahead__keeps_the_clients_moment_and_ours_beside_it(served):
    ahead = utc_now() + timedelta(days=1)
    body = {
        "batch": [track("Paid", "m1", timestamp=ahead.isoformat())],
        "sentAt": (ahead + timedelta(seconds=5)).isoformat(),
    }
    answer = APIClient().post(
        URL,
        json.dumps(body),
        content_type="application/json",
        headers=basic(served.key(Scope.INGEST)),
    )
    assert answer.json()["accepted"] == 1
    (payload,) = rows(EVENTS)[0][6:7]
    payload = json.loads(payload) if isinstance(payload, str) else payload
    corrected = datetime.fromisoformat(payload["assay_corrected_ts"])
    assert abs(corrected - utc_now()) < timedelta(minutes=5)
