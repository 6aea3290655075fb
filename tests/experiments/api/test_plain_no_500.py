"""Whatever is sent to a door in another tool's protocol, the answer is a refusal or a success,
never a 500.
"""

from __future__ import annotations

import gzip
import json

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from experiments.core.types import Scope
from tests import serving_cast
from tests.analytics.api.test_segment import URL, basic, track, viewed
from tests.experiments.api.test_growthbook import EVAL, FEATURES, TRACK, js_event, python_event
from tests.experiments.api.test_no_500 import EXAMPLES, _bodies, refused_in_proportion

ATTRIBUTES = {"id": "u1", "tenantId": "t1", "sessionId": "s1", "country": "DE", "seats": 3}
CLICKED = {
    "value": 1.5,
    "latency_ms": 3,
    "request_id": "r",
    "language": "de",
    "place": 1,
    "experiment_id": "checkout",
}
MESSAGES = [
    viewed("u1"),
    track("clicked", "m8", properties=CLICKED),
    track("seen", "m9", properties={"metric": "ndcg", "value": 0.5}),
]
BODIES = {
    "eval": [
        {
            "attributes": ATTRIBUTES,
            "forcedVariations": {"checkout": 1},
            "forcedFeatures": [["a", 1]],
            "url": "https://a.example",
        }
    ],
    "track": [[js_event("u1"), python_event("u2", 1, "treatment"), {"event_name": "Purchase"}]],
    "segment": [{"batch": MESSAGES, "sentAt": "2026-03-01T00:00:00Z"}],
}


@pytest.fixture
def knock(doors):
    """Send a body to a door as its clients do."""
    serving_cast.launched("checkout", client_visible=True)
    doors.publish()
    client, app, ingest = (
        APIClient(raise_request_exception=False),
        doors.key(Scope.CLIENT),
        doors.key(Scope.INGEST),
    )
    where = {
        "eval": (f"{EVAL}{app}", {}),
        "track": (f"{TRACK}{app}", {}),
        "segment": (URL, basic(ingest)),
    }

    def sent(door, body, **headers):
        address, own = where[door]
        response = client.post(address, body, content_type="text/plain", headers=own | headers)
        assert response.status_code != 500, (response.content[:500], body)
        connection.check_constraints()
        document = response.json()
        assert response.status_code < 400 or set(document["error"]) == {
            "code",
            "message",
            "field",
            "problems",
        }, (document, body)
        return response

    return sent


def _fuzzed(**more):
    return hypothesis_settings(
        max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), **more
    )


@pytest.mark.parametrize("door", BODIES)
def test_plain_door__any_body__never_breaks(door, knock):
    assert knock(door, json.dumps(BODIES[door][0])).status_code == 200

    @_fuzzed()
    @given(_bodies(BODIES[door]))
    def sent(body):
        knock(door, json.dumps(body))

    sent()


@pytest.mark.parametrize("door", BODIES)
def test_plain_door__any_bytes__never_break(door, knock):
    whole = json.dumps(BODIES[door][0]).encode()
    cut = st.integers(0, len(whole)).map(lambda length: whole[:length])
    spoilt = st.tuples(st.integers(0, len(whole)), st.binary(max_size=8)).map(
        lambda found: whole[: found[0]] + found[1] + whole[found[0] :]
    )

    @_fuzzed()
    @given(
        st.binary(max_size=200) | cut | spoilt,
        st.sampled_from(["", "gzip", "identity"]),
        st.booleans(),
    )
    def sent(body, encoding, packed):
        knock(
            door,
            gzip.compress(body) if packed else body,
            **({"Content-Encoding": encoding} if encoding else {}),
        )

    sent()


@pytest.mark.parametrize("door", BODIES)
def test_plain_door__unclosed_string__is_refused_in_time_proportional_to_its_length(door, knock):
    refused_in_proportion(lambda body: knock(door, body).status_code)


@pytest.mark.parametrize(
    "address", ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/checkout"]
)
def test_ofrep__unclosed_string__is_refused_in_time_proportional_to_its_length(address, doors):
    client = doors.client(Scope.CLIENT)
    doors.publish()
    refused_in_proportion(
        lambda body: client.post(address, body, content_type="application/json").status_code
    )


def test_key_in_an_address__any_text__never_breaks(doors):
    doors.key(Scope.CLIENT)
    client = APIClient(raise_request_exception=False)

    @_fuzzed()
    @given(st.text(max_size=40))
    def sent(key):
        for response in (
            client.get(FEATURES + key),
            client.post(EVAL + key),
            client.post(TRACK + key),
            client.post(URL, headers=basic(key)),
        ):
            assert response.status_code in (400, 401, 404), (response.status_code, key)

    sent()
