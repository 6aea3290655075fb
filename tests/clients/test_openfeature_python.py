"""PyPI's OpenFeature SDK with its OFREP provider against a live installation."""

from __future__ import annotations

import time

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

TYPED = {
    "boolean": (True, False),
    "string": ("да 🙂", "нет"),
    "integer": (1, 2),
    "float": (1.0, 2.0),
    "object": ({"k": [1.0, 1, "x"]}, {"k": []}),
}


@pytest.fixture(scope="module")
def served(live):
    """An experiment on a flag of each type, one per tenant, and a flag without any."""
    for kind, (control, treatment) in TYPED.items():
        arms = [
            {"name": "control", "traffic_allocation": 50, "value": control},
            {"name": "treatment", "traffic_allocation": 50, "value": treatment},
        ]
        live.experiment(f"of_{kind}", flag_type=kind, variants=arms)
    live.experiment("of_tenant", unit_type="tenant")
    live.flag("of_plain", type="float", default=3)
    live.settle()
    return live


def client_of(live, key="server"):
    provider = OFREPProvider(
        live.url, headers_factory=lambda: {"Authorization": f"Bearer {live.keys.get(key, key)}"}
    )
    api.set_provider_and_wait(provider, key)
    return api.get_client(key)


@pytest.fixture
def client(served):
    return client_of(served)


def user(name, **attributes):
    return EvaluationContext(name, attributes)


DETAILS = {kind: f"get_{kind}_details" for kind in TYPED}


@pytest.mark.parametrize("kind", TYPED)
def test_typed_flags__arrive_with_their_type_and_arm(client, kind):
    seen = {}
    for n in range(40):
        details = getattr(client, DETAILS[kind])(f"of_{kind}", TYPED[kind][1], user(f"u{n}"))
        assert details.error_code is None and details.reason == Reason.SPLIT
        assert (
            details.flag_metadata["experiment"] == f"of_{kind}"
            and details.flag_metadata["contextId"] == f"u{n}"
        )
        seen[details.variant] = details.value
    assert seen == dict(zip(("control", "treatment"), TYPED[kind], strict=True))
    assert {type(value) for value in seen.values()} == {type(TYPED[kind][0])}


def test_answers__are_those_of_the_assignment_door(client, served):
    for n in range(50):
        ours = served.post(
            "/api/v1/assignments",
            {"unit": f"u{n}", "experiments": ["of_string"], "exposure": "none"},
        ).json()["assignments"][0]
        theirs = client.get_string_details("of_string", "", user(f"u{n}"))
        assert (theirs.variant, theirs.value) == (ours["variant"], ours["value"])


def test_a_whole_number_of_a_float_flag__is_no_type_mismatch(client):
    details = client.get_float_details("of_plain", 0.0)
    assert (details.value, details.reason, details.error_code) == (3.0, Reason.DEFAULT, None)


def test_tenants__come_from_attributes_and_are_optional(client):
    by_tenant = {
        client.get_object_details("of_tenant", {}, user(f"u{n}", tenantId="acme")).variant
        for n in range(20)
    }
    assert len(by_tenant) == 1 and by_tenant < {"control", "treatment"}
    without = client.get_object_details("of_tenant", {}, user("u1"))
    assert (without.variant, without.reason, without.flag_metadata["reason"]) == (
        "default",
        Reason.DEFAULT,
        "unit_missing",
    )


def test_targeting_key_among_the_attributes__is_the_user(client):
    one, other = (
        client.get_string_details(
            "of_string", "", EvaluationContext(attributes={"targetingKey": "u7"})
        ),
        client.get_string_details("of_string", "", user("u7")),
    )
    assert one.variant == other.variant and one.flag_metadata["contextId"] == "u7"


@pytest.mark.parametrize(
    ("flag", "context", "code"),
    [
        ("of_nothing", user("u1"), ErrorCode.FLAG_NOT_FOUND),
        ("of_string", None, ErrorCode.TARGETING_KEY_MISSING),
        ("of_string", user("a\u200bb"), ErrorCode.INVALID_CONTEXT),
        ("of_string", user("u1", **{f"k{n}": "x" * 1000 for n in range(40)}), ErrorCode.GENERAL),
        ("of_integer", user("u1"), ErrorCode.TYPE_MISMATCH),
    ],
)
def test_refusals__reach_the_caller_as_their_default_with_the_code(client, flag, context, code):
    details = client.get_string_details(flag, "mine", context)
    assert (details.value, details.reason, details.error_code) == ("mine", Reason.ERROR, code)
    assert details.error_message


def test_attribute_too_long__that_no_rule_asks_for__costs_nothing(client):
    plain, long = (
        client.get_string_details("of_string", "mine", user("u1", **more))
        for more in ({}, {"note": "x" * 9000})
    )
    assert (long.value, long.reason, long.error_code) == (plain.value, Reason.SPLIT, None)


@pytest.mark.parametrize(
    ("key", "said"),
    [("assay_server_000000000000_" + "0" * 48, "unauthorized"), ("ingest", "forbidden")],
)
def test_wrong_keys__give_the_default_and_say_so(served, key, said):
    details = client_of(served, key).get_string_details("of_string", "mine", user("u1"))
    assert (details.value, details.error_code, details.error_message) == (
        "mine",
        ErrorCode.GENERAL,
        said,
    )


def test_evaluations__become_exposures_unless_the_context_says_otherwise(client, served):
    for name in ("seen", "unseen"):
        context = user(f"of-{name}") if name == "seen" else user(f"of-{name}", assayExposure="none")
        assert client.get_boolean_details("of_boolean", False, context).variant in {
            "control",
            "treatment",
        }
    query = "SELECT user_id, exposure_count FROM experiment_assignments WHERE user_id LIKE 'of-%%' AND exposure_ts IS NOT NULL"
    end = time.monotonic() + 100  # beside other tests the drainer hurries only after a minute
    while not (rows := served.sql(query)) and time.monotonic() < end:
        time.sleep(0.2)
    assert rows == [("of-seen", 1)]


def test_a_switched_off_flag__gives_its_default_within_a_poll(client, served):
    served.flag("of_switch", type="string", default="on")
    served.settle()
    assert client.get_string_details("of_switch", "", user("u1")).value == "on"
    served.manage("PATCH", "/api/v1/flags/of_switch", {"enabled": False, "reason": "test"})
    served.settle()
    assert client.get_string_details("of_switch", "", user("u1")).reason == Reason.DISABLED


def test_over_the_wire__refusals_and_browsers_are_answered_as_everywhere(served):
    path = "/ofrep/v1/evaluate/flags/of_string"
    sent = {"large": b" " * 3_000_000, "broken": b"{", "no user": b"{}"}
    answers = {name: served.post(path, body) for name, body in sent.items()}
    assert [answer.status for answer in answers.values()] == [413, 400, 400]
    codes = [answer.json()["errorCode"] for answer in answers.values()]
    assert codes == [ErrorCode.GENERAL, ErrorCode.PARSE_ERROR, ErrorCode.TARGETING_KEY_MISSING]
    preflight = served.ask(
        "OPTIONS",
        path,
        key=None,
        headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"},
    )
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "*")
    tagged = served.post("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}})
    again = {"If-None-Match": tagged.headers["etag"]}
    assert (
        served.post(
            "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}}, headers=again
        ).status
        == 304
    )
