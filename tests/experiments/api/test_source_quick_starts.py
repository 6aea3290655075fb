"""The curl calls of the three guides that print any: their bodies as printed, their paths, and
answers of the printed shape.
"""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from analytics.selectors.recommendation import recommendation
from analytics.services.analysis.analysis import analyse
from analytics.services.ingest.drain import drain_once
from experiments.core.clock import utc_now
from experiments.core.types import Scope, Status
from experiments.models import Experiment, Rollout
from experiments.services.life import advice
from tests.analytics.services.analysis.test_decisions import MORNING, NIGHT, winner
from tests.analytics.services.importing.test_geo import pilot
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
EXPERIMENTS = "/api/v1/experiments"

# 003, a recommendation engine
RECOMMENDER = """{
    "name": "lora_boost_test",
    "description": "Test LoRA boost factor",
    "traffic_allocation": 0.5,
    "variants": [
      {"name": "control", "weight": 0.5, "config": {"boost": 0.3}},
      {"name": "treatment", "weight": 0.5, "config": {"boost": 0.5}}
    ]
  }"""
RUNNING = '{"status": "running"}'
CONVERSION = """{
    "experiment_id": "...",
    "user_id": "...",
    "metric_name": "watch_completion",
    "value": 1.0
  }"""

# 004, a CRM
CRM = """{
    "name": "Lead Qualification Prompt Test",
    "description": "Testing new prompt with few-shot examples vs current prompt",
    "experiment_type": "prompt",
    "primary_metric": "resolution_rate",
    "secondary_metrics": ["satisfaction_score", "response_time"],
    "variants": [
      {
        "name": "Control",
        "is_control": true,
        "traffic_allocation": 50.0,
        "config": {
          "system_prompt": "You are an AI assistant for mortgage CRM...",
          "include_examples": false
        }
      },
      {
        "name": "Treatment - Few Shot Examples",
        "is_control": false,
        "traffic_allocation": 50.0,
        "config": {
          "system_prompt": "You are an AI assistant for mortgage CRM...",
          "include_examples": true,
          "examples": [
            "User: What documents do I need? Assistant: For a purchase loan, you'll need...",
            "User: How long does approval take? Assistant: Typically 3-5 business days..."
          ]
        }
      }
    ],
    "target_percentage": 100.0,
    "min_sample_size": 100,
    "confidence_level": 0.95
  }"""
ANALYSIS = {
    "experiment_id": 1,
    "analysis_date": "2025-01-15T10:30:00Z",
    "variant_stats": {
        "1": {"mean": 0.72, "std": 0.15, "count": 150, "min": 0.4, "max": 1.0},
        "2": {"mean": 0.85, "std": 0.12, "count": 148, "min": 0.5, "max": 1.0},
    },
    "p_value": 0.01,
    "is_significant": True,
    "recommended_winner_id": 2,
    "recommendation_confidence": 0.95,
    "recommendation_reason": "Variant 2 shows 18.1% improvement with 148 samples. Mean: 0.850 (vs control: 0.720)",
    "sufficient_sample_size": True,
    "current_sample_size": 298,
    "required_sample_size": 100,
}

# 002, an operations agent
OPERATORS_ENTRY = {
    "enabled": True,
    "promoted_variant": None,
    "variants": ["control", "aggressive"],
    "significance": {
        "significant": False,
        "p_value": 0.23,
        "winner": None,
        "variants": {
            "control": {"samples": 45, "conversions": 9, "rate": 0.20},
            "aggressive": {"samples": 48, "conversions": 12, "rate": 0.25},
        },
    },
}
PROMOTED = {"ok": True, "promoted": "aggressive", "p_value": 0.042, "chi_square": 4.21}


@pytest.fixture
def tools(doors):
    advice.set_reader(recommendation)
    yield doors.client(Scope.MANAGEMENT)
    advice.set_reader(None)


@pytest.fixture
def app(doors):
    return doors.client(Scope.SERVER)


def send(client, method, path, text=None):
    """As curl does: the text as it stands."""
    return getattr(client, method)(path, text, content_type="application/json")


