"""Verbs through HTTP: what a management key may press, what stands against it, and what serving
does next.
"""

from __future__ import annotations

import pytest

from experiments.core.types import Scope
from experiments.models import Experiment, OfflineEvaluation
from experiments.services.life import advice
from experiments.services.life.advice import Recommendation
from tests.experiments.api.test_experiments import CRM, RECOMMENDER, URL


@pytest.fixture
def tools(doors):
    return doors.client(Scope.MANAGEMENT)


@pytest.fixture
def made(tools):
    return tools.post(URL, RECOMMENDER).json()


@pytest.fixture
def recommends():
    yield lambda found: advice.set_reader(lambda _experiment_id: found)
    advice.set_reader(None)


def press(client, experiment, verb, body=None, **more):
    return client.post(f"{URL}/{experiment['id']}/{verb}", body, **more)


def test_start__standard__runs_and_serves_after_the_poll(tools, made, doors):
    response = press(tools, made, "start")
    assert response.status_code == 200
    assert response.json()["message"] == f"Experiment {made['id']} started successfully"
    assert (response.json()["status"], response.json()["iteration"]["number"]) == ("running", 1)
    doors.publish()
    app = doors.client()
    answers = [
        app.post(
            "/api/v1/assignments", {"unit": f"u{i}", "experiments": ["lora_boost_test"]}
        ).json()
        for i in range(60)
    ]
    items = [answer["assignments"][0] for answer in answers]
    assert {item["variant"] for item in items} == {"control", "treatment", None}
    assert all(
        item["config"] in ({"boost": 0.3}, {"boost": 0.5}) for item in items if item["variant"]
    )


def test_put_status__running_with_no_metric_declared__starts_and_pauses_and_resumes(tools, made):
    for wanted in ("running", "paused", "Running", "completed", "archived"):
        response = tools.put(
            f"{URL}/{made['uuid']}/status", {"status": wanted, "reason": "as planned"}
        )
        assert (response.status_code, response.json()["status"]) == (200, wanted.lower())
    again = tools.put(f"{URL}/{made['id']}/status", {"status": "archived"})
    assert (again.status_code, "already" in again.json()["message"]) == (200, True)
    back = tools.put(f"{URL}/{made['id']}/status", {"status": "running"})
    assert (back.status_code, back.json()["error"]["problems"][0]["code"]) == (409, "wrong_status")
    assert tools.put(f"{URL}/{made['id']}/status", {"status": "harmful"}).status_code == 400


def test_start__open_checklist_items__is_a_409_with_the_list_and_changes_nothing(tools):
    made = tools.post(URL, CRM | {"policy": "ai-high"}).json()
    response = press(tools, made, "start")
    assert response.status_code == 409
    fields = {problem["field"] for problem in response.json()["error"]["problems"]}
    assert fields & {"policy", "prd", "offline", "approval", "dark_launch"}, response.json()
    assert Experiment.objects.get(pk=made["id"]).status == "draft"


def test_dark_launch__with_a_key__is_refused_since_people_start_it(tools):
    made = tools.post(URL, CRM | {"policy": "ai-high"}).json()
    response = press(tools, made, "dark-launch")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


def test_patch__launched_design__is_refused_field_by_field(tools, made):
    press(tools, made, "start")
    response = tools.patch(f"{URL}/{made['id']}", {"traffic_allocation": 0.9, "hypothesis": "x"})
    assert response.status_code == 409
    assert {problem["field"] for problem in response.json()["error"]["problems"]} == {
        "traffic",
        "hypothesis",
    }
    assert (
        tools.patch(
            f"{URL}/{made['id']}", {"variants": [{"name": "control"}, {"name": "b"}]}
        ).status_code
        == 409
    )
    assert (
        tools.patch(f"{URL}/{made['id']}", {"description": "clearer"}).json()["description"]
        == "clearer"
    )


def test_stop__concludes_with_an_outcome(tools, made):
    press(tools, made, "start")
    body = press(tools, made, "stop", {"outcome": "no_effect", "reason": "as planned"}).json()
    assert (body["status"], body["outcome"]) == ("completed", "no_effect")
    assert press(tools, made, "stop").status_code == 409


