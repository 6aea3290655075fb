"""Experiments through the management doors: the sources' bodies as printed, one canonical shape,
clear refusals.
"""

from __future__ import annotations

import pytest

from experiments.core.types import Scope
from experiments.models import ChangeLogEntry, Experiment, Flag

URL = "/api/v1/experiments"

RECOMMENDER = {
    "name": "lora_boost_test",
    "description": "Test LoRA boost factor",
    "traffic_allocation": 0.5,
    "variants": [
        {"name": "control", "weight": 0.5, "config": {"boost": 0.3}},
        {"name": "treatment", "weight": 0.5, "config": {"boost": 0.5}},
    ],
}
CRM = {
    "name": "Lead Qualification Prompt Test",
    "description": "Testing new prompt with few-shot examples vs current prompt",
    "experiment_type": "prompt",
    "primary_metric": "resolution_rate",
    "secondary_metrics": ["satisfaction_score", "response_time"],
    "variants": [
        {
            "name": "Control",
            "is_control": True,
            "traffic_allocation": 50.0,
            "config": {"include_examples": False},
        },
        {
            "name": "Treatment - Few Shot Examples",
            "is_control": False,
            "traffic_allocation": 50.0,
            "config": {"include_examples": True, "examples": ["User: What documents do I need?"]},
        },
    ],
    "target_percentage": 100.0,
    "min_sample_size": 100,
    "confidence_level": 0.95,
}


@pytest.fixture
def tools(doors):
    return doors.client(Scope.MANAGEMENT)


def _variants(*shares, field="weight", **first):
    made = [{"name": f"arm{i}", field: share, "config": {"i": i}} for i, share in enumerate(shares)]
    made[0] |= first
    return {"name": "shares", "variants": made}


def test_create__recommenders_body__is_a_draft_of_half_the_units(tools, doors):
    response = tools.post(URL, RECOMMENDER)
    assert response.status_code == 201
    body = response.json()
    assert (body["status"], body["key"], body["traffic_allocation"], body["target_percentage"]) == (
        "draft",
        "lora_boost_test",
        0.5,
        50.0,
    )
    assert [(v["name"], v["is_control"], v["weight"], v["config"]) for v in body["variants"]] == [
        ("control", True, 0.5, {"boost": 0.3}),
        ("treatment", False, 0.5, {"boost": 0.5}),
    ]
    assert (body["policy"]["key"], body["owner"]["username"]) == ("standard", doors.owner.username)
    assert (
        ChangeLogEntry.objects.filter(
            action="experiment_created", experiment_id=body["id"], actor_kind="key"
        ).count()
        == 1
    )


def test_create__crm_body_with_a_slash__answers_id_name_status_message(tools):
    response = tools.post(URL + "/", CRM)
    assert response.status_code == 201
    body = response.json()
    assert isinstance(body["id"], int)
    assert (body["name"], body["status"]) == ("Lead Qualification Prompt Test", "draft")
    assert body["message"] == "Experiment created successfully. Use /start endpoint to begin."
    assert {m["metric"]: m["role"] for m in body["metrics"]} == {
        "resolution_rate": "primary",
        "satisfaction_score": "secondary",
        "response_time": "secondary",
    }


def test_create__shares_that_are_not_whole_thousandths__sum_to_the_whole(tools):
    body = tools.post(URL, _variants(0.33, 0.34, 0.33)).json()
    assert [v["weight"] for v in body["variants"]] == [0.33, 0.34, 0.33]
    thirds = tools.post(
        URL, _variants(33.3333, 33.3333, 33.3334, field="traffic_allocation") | {"name": "thirds"}
    ).json()
    assert sum(round(v["weight"] * 1000) for v in thirds["variants"]) == 1000


def test_create__without_weights__splits_equally_and_takes_the_first_as_control(tools):
    body = tools.post(URL, {"name": "plain", "variants": [{"name": "a"}, {"name": "b"}]}).json()
    assert [(v["weight"], v["is_control"]) for v in body["variants"]] == [(0.5, True), (0.5, False)]