def shape(value):
    """A document's keys, with the kind of value behind each; a map by id has the shape of its first
    entry.
    """
    if isinstance(value, dict):
        return {("…" if key.isdigit() else key): shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return (
        "number"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else type(value).__name__
    )


def within(printed, answered):
    """The part of an answer that a guide prints: every printed key must be there."""
    if isinstance(printed, dict) and isinstance(answered, dict):
        return {key: within(entry, answered[key]) for key, entry in printed.items()}
    return answered


def drained():
    drain_once(utc_now())


# ---------------------------------------------------------------- 003


def test_recommender__create_start_convert_and_measure__as_printed(tools, app, doors):
    made = send(tools, "post", EXPERIMENTS, RECOMMENDER)
    assert made.status_code == 201
    ref = made.json()["uuid"]
    started = send(tools, "put", f"{EXPERIMENTS}/{ref}/status", RUNNING)
    assert (started.status_code, started.json()["status"]) == (200, "running")
    doors.publish()
    met = met_by(app, "lora_boost_test", [f"viewer-{n}" for n in range(200)])
    assert 60 < len(met) < 140, "half of the users take part"
    watched = sorted(met)[::4]
    for user in [*watched, watched[0]]:
        body = json.loads(CONVERSION) | {"experiment_id": ref, "user_id": user}
        answer = send(app, "post", f"{EXPERIMENTS}/conversions", json.dumps(body))
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    body = tools.get(f"{EXPERIMENTS}/{ref}/metrics").json()
    assert body["experiment_id"] == made.json()["id"]
    arms = {arm["variant_name"]: arm for arm in body["variant_metrics"].values()}
    assert set(body["variant_metrics"]) == {
        str(variant["id"]) for variant in made.json()["variants"]
    }
    for name, arm in arms.items():
        users = [user for user in met if met[user] == name]
        converted = [user for user in watched if met[user] == name]
        assert (arm["unique_users"], arm["exposures"]) == (len(users), len(users))
        assert arm["conversions"]["watch_completion"] == {
            "count": len(converted) + (watched[0] in users),
            "conversion_rate": pytest.approx(len(converted) / len(users)),
            "mean": 1.0,
        }


def met_by(app, experiment, users):
    """Who met which variant, asked as 004 does; the exposures have reached the tables."""
    found = {}
    for user in users:
        answer = app.post(
            f"{EXPERIMENTS}/get-variant", {"experiment_name": experiment, "user_id": user}
        ).json()
        if answer["variant"] is not None:
            found[str(user)] = answer["variant"]["name"]
    drained()
    return found


def test_recommender__metric_never_declared__is_kept_and_decides_nothing(tools, app, doors):
    ref = send(tools, "post", EXPERIMENTS, RECOMMENDER).json()["id"]
    send(tools, "put", f"{EXPERIMENTS}/{ref}/status", RUNNING)
    doors.publish()
    met_by(app, "lora_boost_test", range(40))
    body = {
        "experiment_id": ref,
        "user_id": 1,
        "metric_name": "spins_per_minute",
        "value": 0.0,
        "metadata": {"page": "home"},
    }
    assert app.post(f"{EXPERIMENTS}/conversions", body).status_code == 200
    analyse(ref, now=utc_now())
    arms = tools.get(f"{EXPERIMENTS}/{ref}/metrics").json()["variant_metrics"].values()
    counted = [
        arm["conversions"]["spins_per_minute"]
        for arm in arms
        if arm["conversions"].get("spins_per_minute", {}).get("count")
    ]
    assert counted in ([], [{"count": 1, "conversion_rate": 0.0, "mean": 0.0}])


def test_recommender__impressions__are_counted_beside_users(tools, app, doors):
    send(tools, "post", EXPERIMENTS, RECOMMENDER)
    send(tools, "put", f"{EXPERIMENTS}/lora_boost_test/status", RUNNING)
    doors.publish()
    for _ in range(3):
        met = met_by(app, "lora_boost_test", range(30))
    arms = tools.get(f"{EXPERIMENTS}/lora_boost_test/metrics").json()["variant_metrics"].values()
    assert sum(arm["unique_users"] for arm in arms) == len(met)
    assert sum(arm["exposures"] for arm in arms) == 3 * len(met)


# ---------------------------------------------------------------- 004


def test_crm__create_start_ask_record_and_analyze__as_printed(tools, app, doors):
    made = send(tools, "post", f"{EXPERIMENTS}/", CRM)
    assert made.status_code == 201
    pk = made.json()["id"]
    assert within({"id": 0, "name": "", "status": "", "message": ""}, made.json()) == {
        "id": pk,
        "name": "Lead Qualification Prompt Test",
        "status": "draft",
        "message": "Experiment created successfully. Use /start endpoint to begin.",
    }
    started = send(tools, "post", f"{EXPERIMENTS}/{pk}/start")
    assert started.json()["message"] == f"Experiment {pk} started successfully"
    doors.publish()
    ask = {"experiment_name": "Lead Qualification Prompt Test", "user_id": 123, "session_id": None}
    variant = app.post(f"{EXPERIMENTS}/get-variant", ask).json()["variant"]
    assert {"system_prompt", "include_examples"} <= set(variant["config"])
    assert variant["is_control"] is (variant["name"] == "Control")
    met = met_by(app, "Lead Qualification Prompt Test", range(100, 140))
    for n, user in enumerate(met):
        said = {
            "experiment_name": ask["experiment_name"],
            "metric_name": "resolution_rate",
            "metric_value": float(n % 2),
            "user_id": int(user),
        }
        assert (
            app.post(f"{EXPERIMENTS}/record-result", said | {"session_id": None}).status_code == 200
        )
    answer = tools.get(f"{EXPERIMENTS}/{pk}/analyze").json()
    assert set(ANALYSIS) <= set(answer)
    assert len(ANALYSIS) == 11
    assert shape(answer["variant_stats"]) == shape(ANALYSIS["variant_stats"])
    assert (
        sum(stats["count"] for stats in answer["variant_stats"].values())
        == answer["current_sample_size"]
        == len(met)
        == 40
    )
    assert {(stats["min"], stats["max"]) for stats in answer["variant_stats"].values()} == {
        (0.0, 1.0)
    }
    assert (answer["sufficient_sample_size"], answer["required_sample_size"]) == (False, 100)
    assert (answer["p_value"], answer["is_significant"], answer["recommended_winner_id"]) == (
        None,
        False,
        None,
    )


def test_crm__analyze_after_a_decision__has_the_printed_shape_and_the_decisions_numbers(tools):
    w = winner()
    answer = tools.get(f"{EXPERIMENTS}/{w.experiment.pk}/analyze").json()
    assert shape(within(ANALYSIS | {"variant_stats": {}}, answer)) == shape(
        ANALYSIS | {"variant_stats": {}}
    )
    assert shape(answer["variant_stats"]) == shape(ANALYSIS["variant_stats"])
    treatment = w.arms["treatment"]
    assert answer["recommended_winner_id"] == treatment.pk
    assert 0 < answer["p_value"] < 0.05
    assert answer["variant_stats"][str(treatment.pk)] == {
        "mean": 0.28,
        "std": pytest.approx(0.4492, abs=1e-4),
        "count": 1000,
        "min": 0.0,
        "max": 1.0,
    }
    assert answer["results"]["metrics"][0]["key"] == "apply_conversion"


def test_crm__stop_and_declare_winner__promotes_what_the_decision_recommends(tools, monkeypatch):
    w = by_hand()
    monkeypatch.setattr("experiments.api.transitions.utc_now", lambda: MORNING)
    answer = send(tools, "post", f"{EXPERIMENTS}/{w.experiment.pk}/stop?declare_winner=true")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "promoted")
    assert Rollout.objects.get(experiment=w.experiment).variant == w.arms["treatment"]