@pytest.mark.parametrize("body", [{}, {"reason": "  "}, {"outcome": "no_effect"}])
def test_stop__without_a_reason__is_refused_and_ends_nothing(tools, made, body):
    press(tools, made, "start")
    answer = press(tools, made, "stop", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "reason"), answer.json()
    put = tools.put(f"{URL}/{made['id']}/status", {"status": "completed"})
    assert (put.status_code, put.json()["error"]["field"]) == (400, "reason")
    assert Experiment.objects.get(pk=made["id"]).status == "running"


def test_stop__in_an_emergency__wants_a_reason_and_pauses_as_harm(tools, made):
    press(tools, made, "start")
    assert press(tools, made, "stop?emergency=true").status_code == 400
    body = press(tools, made, "stop?emergency=true", {"reason": "complaints"}).json()
    assert (body["status"], body["pause_cause"]) == ("paused", "harm")
    assert press(tools, made, "resume", {"reason": "fixed"}).status_code == 403
    assert press(tools, made, "stop?emergency=perhaps").status_code == 400


def test_promote__nothing_decided__is_a_409_that_says_so(tools, made, recommends):
    recommends("no decision has been made about the present iteration")
    press(tools, made, "start")
    for path in ("promote", "stop?declare_winner=true"):
        response = press(tools, made, path)
        assert response.status_code == 409
        assert (
            response.json()["error"]["problems"][0]["message"]
            == "no decision has been made about the present iteration"
        )


def test_promote__what_the_decision_recommends__is_rolled_out_to_the_tested_half(
    tools, made, recommends, doors
):
    iteration = press(tools, made, "start").json()["iteration"]
    recommends(Recommendation(7, iteration["id"], "treatment", "better by enough"))
    assert press(tools, made, "promote", {"variant": "control"}).status_code == 409
    body = press(tools, made, "stop?declare_winner=true").json()
    assert (body["status"], body["outcome"]) == ("completed", "promoted")
    doors.publish()
    app = doors.client()
    items = [
        app.post(
            "/api/v1/assignments", {"unit": f"u{i}", "experiments": ["lora_boost_test"]}
        ).json()
        for i in range(60)
    ]
    assert {
        (item["assignments"][0]["variant"], item["assignments"][0]["reason"]) for item in items
    } == {
        ("treatment", "rollout"),
        (None, "default"),
    }


def test_promote__under_a_policy_with_approval__takes_a_person(tools, recommends):
    made = tools.post(URL, CRM | {"policy": "ai-high"}).json()
    recommends(Recommendation(7, 1, "Treatment - Few Shot Examples", "better"))
    assert press(tools, made, "promote").status_code == 409


def test_offline_evaluations__are_recorded_and_listed(tools, made):
    score = {
        "variant": "treatment",
        "metric": "ndcg@10",
        "value": 0.53,
        "lower": 0.51,
        "upper": 0.55,
        "n": 4000,
        "dataset": "2026-02",
    }
    assert press(tools, made, "offline-evaluations", score).status_code == 201
    listed = tools.get(f"{URL}/{made['id']}/offline-evaluations").json()["offline_evaluations"]
    assert [(row["variant"], row["metric"], row["value"], row["n"]) for row in listed] == [
        ("treatment", "ndcg@10", 0.53, 4000)
    ]
    for wrong in (
        score | {"variant": "nonesuch"},
        score | {"lower": 0.9},
        score | {"n": 0},
        {"metric": "ndcg@10"},
    ):
        assert press(tools, made, "offline-evaluations", wrong).status_code in (400, 404)
    assert OfflineEvaluation.objects.count() == 1


def test_request_launch__acts_for_the_keys_owner(tools, doors):
    made = tools.post(URL, CRM | {"policy": "ai-high"}).json()
    assert press(tools, made, "request-launch", {"note": "please look"}).status_code == 201
    assert Experiment.objects.get(pk=made["id"]).launch_requests.get().requested_by == doors.owner


