"""Whatever is sent to a door that reads JSON, the answer is a refusal in the one shape or a
success, never a 500.

Each door has a body that it takes; one or two of its places are replaced by something a client
could send by mistake or on purpose: other types, edges of number ranges, odd text, deep or empty
structures, moments at the ends of the calendar.
"""

from __future__ import annotations

import copy
import json
import os
import time

import pytest
from django.db import connection
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from experiments.core.types import Scope
from tests.experiments.api.conftest import doors_of
from tests.experiments.api.test_every_door import DOORS as ALL_DOORS

NUMBERS = [
    0,
    -1,
    1,
    2**31 - 1,
    2**31,
    2**63 - 1,
    -(2**63),
    0.0,
    0.5,
    1.0,
    100.0,
    5e-324,
    1e308,
    -1e308,
    1 / 3,
]
TEXTS = [
    *(
        "",
        " ",
        "a",
        "x" * 81,
        "x" * 201,
        "x" * 8192,
        "\u200b",
        "\u007f",
        "\u202e",
        "Ω" * 100,
        "🙂",
        "1",
        "../x",
        "%00",
        "a/b",
        "start",
    ),
    *(
        "served",
        "draft",
        "spare",
        "control",
        "treatment",
        "running",
        "visitor",
        "-",
        "2" * 30,
        "auc",
        "primary",
        "guardrail",
    ),
]
MOMENTS = [
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z",
        "2026-03-01T00:00:00",
        "2026-03-01T00:00:00Z",
    ),
    *(
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "20260301T000000Z",
        "2026-W01-1T00:00:00Z",
    ),
]
SHAPES = [
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"a": [1, {"b": None}]},
    [None] * 201,
    ["a", "a"],
    {"user": ""},
    {"visitor": "v"},
    None,
    True,
    False,
]
EDGES = st.sampled_from([*NUMBERS, *TEXTS, *MOMENTS, *SHAPES])
ANYTHING = st.recursive(
    EDGES
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _like(value):
    """Edges of the value's own kind: what passes the first look and may break a later one."""
    if isinstance(value, str):
        return st.sampled_from(MOMENTS if value[:2] == "20" else TEXTS)
    return st.sampled_from(
        NUMBERS if isinstance(value, int | float) and not isinstance(value, bool) else SHAPES
    )


CONDITIONS = [{"attribute": "country", "op": "in", "value": ["DE", "FR"]}]
VARIANTS = [
    {
        "name": "control",
        "key": "control",
        "is_control": True,
        "weight": 0.5,
        "config": {"a": 1},
        "value": {"a": 1},
        "model_hash": "h",
    },
    {"name": "treatment", "key": "treatment", "weight": 0.5, "config": {"a": 2}, "value": {"a": 2}},
]
METRIC = {
    "metric": "apply_conversion",
    "role": "primary",
    "baseline": 0.2,
    "baseline_sd": 0.4,
    "mde": 0.1,
    "mde_kind": "relative",
}
GUARDRAIL = {
    "metric": "ai_error_units",
    "role": "guardrail",
    "margin": 0.02,
    "margin_kind": "points",
    "baseline": 0.01,
}
DESIGN = {
    "name": "fuzzed",
    "description": "d",
    "experiment_type": "feature",
    "tags": ["a"],
    "unit_type": "user",
    "targeting": CONDITIONS,
    "traffic_allocation": 0.5,
    "variants": VARIANTS,
    "metrics": [METRIC, GUARDRAIL],
    "policy": "standard",
    "hypothesis": "h",
    "expected_effect": "e",
    "prd_url": "https://example.com/prd",
    "prd_text": "t",
    "offline_thresholds": [{"metric": "auc", "op": ">=", "value": 0.5}],
    "confidence_level": 0.95,
    "power": 0.8,
    "min_sample_size": 100,
    "size_class": "",
    "dark_mode": "shadow",
    "auto_promote": False,
    "time_zone": "UTC",
    "planned_start": "2026-12-01T00:00:00Z",
    "planned_end": "2026-12-31T00:00:00Z",
}
ITEM = {
    "event_id": "e1",
    "units": {"user": "u1"},
    "timestamp": "2026-03-01T00:00:00Z",
    "variant": "control",
    "context": {"a": 1},
}
EXPOSURE = ITEM | {"experiment": "served", "covariates": {"age": 3}}
EVENT = ITEM | {
    "event_type": "apply",
    "experiment": "served",
    "value": 1.5,
    "payload": {"a": 1},
    "cost_micro": 5,
    "latency_ms": 12,
}
EVENT |= {"language": "de", "embedding_stats": {"norm": 1.0}, "request_id": "r1"}
OBSERVATION = ITEM | {
    "metric": "ndcg",
    "value": 0.5,
    "experiment": "served",
    "covariates": {"age": 3},
}
FEEDBACK = ITEM | {
    "experiment": "served",
    "label": "useful",
    "comment": "c",
    "manual_edit_flag": True,
    "request_id": "r1",
}
COST = {
    "event_id": "e1",
    "timestamp": "2026-03-01T00:00:00Z",
    "request_id": "r1",
    "model": "m",
    "tokens_in": 5,
    "tokens_out": 6,
}
COST |= {"cost_micro": 7, "cache_hit": False, "qps_bucket": "10-50"}
ASKED = {
    "experiment_name": "served",
    "user_id": 123,
    "session_id": "s1",
    "tenant": "t1",
    "attributes": {"country": "DE"},
}
TOLD = {
    "experiment_id": "served",
    "user_id": 123,
    "metric_name": "resolution_rate",
    "value": 1.0,
    "metadata": {"a": 1},
}
TOLD |= {"event_id": "e1", "timestamp": "2026-03-01T00:00:00Z", "variant": "control"}
RESULT = {
    "experiment_name": "served",
    "session_id": "s1",
    "units": {"user": 7},
    "metric_name": "csat",
    "metric_value": 4.5,
}
ASSIGNMENT = {
    "units": {"user": "u1", "tenant": "t1"},
    "experiments": ["served"],
    "attributes": {"country": "DE"},
    "exposure": "queued",
}
VERB = {"reason": "r", "outcome": "", "variant": "treatment"}
SIZES = {
    "metrics": [
        {
            "metric": "resolved",
            "baseline": 0.75,
            "effect": 0.05,
            "effect_kind": "absolute",
            "correlation": 0.5,
            "window_hours": 72.0,
        },
        {
            "metric": "bill",
            "role": "guardrail",
            "kind": "mean",
            "baseline": 9.0,
            "sd": 3.0,
            "margin": 0.2,
            "margin_kind": "relative",
        },
        {"metric": "apply_conversion", "role": "secondary", "effect": 0.1, "design_effect": 1.5},
    ],
    "shares": [50.0, 50.0],
    "share": 0.5,
    "units_per_day": 1000.0,
    "alpha": 0.05,
    "power": 0.8,
    "looks": 3,
    "weeks": 2,
    "clock_weeks": 1,
}

EXAMPLES = int(os.environ.get("NO_500_EXAMPLES", "25"))
"""Bodies per door; set NO_500_EXAMPLES to look longer."""

# door's name → the scope of the key, the method, bodies it takes
DOORS = {
    "assignments": (
        Scope.SERVER,
        "post",
        [
            ASSIGNMENT,
            {"batch": [{"units": {"user": "u1"}, "attributes": {"country": "DE"}}, {"unit": "u"}]},
        ],
    ),
    "exposures": (
        Scope.SERVER,
        "post",
        [
            EXPOSURE,
            {"exposures": [EXPOSURE, EXPOSURE | {"event_id": "e2", "units": {"user": "u2"}}]},
        ],
    ),
    "events": (Scope.INGEST, "post", [EVENT, {"events": [EVENT, EVENT | {"event_id": "e2"}]}]),
    "observations": (
        Scope.INGEST,
        "post",
        [OBSERVATION, {"observations": [OBSERVATION, OBSERVATION | {"event_id": "e2"}]}],
    ),
    "feedback": (
        Scope.INGEST,
        "post",
        [FEEDBACK, {"feedback": [FEEDBACK, FEEDBACK | {"event_id": "e2"}]}],
    ),
    "costs": (Scope.INGEST, "post", [COST, {"costs": [COST, COST | {"event_id": "e2"}]}]),
    "explain": (
        *(Scope.READ, "post"),
        [
            {
                "units": {"user": "u1"},
                "attributes": {"country": "DE"},
                "experiments": ["served"],
                "flags": ["spare"],
            }
        ],
    ),
    "get-variant": (
        Scope.SERVER,
        "post",
        [ASKED, ASKED | {"exposure": "durable", "units": {"user": 5}}],
    ),
    "conversions": (Scope.INGEST, "post", [TOLD, RESULT]),
    "record-result": (Scope.SERVER, "post", [RESULT, TOLD]),
    "experiments": (Scope.MANAGEMENT, "post", [DESIGN]),
    "experiment": (
        Scope.MANAGEMENT,
        "patch",
        [DESIGN | {"reason": "r", "notes": "n", "flag": "spare", "layer": None, "owner": 1}],
    ),
    "status": (Scope.MANAGEMENT, "put", [{"status": "running", "reason": "r"}]),
    "start": (Scope.MANAGEMENT, "post", [VERB]),
    "dark-launch": (Scope.MANAGEMENT, "post", [VERB]),
    "abort-dark-launch": (Scope.MANAGEMENT, "post", [VERB]),
    "pause": (Scope.MANAGEMENT, "post", [VERB]),
    "resume": (Scope.MANAGEMENT, "post", [VERB]),
    "stop": (Scope.MANAGEMENT, "post", [VERB]),
    "promote": (Scope.MANAGEMENT, "post", [VERB]),
    "ops-promote": (Scope.MANAGEMENT, "post", [VERB]),
    "archive": (Scope.MANAGEMENT, "post", [VERB]),
    "ramp": (Scope.MANAGEMENT, "post", [{"action": "hold", "reason": "r"}]),
    "request-launch": (Scope.MANAGEMENT, "post", [{"note": "n"}]),
    "offline-evaluations": (
        *(Scope.MANAGEMENT, "post"),
        [
            {
                "variant": "treatment",
                "metric": "auc",
                "value": 0.9,
                "lower": 0.8,
                "upper": 1.0,
                "n": 100,
                "dataset": "d",
            }
        ],
    ),
    "flags": (
        Scope.MANAGEMENT,
        "post",
        [
            {
                "key": "new_flag",
                "type": "string",
                "default": "a",
                "client_visible": True,
                "description": "d",
            }
        ],
    ),
    "sample-size": (
        Scope.READ,
        "post",
        [SIZES, {"experiment": "served", "units_per_day": 1000.0, "weeks": 4}],
    ),
    "flag": (Scope.MANAGEMENT, "patch", [{"enabled": True, "default": "b", "reason": "r"}]),
}


PLAIN = {
    "explain",
    "get-variant",
    "conversions",
    "record-result",
    "assignments",
    "exposures",
    "events",
    "observations",
    "feedback",
    "costs",
    "experiments",
    "flags",
    "flag",
    "sample-size",
}
"""Doors that are not about one experiment."""


def _places(body, path=()):
    """The path and the value of every place inside a document, the document itself first."""
    yield path, body
    inner = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body)
        if isinstance(body, list)
        else ()
    )
    for name, value in inner:
        yield from _places(value, (*path, name))