def test_crm__stop_and_declare_winner_without_a_decision__is_a_409_with_the_reason(tools):
    made = send(tools, "post", f"{EXPERIMENTS}/", CRM).json()
    send(tools, "post", f"{EXPERIMENTS}/{made['id']}/start")
    answer = send(tools, "post", f"{EXPERIMENTS}/{made['id']}/stop?declare_winner=true")
    assert answer.status_code == 409
    assert "no decision has been made" in answer.json()["error"]["problems"][0]["message"]
    assert Experiment.objects.get(pk=made["id"]).status == Status.RUNNING


def test_crm__summary_and_filtered_list__answer(tools):
    made = send(tools, "post", f"{EXPERIMENTS}/", CRM).json()
    send(tools, "post", f"{EXPERIMENTS}/{made['id']}/start")
    summary = tools.get(f"{EXPERIMENTS}/{made['id']}/summary").json()
    assert (summary["name"], summary["status"], summary["total_users"]) == (
        "Lead Qualification Prompt Test",
        "running",
        0,
    )
    assert [(v["name"], v["traffic_allocation"], v["users"]) for v in summary["variants"]] == [
        ("Control", 50.0, 0),
        ("Treatment - Few Shot Examples", 50.0, 0),
    ]
    listed = tools.get(f"{EXPERIMENTS}/?status=running&experiment_type=prompt").json()
    assert [one["id"] for one in listed["experiments"]] == [made["id"]]


