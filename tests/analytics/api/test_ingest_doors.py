"""The doors that take exposures, observations and events: keys, limits, answers."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from analytics.models import AiEvent, Assignment, EventId, MetricObservation
from experiments.core.clock import utc_now
from experiments.core.serving.keyring import new_key, verifier_of
from experiments.core.types import Environment, Scope
from experiments.models import ApiKey
from experiments.selectors import serving
from experiments.services.ground import publishing
from tests.serving_cast import NOW, launched, owner, unit_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(client):
    def send(path, body, *, scope=Scope.INGEST, environment=Environment.PRODUCTION, key=None):
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"X-API-Key": key if key is not None else _key(scope, environment)}
        return client.post(
            f"/api/v1/{path}", text, content_type="application/json", headers=headers
        )

    return send


def _key(scope, environment):
    selector = f"{ApiKey.objects.count():012x}"
    text = new_key(scope, selector, "ab" * 24)
    ApiKey.objects.create(
        name="app",
        selector=selector,
        verifier=verifier_of(text),
        scope=scope,
        environment=environment,
        owner=owner(),
        created_at=NOW,
    )
    publishing.publish_keyring(NOW)
    serving.refresh(utc_now())
    return text


def observation(event_id, /, **fields):
    return {"event_id": event_id, "user_id": "u1", "metric": "apply_rate", "value": 1, **fields}


def begun():
    return launched(began=utc_now() - timedelta(days=1))


def test_observations__batch__answers_counts_after_storing(post):
    answer = post(
        "observations", {"observations": [observation("a"), observation("b"), observation("a")]}
    )
    assert (answer.status_code, answer.json()) == (
        200,
        {"accepted": 2, "duplicates": 1, "conflicts": 0, "errors": []},
    )
    assert MetricObservation.objects.count() == 2


def test_observations__repeated_batch__counts_nothing_twice(post):
    body = {"observations": [observation(str(n)) for n in range(3)]}
    post("observations", body)
    assert post("observations/", body).json()["duplicates"] == 3
    assert MetricObservation.objects.count() == 3


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"user_id": ""}, "unit_id_empty", "units.user"),
        ({"user_id": "x" * 257}, "unit_id_too_long", "units.user"),
        ({"user_id": 5.5}, "unit_id_type", "user_id"),
        ({"user_id": None}, "unit_missing", "units"),
        ({"units": {"user": "u1"}}, "unit_ambiguous", "units"),
        ({"timestamp": "2026-03-10T12:00:00"}, "timestamp_naive", "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp_invalid", "timestamp"),
        ({"timestamp": "1999-12-31T00:00:00Z"}, "too_old", "timestamp"),
        ({"value": "1"}, "value_type", "value"),
        ({"value": True}, "value_type", "value"),
        ({"value": None}, "missing", "value"),
        ({"metric": "no spaces"}, "invalid", "metric"),
        ({"experiment": "nowhere"}, "unknown_experiment", "experiment"),
        ({"variant": "control"}, "unknown_variant", "variant"),
        ({"tiemstamp": "2026-03-10T12:00:00Z"}, "unknown_field", "tiemstamp"),
        ({"event_id": None}, "event_id_missing", "event_id"),
        ({"covariates": {"visits": [1]}}, "invalid", "covariates.visits"),
    ],
)
def test_observations__one_bad_item__is_reported_in_its_place_and_the_good_one_kept(
    post, fields, code, field
):
    answer = post(
        "observations", {"observations": [observation("good"), observation("bad", **fields)]}
    )
    (error,) = answer.json()["errors"]
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert (error["index"], error["code"], error["field"]) == (1, code, field)
    assert error["message"]
    assert list(EventId.objects.values_list("event_id", flat=True)) == ["good"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"observations": {}}', 400),
        ('{"observations": [], "extra": 1}', 400),
        ('{"observations": [{"event_id": "a", "value": NaN}]}', 400),
        ('{"observations": [{"event_id": "a", "event_id": "b"}]}', 400),
        ('{"observations": [{"event_id": "a", "user_id": "a\\u0000b"}]}', 400),
        (json.dumps({"observations": [{}] * 1001}), 413),
        ('{"observations": ["' + "x" * 1_048_576 + '"]}', 413),
    ],
)
def test_observations__unreadable_batch__is_refused_whole(post, body, status):
    answer = post("observations", body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert EventId.objects.count() == 0


def test_observations__single_item__gets_an_event_id_and_a_single_error(post):
    single = {name: value for name, value in observation("").items() if name != "event_id"}
    stored = post("observations", single)
    assert (stored.status_code, stored.json()["accepted"]) == (200, 1)
    assert MetricObservation.objects.get().event_id == stored.json()["event_id"]
    refused = post("observations", {**single, "value": None})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "value")


def test_observations__single_conflict__answers_409(post):
    post("observations", observation("a"))
    answer = post("observations", observation("a", value=2))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_events__batch__is_stored(post):
    item = {
        "event_id": "e1",
        "units": {"user": "u1", "session": "s1"},
        "event_type": "llm_call",
        "latency_ms": 830.4,
        "cost_micro": 1250,
    }
    assert (
        post("events", {"events": [item, {**item, "event_id": "e2", "cost_micro": 0.5}]}).json()[
            "accepted"
        ]
        == 1
    )
    row = AiEvent.objects.get()
    assert (row.latency_ms, row.cost_micro, row.environment) == (830, 1250, "production")


def test_events__test_key__stores_marked(post):
    post(
        "events",
        {"event_id": "e1", "user_id": "u1", "event_type": "open"},
        environment=Environment.TEST,
    )
    assert AiEvent.objects.get().environment == "test"


def test_exposures__named_experiment__is_resolved_here(post):
    begun()
    unit = unit_in(lambda bucket: bucket < 900 and bucket % 2)
    answer = post(
        "exposures", {"exposures": [{"event_id": "x1", "experiment": "checkout", "unit": unit}]}
    )
    assert answer.json()["accepted"] == 1
    assert Assignment.objects.get().variant.key == "treatment"


def test_exposures__unknown_experiment__answers_404_alone_and_an_item_error_in_a_batch(post):
    item = {"event_id": "x1", "experiment": "nowhere", "unit": "u1"}
    assert post("exposures", item).status_code == 404
    assert (
        post("exposures", {"exposures": [item]}).json()["errors"][0]["code"] == "unknown_experiment"
    )


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        ("exposures", Scope.CLIENT, 200),
        ("exposures", Scope.SERVER, 200),
        ("observations", Scope.CLIENT, 403),
        ("events", Scope.CLIENT, 403),
        ("events", Scope.READ, 403),
        ("events", Scope.MANAGEMENT, 403),
        ("events", Scope.SERVER, 200),
    ],
)
def test_doors__open_to_their_scopes_only(post, path, scope, status):
    assert post(path, {path: []}, scope=scope).status_code == status


def test_doors__without_a_known_key__answer_401(post):
    for path in ("exposures", "observations", "events"):
        assert post(path, {path: []}, key="").status_code == 401
        assert (
            post(path, {path: []}, key="assay_ingest_000000000000_" + "0" * 48).status_code == 401
        )


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_events__moment_off_the_calendar_in_utc__is_that_items_error(post, moment):
    events = [
        {"event_id": name, "user_id": "u1", "event_type": "apply", "timestamp": at}
        for name, at in (("bad", moment), ("good", None))
    ]
    answer = post("events", {"events": events})
    assert answer.status_code == 200
    assert (answer.json()["accepted"], [error["code"] for error in answer.json()["errors"]]) == (
        1,
        ["timestamp_range"],
    )


def test_events__body_over_its_cap_or_key_unknown__is_read_to_its_end_so_that_the_sender_gets_the_answer(
    post,
):
    body = b" " * (2 * 1024 * 1024)
    for answer, status in (
        (post("events", body), 413),
        (post("events", body, key="assay_none"), 401),
    ):
        assert answer.status_code == status
        assert answer.wsgi_request.read(1) == b""