def _with(body, path, value):
    if not path:
        return value
    changed = copy.deepcopy(body)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


@st.composite
def _bodies(draw, taken):
    body = draw(st.sampled_from(taken))
    for _ in range(draw(st.integers(1, 2))):
        path, value = draw(st.sampled_from(list(_places(body))))
        body = _with(body, path, draw(_like(value) if draw(st.booleans()) else ANYTHING))
    return body


@pytest.fixture(scope="module")
def built(rows_of_the_file, folders_of_the_file):
    """A served experiment, a draft, a spare flag: built once, since that takes longer than asking a
    door.
    """
    doors = doors_of("olga")
    tools = doors.client(Scope.MANAGEMENT)
    for name in ("served", "draft"):
        assert (
            tools.post("/api/v1/experiments", DESIGN | {"name": name}, format="json").status_code
            == 201
        )
    assert tools.post("/api/v1/experiments/served/start", {}, format="json").status_code == 200
    assert (
        tools.post(
            "/api/v1/flags", {"key": "spare", "type": "string", "default": "a"}, format="json"
        ).status_code
        == 201
    )
    doors.publish()
    return doors


@pytest.fixture
def house(built, db):
    """The same for each test: what a test does to it is rolled back."""
    return built


def _client(house, scope) -> APIClient:
    client = house.client(scope)
    client.raise_request_exception = False
    return client