@pytest.mark.parametrize("scope", [Scope.CLIENT, Scope.INGEST, Scope.READ, Scope.MANAGEMENT])
def test_get_variant__any_key_but_a_servers__is_forbidden(doors, scope):
    answer = doors.client(scope).post(
        f"{EXPERIMENTS}/get-variant", {"experiment_name": "x", "user_id": 1}
    )
    assert answer.status_code == 403


def test_crm__as_printed__randomises_visitors_so_that_a_session_is_recorded(tools, app, doors):
    made = send(tools, "post", f"{EXPERIMENTS}/", CRM).json()
    assert Experiment.objects.get(pk=made["id"]).unit_type == "visitor"
    send(tools, "post", f"{EXPERIMENTS}/{made['id']}/start")
    doors.publish()
    asked = {
        "experiment_name": "Lead Qualification Prompt Test",
        "user_id": None,
        "session_id": "s-1",
    }
    assert app.post(f"{EXPERIMENTS}/get-variant", asked).json()["variant"] is not None
    said = asked | {"metric_name": "resolution_rate", "metric_value": 1.0}
    assert app.post(f"{EXPERIMENTS}/record-result", said).status_code == 200


def test_crm__anonymous_session__gets_a_variant_of_an_experiment_on_visitors(tools, app, doors):
    made = send(
        tools, "post", f"{EXPERIMENTS}/", json.dumps(json.loads(CRM) | {"unit_type": "visitor"})
    ).json()
    assert send(tools, "post", f"{EXPERIMENTS}/{made['id']}/start").status_code == 200
    doors.publish()
    ask = {
        "experiment_name": "Lead Qualification Prompt Test",
        "user_id": None,
        "session_id": "s-1",
    }
    assert app.post(f"{EXPERIMENTS}/get-variant", ask).json()["variant"] is not None


# ---------------------------------------------------------------- 002


def test_operators__list__has_the_printed_shape(tools):
    w = by_hand()
    body = tools.get("/ops/experiments").json()
    entry = body["experiments"]["followup_timing"]
    printed = json.loads(json.dumps(OPERATORS_ENTRY).replace("aggressive", "treatment"))
    assert set(printed) <= set(entry)
    assert shape(within(printed["significance"], entry["significance"])) == shape(
        printed["significance"]
    ) | {"winner": "str"}
    assert entry["significance"]["variants"] == {
        "control": {"samples": 1000, "conversions": 180, "rate": 0.18},
        "treatment": {"samples": 1000, "conversions": 280, "rate": 0.28},
    }
    assert (entry["enabled"], entry["promoted_variant"], entry["significance"]["winner"]) == (
        True,
        None,
        "treatment",
    )
    look = w.iteration.looks.get()
    assert entry["significance"]["p_value"] == look.state["hypotheses"][0]["look"]["p"]