@pytest.mark.parametrize(
    ("shares", "field", "place"),
    [((0.5, 0.4), "weight", "variants"), ((-50, 150), "traffic_allocation", "variants[0]")],
    ids=["sum", "negative"],
)
def test_create__bad_shares__are_named_where_they_stand_in_the_body(tools, shares, field, place):
    response = tools.post(URL, _variants(*shares, field=field))
    assert (response.status_code, response.json()["error"]["field"]) == (400, place)
    assert not Experiment.objects.exists()


def test_create__a_variant_named_baseline__is_the_control(tools):
    body = tools.post(
        URL, {"name": "named", "variants": [{"name": "new_algo"}, {"name": "baseline"}]}
    ).json()
    assert [v["is_control"] for v in body["variants"]] == [False, True]


BAD = {
    "sum_of_fractions": (_variants(0.5, 0.4), "weights sum to 0.9; expected 1"),
    "sum_of_percents": (
        _variants(50, 40, field="traffic_allocation"),
        "sums to 90.0; expected 100",
    ),
    "both_spellings": (
        _variants(0.5, 0.5, traffic_allocation=50.0),
        "variants[0]: send weight (fraction) or traffic_allocation",
    ),
    "some_without": (
        {"name": "x", "variants": [{"name": "a", "weight": 1.0}, {"name": "b"}]},
        "every variant its share",
    ),
    "both_shares": (RECOMMENDER | {"target_percentage": 50}, "not both"),
    "share_of_nothing": (RECOMMENDER | {"traffic_allocation": 0}, "above 0 and up to 1"),
    "percent_as_fraction": (
        RECOMMENDER | {"traffic_allocation": 50},
        "above 0 and up to 1, found 50",
    ),
    "two_controls": (
        _variants(0.5, 0.5, is_control=True)
        | {"variants": [{"name": n, "is_control": True} for n in "ab"]},
        "control",
    ),
    "no_name": ({"variants": []}, "missing required field `name`"),
    "unknown_field": (RECOMMENDER | {"trafic": 1}, "unknown field `trafic`"),
    "confidence": (RECOMMENDER | {"confidence_level": 95}, "confidence_level"),
    "naive_moment": (RECOMMENDER | {"planned_end": "2026-05-01T10:00:00"}, "cannot be stored"),
    "targeting": (
        RECOMMENDER | {"targeting": [{"attribute": "plan", "op": "regex", "value": "x"}]},
        "ill-formed",
    ),
    "policy": (RECOMMENDER | {"policy": "nonesuch"}, "policy 'nonesuch'"),
    "key_of_digits": (RECOMMENDER | {"key": "123"}, "123"),
    "long_description": (RECOMMENDER | {"description": "x" * 9000}, "description"),
}


@pytest.mark.parametrize(("body", "said"), BAD.values(), ids=BAD.keys())
def test_create__bad_input__says_what_is_wrong_and_stores_nothing(tools, body, said):
    response = tools.post(URL, body)
    assert response.status_code == 400, response.content
    assert said in response.content.decode()
    assert not Experiment.objects.exists()
    assert not Flag.objects.exists()


def test_create__a_name_taken__is_a_conflict(tools):
    tools.post(URL, RECOMMENDER)
    assert tools.post(URL, RECOMMENDER).status_code == 409


def test_read__by_id_uuid_key_and_name__is_the_same(tools):
    made = tools.post(URL, CRM).json()
    found = [
        tools.get(f"{URL}/{made[field]}").json()["id"] for field in ("id", "uuid", "key", "name")
    ]
    assert found == [made["id"]] * 4
    missing = tools.get(f"{URL}/nonesuch")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_list__filters_by_status_and_type(tools):
    tools.post(URL, RECOMMENDER)
    tools.post(URL, CRM)
    assert [e["name"] for e in tools.get(URL).json()["experiments"]] == [
        CRM["name"],
        RECOMMENDER["name"],
    ]
    assert [
        e["name"]
        for e in tools.get(URL + "/?status=draft&experiment_type=prompt").json()["experiments"]
    ] == [CRM["name"]]
    assert tools.get(URL + "?status=running").json()["experiments"] == []
    assert tools.get(URL + "?status=runing").status_code == 400