def test_verbs__unknown_experiment_or_field__is_said_clearly(tools, made):
    assert tools.post(f"{URL}/nonesuch/start").status_code == 404
    wrong = press(tools, made, "start", {"resaon": "x"})
    assert (wrong.status_code, "resaon" in wrong.json()["error"]["message"]) == (400, True)


def test_stop__emergency_with_a_variant__switches_it_off_alone(tools, doors):
    arms = [
        {"name": name, "weight": weight, "config": {"boost": i}}
        for i, (name, weight) in enumerate((("control", 0.4), ("one", 0.3), ("two", 0.3)))
    ]
    made = tools.post(
        URL, {**RECOMMENDER, "name": "three_arms", "traffic_allocation": 1.0, "variants": arms}
    ).json()
    press(tools, made, "start")
    response = press(tools, made, "stop?emergency=true", {"variant": "one", "reason": "errors"})
    assert (response.status_code, response.json()["status"]) == (200, "running")
    doors.publish()
    app = doors.client()
    answers = [
        app.post("/api/v1/assignments", {"unit": f"u{i}", "experiments": ["three_arms"]}).json()
        for i in range(60)
    ]
    assert {
        (item["variant"], item["reason"]) for answer in answers for item in answer["assignments"]
    } == {
        ("control", "experiment"),
        ("two", "experiment"),
        (None, "arm_stopped"),
    }
    assert (
        press(
            tools, made, "stop?emergency=true", {"variant": "control", "reason": "errors"}
        ).status_code
        == 409
    )


RAMP = [
    {"traffic_allocation": 0.01, "min_hours": 24, "min_units": 500},
    {"traffic_allocation": 0.2, "min_hours": 48},
    {"traffic_allocation": 1.0},
]


def test_ramp__declared_on_create__is_shown_again_and_starts_at_its_first_step(tools):
    made = tools.post(URL, CRM | {"ramp": RAMP}).json()
    assert made["ramp"][0] == RAMP[0]
    assert [step["traffic_allocation"] for step in made["ramp"]] == [0.01, 0.2, 1.0]

    started = press(tools, made, "start").json()

    assert started["iteration"]["traffic_allocation"] == 0.01
    assert (started["iteration"]["ramp"]["step"], started["iteration"]["ramp"]["held"]) == (1, None)


def test_ramp__held_and_resumed_by_a_key__but_advanced_by_people_only(tools):
    made = tools.post(URL, CRM | {"ramp": RAMP}).json()
    press(tools, made, "start")

    held = press(tools, made, "ramp", {"action": "hold", "reason": "deploying"}).json()
    assert held["iteration"]["ramp"]["held"]["reason"] == "deploying"
    assert press(tools, made, "ramp", {"action": "hold", "reason": "again"}).status_code == 409
    assert (
        press(tools, made, "ramp", {"action": "resume"}).json()["iteration"]["ramp"]["held"] is None
    )
    refused = press(tools, made, "ramp", {"action": "advance"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert press(tools, made, "ramp", {"action": "jump"}).status_code == 400


def test_ramp__that_may_not_be__is_named_at_its_step(tools):
    assert (
        tools.post(URL, CRM | {"ramp": [{"traffic_allocation": 1.5}]}).json()["error"]["field"]
        == "ramp[0].traffic_allocation"
    )
    made = tools.post(
        URL, CRM | {"ramp": [{"traffic_allocation": 0.5}, {"traffic_allocation": 0.2}]}
    ).json()
    problems = press(tools, made, "start").json()["error"]["problems"]
    assert {"ramp_not_rising", "ramp_end"} <= {problem["code"] for problem in problems}


def test_ramp__edited_in_a_draft__is_replaced_and_frozen_after_the_start(tools):
    made = tools.post(URL, CRM | {"ramp": RAMP}).json()
    assert tools.patch(f"{URL}/{made['id']}", {"ramp": []}).json()["ramp"] == []
    press(tools, made, "start")
    assert tools.patch(f"{URL}/{made['id']}", {"ramp": RAMP}).status_code == 409
    assert (
        press(tools, made, "ramp", {"action": "hold", "reason": "x"}).status_code == 409
    )  # it has none