def test_operators__promote__rolls_the_recommended_variant_out_and_says_so(tools, monkeypatch):
    by_hand()
    monkeypatch.setattr("analytics.api.ops.utc_now", lambda: MORNING)
    answer = send(tools, "post", "/ops/experiments/followup_timing/promote")
    assert (answer.status_code, shape(answer.json())) == (200, shape(PROMOTED))
    assert answer.json()["promoted"] == "treatment"
    assert answer.json()["chi_square"] == pytest.approx(28.23, abs=0.01)
    entry = tools.get("/ops/experiments").json()["experiments"]["followup_timing"]
    assert (entry["enabled"], entry["promoted_variant"]) == (False, "treatment")
    again = send(tools, "post", "/ops/experiments/followup_timing/promote")
    assert again.status_code == 409
    assert "treatment was promoted already, on " in again.content.decode()


def test_operators__promote_before_any_decision__is_a_409_with_the_reason_and_changes_nothing(
    tools,
):
    w = world("followup_timing")
    answer = send(tools, "post", "/ops/experiments/followup_timing/promote")
    assert answer.status_code == 409
    assert "no decision has been made" in answer.json()["error"]["problems"][0]["message"]
    entry = tools.get("/ops/experiments").json()["experiments"]["followup_timing"]
    assert entry["significance"] == {
        "significant": False,
        "p_value": None,
        "winner": None,
        "variants": {
            key: {"samples": None, "conversions": None, "rate": None}
            for key in ("control", "treatment")
        },
    }
    assert not Rollout.objects.filter(experiment=w.experiment).exists()


@pytest.mark.parametrize("change", [{"promotion_held": True}, {"experiment_type": "geo"}])
def test_operators__promotion_that_people_keep_to_themselves__is_refused_to_a_key(tools, change):
    w = by_hand()
    Experiment.objects.filter(pk=w.experiment.pk).update(**change)
    assert send(tools, "post", "/ops/experiments/followup_timing/promote").status_code == 409
    assert not Rollout.objects.exists()


def test_operators__masked_results__have_no_numbers_at_any_door(tools):
    w = by_hand()
    crowd(w, "control", 600, START + timedelta(days=1))
    analyse(w.experiment.pk, now=MORNING)
    entry = tools.get("/ops/experiments").json()["experiments"]["followup_timing"]
    assert entry["significance"]["p_value"] is None
    assert {one["rate"] for one in entry["significance"]["variants"].values()} == {None}
    answer = tools.get(f"{EXPERIMENTS}/followup_timing/analyze").json()
    assert (answer["variant_stats"], answer["p_value"], answer["recommended_winner_id"]) == (
        {},
        None,
        None,
    )
    measured = tools.get(f"{EXPERIMENTS}/followup_timing/metrics").json()
    assert measured["masked"]
    assert [arm["conversions"] for arm in measured["variant_metrics"].values()] == [{}, {}]
    assert {arm["unique_users"] for arm in measured["variant_metrics"].values()} == {1000, 1600}
    assert "masked" in answer["recommendation_reason"]


def test_operators__masked_now__is_not_promoted(tools):
    w = by_hand()
    crowd(w, "control", 600, START + timedelta(days=1))
    analyse(w.experiment.pk, now=MORNING)
    assert send(tools, "post", "/ops/experiments/followup_timing/promote").status_code == 409


def test_operators__decision_to_escalate_harm__recommends_nothing(tools):
    w = world("followup_timing", auto_promote=True)
    plan(
        w,
        "guardrail",
        "complained",
        margin=0.15,
        margin_kind="relative",
        rule="no_breach",
        action="escalate",
    )
    crowd(w, "control", 2000, START, events={"complaint": 60})
    crowd(w, "treatment", 2000, START, events={"complaint": 240})
    analyse(w.experiment.pk, now=START + timedelta(days=2), may_look=True)
    decision = w.iteration.decisions.get()
    assert (decision.verdict, decision.variant) == ("escalate", w.arms["treatment"])
    answer = send(tools, "post", "/ops/experiments/followup_timing/promote")
    assert (
        answer.status_code,
        "to escalate" in answer.json()["error"]["problems"][0]["message"],
    ) == (409, True)
    assert (
        tools.get(f"{EXPERIMENTS}/followup_timing/analyze").json()["recommended_winner_id"] is None
    )