def test_patch__several_parts__are_changed_together_or_not_at_all(tools):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    arms = [
        {"name": "control", "weight": 0.8},
        {"name": "treatment", "weight": 0.2, "config": {"boost": 0.7}},
    ]
    changed = tools.patch(
        f"{URL}/{ref}",
        {"hypothesis": "More boost, more clicks", "target_percentage": 20, "variants": arms},
    ).json()
    assert (changed["hypothesis"], changed["traffic_allocation"]) == (
        "More boost, more clicks",
        0.2,
    )
    assert [v["weight"] for v in changed["variants"]] == [0.8, 0.2]
    refused = tools.patch(
        f"{URL}/{ref}",
        {
            "hypothesis": "Less",
            "variants": [{"name": "control", "weight": 0.8}, {"name": "b", "weight": 0.1}],
        },
    )
    assert refused.status_code == 400
    assert tools.get(f"{URL}/{ref}").json()["hypothesis"] == "More boost, more clicks"


def test_patch__status__is_not_a_field(tools):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    response = tools.patch(f"{URL}/{ref}", {"status": "running"})
    assert (response.status_code, "status" in response.json()["error"]["message"]) == (400, True)


def test_patch__a_prd_of_200_kilobytes__is_kept(tools):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    prd = "Почему это важно. " * 7000
    assert tools.patch(f"{URL}/{ref}", {"prd_text": prd}).json()["prd_text"] == prd


def test_blockers__policy_of_high_risk__names_every_open_item(tools):
    made = tools.post(URL, CRM | {"policy": "ai-high"}).json()
    body = tools.get(f"{URL}/{made['key']}/blockers").json()
    states = {item["item"]: item["state"] for item in body["checklist"] if item["required"]}
    assert states["prd"] == "missing"
    dark = next(verb for verb in body["verbs"] if verb["verb"] == "start_dark_launch")
    assert "prd" in {problem["field"] for problem in dark["blockers"]} | {
        problem["code"].split("_")[0] for problem in dark["blockers"]
    }


def test_history__tells_who_did_what_newest_first(tools):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    tools.patch(f"{URL}/{ref}", {"hypothesis": "More"})
    lines = tools.get(f"{URL}/{ref}/history").json()["history"]
    assert [line["action"] for line in lines][:2] == ["experiment_edited", "experiment_created"]
    assert (lines[0]["actor"]["kind"], lines[0]["after"]) == ("key", {"hypothesis": "More"})


def test_read_key__reads_and_changes_nothing(tools, doors):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    reader = doors.client(Scope.READ)
    assert reader.get(f"{URL}/{ref}").status_code == 200
    for response in (reader.post(URL, CRM), reader.patch(f"{URL}/{ref}", {"hypothesis": "x"})):
        assert (response.status_code, response.json()["error"]["code"]) == (403, "wrong_scope")