def _address(name, target):
    keys = {"flag": {"key": "spare"}}.get(name, {"ref": target})
    return reverse(name, kwargs=None if name in PLAIN - {"flag"} else keys)


def _sound(response, sent):
    """A success or a refusal; the database is as consistent as a commit would want it.

    A 503 is a refusal too: promoting asks for decisions, which only a whole installation can read.
    """
    assert response.status_code != 500, (response.status_code, response.content[:500], sent)
    connection.check_constraints()
    if response.status_code >= 400:
        assert set(response.json()["error"]) == {"code", "message", "field", "problems"}, (
            response.content,
            sent,
        )


def test_doors__of_this_list__are_all_that_read_a_body():
    views = {pattern.name: pattern.callback.view_class for _, pattern in ALL_DOORS}
    assert {
        name
        for name, view in views.items()
        if any(hasattr(view, method) for method in ("post", "put", "patch"))
    } == set(DOORS)


@pytest.mark.parametrize(
    ("name", "target"),
    [(name, t) for name in DOORS for t in ("served", *(["draft"] if name not in PLAIN else []))],
)
def test_door__any_body__never_breaks(name, target, house):
    scope, method, taken = DOORS[name]
    client, address = _client(house, scope), _address(name, target)

    @hypothesis_settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(_bodies(taken))
    def sent(body):
        _sound(
            getattr(client, method)(address, json.dumps(body), content_type="application/json"),
            body,
        )

    sent()


def unclosed(quotes: int) -> bytes:
    """A body of many brackets and a string that never ends; a client key is enough to send it."""
    return b'{"context":{"targetingKey":"u","a":' + b"[" * 17 + b'"' + b'\\"' * quotes


def refused_in_proportion(send) -> None:
    """Four times the body takes at most about four times as long, whatever a request itself costs;
    quadratic is sixteen-fold.
    """

    def took(quotes):
        began = time.process_time()
        assert send(unclosed(quotes)) >= 400, "a body that is no JSON is refused"
        return time.process_time() - began

    took(10)
    short = min(took(4_000) for _ in range(3))
    assert min(took(16_000) for _ in range(3)) < 8 * short


@pytest.mark.parametrize("name", DOORS)
def test_door__unclosed_string__is_refused_in_time_proportional_to_its_length(name, house):
    scope, method, _ = DOORS[name]
    client, address = _client(house, scope), _address(name, "served")
    refused_in_proportion(
        lambda body: (
            getattr(client, method)(address, body, content_type="application/json").status_code
        )
    )