def test_results__of_a_geo_pilot__are_its_own(tools):
    made = pilot()
    for door in ("metrics", "analyze", "summary"):
        assert tools.get(f"{EXPERIMENTS}/{made.key}/{door}").status_code == 200
    analyse(made.pk, now=utc_now())
    whole = tools.get(f"{EXPERIMENTS}/{made.key}/metrics").json()["results"]
    assert (whole["metric"], len(whole["treated"])) == ("sales", 5)
    assert (
        tools.get("/ops/experiments").json()["experiments"][made.key]["significance"]["winner"]
        is None
    )


def by_hand() -> World:
    """A look was taken that proves a gain; the design leaves promotion to people."""
    w = world("followup_timing")
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 1000, START, events={"apply": 180})
    crowd(w, "treatment", 1000, START, events={"apply": 280})
    analyse(w.experiment.pk, now=NIGHT, may_look=True)
    return w


# ---------------------------------------------------------------- units at these doors


@pytest.mark.parametrize(
    ("units", "status"),
    [
        ({"user_id": 123}, 200),
        ({"user_id": "123"}, 200),
        ({"tenant": "acme"}, 200),
        ({"units": {"user": 5}}, 200),
        ({}, 400),
        ({"user_id": None}, 400),
        ({"user_id": True}, 400),
        ({"user_id": 1.5}, 400),
        ({"user_id": ""}, 400),
        ({"user_id": "a\u200b"}, 400),
    ],
)
def test_get_variant__unit__is_taken_or_refused(units, status, tools, app, doors):
    send(tools, "post", EXPERIMENTS, RECOMMENDER)
    doors.publish()
    answer = app.post(f"{EXPERIMENTS}/get-variant", {"experiment_name": "lora_boost_test"} | units)
    assert answer.status_code == status, answer.content


def test_get_variant__whole_number__is_its_decimal_text(tools, app, doors):
    send(tools, "post", EXPERIMENTS, RECOMMENDER)
    send(tools, "put", f"{EXPERIMENTS}/lora_boost_test/status", RUNNING)
    doors.publish()
    for user in range(20):
        body = {"experiment_name": "lora_boost_test", "user_id": user, "exposure": "none"}
        one = app.post(f"{EXPERIMENTS}/get-variant", body).json()
        assert one == app.post(f"{EXPERIMENTS}/get-variant", body | {"user_id": str(user)}).json()
        told = app.post(
            "/api/v1/assignments",
            {"unit": str(user), "experiments": ["lora_boost_test"], "exposure": "none"},
        ).json()
        assert told["assignments"][0]["variant"] == (one["variant"] or {}).get("key")
    one, other = (app.post("/api/v1/assignments", {"unit": unit}).json() for unit in (7, "7"))
    assert one == other


def test_get_variant__name_that_no_experiment_has__is_a_404_and_a_draft_is_an_answer(
    tools, app, doors
):
    assert (
        app.post(
            f"{EXPERIMENTS}/get-variant", {"experiment_name": "nonesuch", "user_id": 1}
        ).status_code
        == 404
    )
    send(tools, "post", EXPERIMENTS, RECOMMENDER)
    doors.publish()
    answer = app.post(
        f"{EXPERIMENTS}/get-variant", {"experiment_name": "lora_boost_test", "user_id": 1}
    )
    assert (answer.status_code, answer.json()["variant"], answer.json()["reason"]) == (
        200,
        None,
        "not_serving",
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": None}, "value"),
        ({"metric_value": 1.0}, "value"),
        ({"experiment_name": "x"}, "experiment_id"),
        ({"experiment_id": "nonesuch"}, "experiment"),
        ({"metric_name": "two words"}, "metric"),
        ({"variant": "blue"}, "variant"),
        ({"context": {}, "metadata": {}}, "context"),
    ],
)
def test_conversion__that_cannot_be_kept__names_the_field(change, field, tools, app):
    ref = send(tools, "post", EXPERIMENTS, RECOMMENDER).json()["id"]
    body = {"experiment_id": ref, "user_id": 1, "metric_name": "watch_completion", "value": 1.0}
    answer = app.post(f"{EXPERIMENTS}/conversions", body | change)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["field"] == field