def test_flags__issued_switched_and_given_another_default(tools):
    assert (
        tools.post(
            "/api/v1/flags", {"key": "ai_coach_v2", "type": "boolean", "default": False}
        ).status_code
        == 201
    )
    made = tools.post(
        URL,
        {
            "name": "coach",
            "flag": "ai_coach_v2",
            "variants": [{"name": "off", "value": False}, {"name": "on", "value": True}],
        },
    )
    assert made.json()["flag"] == "ai_coach_v2"
    switched = tools.patch(
        "/api/v1/flags/ai_coach_v2", {"enabled": False, "reason": "incident"}
    ).json()
    assert switched["enabled"] is False
    assert tools.patch("/api/v1/flags/ai_coach_v2", {"enabled": True}).status_code == 400
    refused = tools.patch("/api/v1/flags/ai_coach_v2", {"schema": {}, "reason": "for forms"})
    assert refused.status_code == 409 and "only objects have keys" in refused.content.decode()
    assert tools.post("/api/v1/flags", {"key": "described", "default": {}}).status_code == 201
    schema = {"type": "object", "properties": {"model": {"type": "string"}}}
    assert (
        tools.patch("/api/v1/flags/described", {"schema": schema, "reason": "for forms"}).json()[
            "schema"
        ]
        == schema
    )
    assert (
        tools.patch(
            "/api/v1/flags/described", {"schema": {"type": "array"}, "reason": "for forms"}
        ).status_code
        == 400
    )
    shown = tools.patch(
        "/api/v1/flags/ai_coach_v2", {"client_visible": True, "reason": "the app reads it"}
    ).json()
    assert shown["client_visible"] is True
    assert tools.get("/api/v1/flags/nonesuch").status_code == 404


def test_create__guardrails_by_key__are_planned_as_they_ship_beside_a_budget_and_what_the_outcome_is_worth(
    tools,
):
    own = {"metric": "ai_opt_out", "role": "guardrail", "margin": 0.05, "margin_kind": "relative"}
    primary = {"metric": "apply_conversion", "role": "primary", "worth_micro": 250_000}
    sent = {
        **RECOMMENDER,
        "metrics": [primary, own],
        "guardrails": ["error_rate", "latency_p95", "opt_out"],
        "budget_micro": 5_000_000,
    }
    body = tools.post(URL, sent).json()
    assert body["budget_micro"] == 5_000_000
    assert (
        next(one for one in body["metrics"] if one["role"] == "primary")["worth_micro"] == 250_000
    )
    guards = {
        one["metric"]: (one["margin"], one["margin_kind"], one["action"], one["rule"])
        for one in body["metrics"]
        if one["role"] == "guardrail"
    }
    assert guards == {
        "ai_opt_out": (0.05, "relative", "stop", "safe"),
        "error_rate": (0.02, "points", "stop", "safe"),
        "latency_p95": (500.0, "ms", "hold", "safe"),
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"guardrails": ["speed"]}, "guardrails"),
        ({"budget_micro": 0}, "budget_micro"),
        (
            {"metrics": [{"metric": "csat", "role": "secondary", "worth_micro": 5}]},
            "metrics.csat.worth_micro",
        ),
        (
            {"metrics": [{"metric": "csat", "role": "primary", "worth_micro": -5}]},
            "metrics.csat.worth_micro",
        ),
        (
            {"metrics": [{"metric": "median_ttr", "role": "primary", "worth_micro": 5}]},
            "metrics.median_ttr.worth_micro",
        ),
    ],
)
def test_create__money_or_guardrails_that_make_no_sense__are_refused_at_their_place(
    tools, changes, field
):
    response = tools.post(URL, {**RECOMMENDER, **changes})
    assert response.status_code == 400
    assert field in response.content.decode()
    assert not Experiment.objects.exists()


def test_guardrail_presets__are_listed_with_margins_and_actions(tools):
    shipped = {
        one["key"]: (one["margin"], one["margin_kind"], one["action"])
        for one in tools.get("/api/v1/guardrail-presets").json()["guardrails"]
    }
    assert shipped["error_rate"] == (0.02, "points", "stop")
    assert shipped["cost_per_request"] == (0.2, "relative", "escalate")
    assert len(shipped) == 6


@pytest.mark.parametrize(
    "moment",
    ["2026-01-01T00:00:00+21:58", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_list__moments_of_odd_zones__are_compared_or_refused(doors, moment):
    answer = doors.client(Scope.READ).get("/api/v1/experiments", {"created_after": moment})
    assert answer.status_code in {200, 400}
