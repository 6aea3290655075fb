"""npm's OpenFeature SDKs, for servers and for browsers, with their OFREP providers against a live
installation.
"""

from __future__ import annotations

import pytest

from tests.clients.node import ask, asks_node

pytestmark = asks_node

TYPED = {
    "boolean": (True, False),
    "string": ("да 🙂", "нет"),
    "integer": (1, 2),
    "float": (1.5, 2.0),
    "object": ({"k": [1, "x"]}, {"k": []}),
}
KINDS = {
    "boolean": "boolean",
    "string": "string",
    "integer": "number",
    "float": "number",
    "object": "object",
}


@pytest.fixture(scope="module")
def served(live):
    """An experiment on a flag of each type, and one that browsers may see, for paying users
    only.
    """
    for kind, (control, treatment) in TYPED.items():
        arms = [
            {"name": "control", "traffic_allocation": 50, "value": control},
            {"name": "treatment", "traffic_allocation": 50, "value": treatment},
        ]
        live.experiment(f"js_{kind}", flag_type=kind, variants=arms)
    arms = [
        {"name": name, "traffic_allocation": 50, "value": {"arm": name}}
        for name in ("control", "treatment")
    ]
    paying = [{"attribute": "plan", "op": "eq", "value": "pro"}]
    live.experiment("js_web", variants=arms, targeting=paying, client_visible=True)
    live.settle()
    return live


def answers(live, *questions, key="server"):
    return ask(
        "ofrep_server.mjs",
        {"url": live.url, "key": live.keys.get(key, key), "questions": questions},
    )


def question(kind, user, flag=None, **attributes):
    context = ({} if user is None else {"targetingKey": user}) | attributes
    return {
        "kind": KINDS[kind],
        "flag": flag or f"js_{kind}",
        "fallback": TYPED[kind][1],
        "context": context,
    }


def test_server__typed_flags__arrive_as_the_assignment_door_has_them(served):
    asked = [(kind, f"u{n}") for kind in TYPED for n in range(10)]
    for (kind, user), theirs in zip(
        asked, answers(served, *(question(*one) for one in asked)), strict=True
    ):
        body = {"unit": user, "experiments": [f"js_{kind}"], "exposure": "none"}
        ours = served.post("/api/v1/assignments", body).json()["assignments"][0]
        assert (theirs["variant"], theirs["value"], theirs["reason"]) == (
            ours["variant"],
            ours["value"],
            "SPLIT",
        ), (kind, user)
        assert theirs["flagMetadata"]["experiment"] == f"js_{kind}" and "errorCode" not in theirs


def test_server__refusals__reach_the_caller_as_the_default_with_the_code(served):
    refused = answers(
        served,
        question("string", "u1", flag="js_nothing"),
        question("string", None),
        question("string", "a\u200bb"),
        question("boolean", "u1", flag="js_string"),
    )
    codes = ["FLAG_NOT_FOUND", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "TYPE_MISMATCH"]
    assert [details["errorCode"] for details in refused] == codes
    assert [details["value"] for details in refused] == [
        *[TYPED["string"][1]] * 3,
        TYPED["boolean"][1],
    ]


def test_server__wrong_key__gives_the_default(served):
    (details,) = answers(
        served, question("string", "u1"), key="assay_server_000000000000_" + "0" * 48
    )
    assert (details["value"], details["errorCode"]) == (TYPED["string"][1], "GENERAL")


def browser(live, *contexts):
    day = {
        "url": live.url,
        "key": live.keys["client"],
        "flag": "js_web",
        "fallback": {"arm": "mine"},
        "contexts": contexts,
    }
    return ask("ofrep_web.mjs", day)


def test_web__values_follow_the_attributes_while_the_old_tag_is_sent_along(served):
    day = browser(
        served,
        {"targetingKey": "u1", "plan": "free"},
        {"targetingKey": "u1", "plan": "pro"},
        {"targetingKey": "u1", "plan": "pro", "page": "home"},
        {"targetingKey": "u2", "plan": "pro", "page": "home"},
    )
    free, pro, again, other = day["exchanges"]
    assert [exchange["status"] for exchange in day["exchanges"]] == [200, 200, 304, 200]
    assert pro["sent"] == free["tag"] and again["sent"] == pro["tag"] and other["sent"] is None
    assert [details["reason"] for details in day["read"]] == ["DEFAULT", "SPLIT", "SPLIT", "SPLIT"]
    assert (
        day["read"][2]["value"] == day["read"][1]["value"]
        and day["read"][1]["value"]["arm"] == day["read"][1]["variant"]
    )


def test_web__before_a_user_is_known__the_fallback_is_used_and_later_the_value(served):
    day = browser(served, {"plan": "pro"}, {"targetingKey": "u1", "plan": "pro"})
    before, after = day["read"]
    assert (before["value"], before["errorCode"]) == ({"arm": "mine"}, "TARGETING_KEY_MISSING")
    assert after["reason"] == "SPLIT" and "errorCode" not in after