def test_conversion__sent_again_under_its_id__counts_once(tools, app):
    ref = send(tools, "post", EXPERIMENTS, RECOMMENDER).json()["id"]
    body = {
        "experiment_id": ref,
        "user_id": 1,
        "metric_name": "watch_completion",
        "value": 1.0,
        "event_id": "e1",
    }
    answers = [app.post(f"{EXPERIMENTS}/conversions", body).json() for _ in range(2)]
    assert [(one["accepted"], one["duplicates"]) for one in answers] == [(1, 0), (0, 1)]
    assert app.post(f"{EXPERIMENTS}/conversions", body | {"value": 2.0}).status_code == 409


# ---------------------------------------------------------------- the SQL that the guides print

PROGRESS = """
SELECT
  e.name,
  e.status,
  COUNT(DISTINCT a.user_id) as users_assigned,
  COUNT(r.id) as results_collected
FROM ab_experiments e
LEFT JOIN ab_assignments a ON e.id = a.experiment_id
LEFT JOIN ab_results r ON e.id = r.experiment_id
WHERE e.status = 'running'
GROUP BY e.id, e.name, e.status;
"""
PERFORMANCE = """
SELECT
  v.name as variant_name,
  AVG(r.metric_value) as avg_metric,
  COUNT(*) as sample_size
FROM ab_variants v
JOIN ab_results r ON v.id = r.variant_id
WHERE r.experiment_id = 1 AND r.metric_name = 'resolution_rate'
GROUP BY v.id, v.name;
"""
CONVERTED = "SELECT COUNT(*) FROM experiment_conversions WHERE experiment_id = '...';"
ASSIGNED = "SELECT * FROM experiment_assignments WHERE user_id = '...' AND experiment_id = '...';"


def rows(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def observed():
    """Four users, three of them with a result: two stamped with the experiment, one in every
    experiment of its unit.
    """
    w = world("prompt_test")
    for n, arm in enumerate(["control", "control", "treatment", "treatment"]):
        w.expose(f"u{n}", arm, START, context={"page": "home"})
    stamp = {"experiment_id": w.experiment.pk}
    w.observe("u0", "resolution_rate", 0.0, START + timedelta(hours=1), **stamp)
    w.observe("u2", "resolution_rate", 1.0, START + timedelta(hours=1), **stamp)
    w.observe(
        "u3",
        "resolution_rate",
        0.5,
        START + timedelta(hours=2),
        units={"user": "u3", "tenant": "acme"},
    )
    w.observe("u3", "resolution_rate", 9.0, START + timedelta(hours=2), environment="test", **stamp)
    w.observe("u9", "resolution_rate", 9.0, START + timedelta(hours=2))
    return w


def test_sql__progress__runs_as_printed(observed):
    [row] = rows(PROGRESS)
    # Its two joins multiply: COUNT(DISTINCT r.id) is what it means to count.
    assert row == {
        "name": "prompt_test",
        "status": "running",
        "users_assigned": 4,
        "results_collected": 4 * 3,
    }
    assert (
        rows(PROGRESS.replace("COUNT(r.id)", "COUNT(DISTINCT r.id)"))[0]["results_collected"] == 3
    )


COUNTED = """
SELECT e.name, e.status, COALESCE(a.users, 0) AS users_assigned, COALESCE(r.results, 0) AS results_collected
FROM ab_experiments e
LEFT JOIN (SELECT experiment_id, COUNT(DISTINCT user_id) AS users FROM ab_assignments GROUP BY 1) a ON a.experiment_id = e.id
LEFT JOIN (SELECT experiment_id, COUNT(DISTINCT id) AS results FROM ab_results GROUP BY 1) r ON r.experiment_id = e.id
WHERE e.status = 'running';
"""


def test_sql__progress_counted_apart__is_right_without_multiplying(observed):
    assert rows(COUNTED) == [
        {"name": "prompt_test", "status": "running", "users_assigned": 4, "results_collected": 3}
    ]


def test_sql__results__are_found_in_one_pass_over_units(observed):
    for n in range(700):
        observed.expose(f"many-{n}", "control", START)
        observed.observe(
            f"many-{n}",
            "resolution_rate",
            1.0,
            START + timedelta(hours=1),
            experiment_id=observed.experiment.pk,
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE experiment_assignments, ai_ab_metrics")
    assert rows_touched("SELECT COUNT(*) FROM ab_results") < 20 * 700


def rows_touched(statement):
    """Rows that the widest step of the plan read, those it threw away included."""

    def widest(node):
        own = sum(
            node.get(name, 0)
            for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
        )
        return max(
            [own * node["Actual Loops"], *(widest(below) for below in node.get("Plans", ()))]
        )

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement}")
        return widest(cursor.fetchone()[0][0]["Plan"])


def test_sql__variant_performance__runs_as_printed(observed):
    found = rows(
        PERFORMANCE.replace("experiment_id = 1", f"experiment_id = {observed.experiment.pk}")
    )
    assert sorted(
        (row["variant_name"], row["avg_metric"], row["sample_size"]) for row in found
    ) == [
        ("control", 0.0, 1),
        ("treatment", 0.75, 2),
    ]


def test_sql__recommenders_checks__run_as_printed(observed):
    ref = str(observed.experiment.pk)
    assert rows(CONVERTED.replace("...", ref)) == [{"count": 3}]
    [row] = rows(ASSIGNED.replace("...", "u2", 1).replace("...", ref))
    assert (row["user_id"], row["variant_id"]) == ("u2", observed.arms["treatment"].pk)


RECOMMENDERS = {
    "experiments": "id name description status traffic_allocation created_at updated_at",
    "experiment_variants": "id experiment_id name weight config",
    "experiment_assignments": "experiment_id variant_id user_id assigned_at",
    "experiment_exposures": "experiment_id variant_id user_id exposed_at",
    "experiment_conversions": "experiment_id variant_id user_id metric_name value converted_at",
}


@pytest.fixture
def recommenders_schema():
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO source_003")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET search_path")


def test_sql__recommenders_checks_by_uuid__run_as_printed_in_its_schema(
    observed, recommenders_schema
):
    ref, unit = str(observed.experiment.uuid), "u2"
    assert rows(CONVERTED.replace("...", ref)) == [{"count": 3}]
    [row] = rows(ASSIGNED.replace("...", unit, 1).replace("...", ref))
    assert (row["variant_id"], row["assigned_at"]) == (observed.arms["treatment"].uuid, START)


@pytest.mark.parametrize("table", RECOMMENDERS)
def test_recommenders_schema__has_its_columns_and_uuids(table, observed, recommenders_schema):
    found = rows(f"SELECT * FROM {table}")
    assert set(RECOMMENDERS[table].split()) <= set(found[0])
    assert all(
        isinstance(found[0][name], UUID)
        for name in found[0]
        if name in {"id", "experiment_id", "variant_id"}
    )
    if table == "experiment_variants":
        assert sum(row["weight"] for row in found) == 1


VIEWS = {
    "experiment_exposures": "experiment_id variant_id user_id exposed_at",
    "experiment_conversions": "experiment_id variant_id user_id metric_name value converted_at",
    "ab_experiments": "id name description experiment_type status primary_metric target_percentage min_sample_size confidence_level",
    "ab_variants": "id experiment_id name is_control traffic_allocation config",
    "ab_assignments": "id experiment_id variant_id user_id session_id",
    "ab_results": "id experiment_id variant_id user_id session_id metric_name metric_value",
    "ab_insights": "id experiment_id p_value is_significant recommended_winner_id recommendation_reason",
}


@pytest.mark.parametrize("view", VIEWS)
def test_view__has_the_sources_columns_and_data(view, observed):
    plan(observed, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(observed, "control", 1000, START, events={"apply": 180})
    crowd(observed, "treatment", 1000, START, events={"apply": 280})
    analyse(observed.experiment.pk, now=NIGHT, may_look=True)
    found = rows(f"SELECT * FROM {view}")
    assert found
    assert set(VIEWS[view].split()) <= set(found[0])


def test_view__insights__name_the_winner_of_the_decision():
    by_hand()
    [row] = rows("SELECT * FROM ab_insights")
    assert (row["is_significant"], row["recommended_winner_id"]) == (
        True,
        Experiment.objects.get().variants.get(key="treatment").pk,
    )
    assert 0 < row["p_value"] < 0.05
