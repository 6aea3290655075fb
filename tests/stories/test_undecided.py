"""An experiment that can never decide says so: in the answers, on its page, in the SDK, and with
the outcome that it was told.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from analytics.core.intake.ingest_items import parse_event, parse_items
from analytics.services.analysis.analysis import analyse
from analytics.services.ingest.ingest import IngestIdentity, ingest_events
from experiments.core.types import Role, Scope
from experiments.models import ExperimentMetric
from experiments.sdk import Experiment as Defined
from experiments.sdk.definitions import Variant
from experiments.sdk.local import LocalPlatform
from tests.analytics.stores.observed import START, crowd, plan, world
from tests.stories.company import new_key

pytestmark = pytest.mark.django_db
RECOMMENDER = {
    "name": "lora_boost_test",
    "description": "Test LoRA boost factor",
    "traffic_allocation": 0.5,
    "variants": [
        {"name": "control", "weight": 0.5, "config": {"boost": 0.3}},
        {"name": "treatment", "weight": 0.5, "config": {"boost": 0.5}},
    ],
}
"""003's create call, as printed."""


def keyed(scope: str) -> Client:
    olga, _ = User.objects.get_or_create(username="olga")
    olga.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    return Client(headers={"authorization": f"Bearer {new_key(scope, 'olga')}"})


def send(client: Client, method: str, path: str, body: object) -> Any:
    answer = getattr(client, method)(path, json.dumps(body), content_type="application/json")
    assert answer.status_code < 300, answer.content
    return answer.json()


def test_recommenders_create_and_start__without_a_metric__say_that_nothing_will_be_decided__and_conversions_offer_one() -> (
    None
):
    tools, app = keyed("management"), keyed("server")
    made = send(tools, "post", "/api/v1/experiments", RECOMMENDER | {"auto_promote": True})
    assert "can never decide" in made["warnings"][0] and "auto_promote" in made["warnings"][0]
    started = send(tools, "put", f"/api/v1/experiments/{made['id']}/status", {"status": "running"})
    assert started["warnings"] == made["warnings"]
    told = {
        "experiment_id": made["uuid"],
        "user_id": "u1",
        "metric_name": "watch_completion",
        "value": 1.0,
    }
    answer = send(app, "post", "/api/v1/experiments/conversions", told)
    assert "Outcomes reported so far: watch_completion" in answer["warnings"][0]


@pytest.mark.parametrize("metric", ["watch_completion", "a_name_of_our_own"])
def test_recommenders_create__with_its_primary_metric__plans_it_and_warns_of_nothing(
    metric: str,
) -> None:
    tools, app = keyed("management"), keyed("server")
    made = send(
        tools,
        "post",
        "/api/v1/experiments",
        RECOMMENDER | {"primary_metric": metric, "planned_end": "2031-01-01T00:00:00Z"},
    )
    assert made["warnings"] == []
    assert [(one["metric"], one["role"]) for one in made["metrics"]] == [(metric, "primary")]
    send(tools, "put", f"/api/v1/experiments/{made['id']}/status", {"status": "running"})
    told = {"experiment_id": made["uuid"], "user_id": "u1", "metric_name": metric, "value": 1.0}
    assert "warnings" not in send(app, "post", "/api/v1/experiments/conversions", told)


def test_tenants_outcome__of_a_running_experiment_without_a_metric__is_offered_on_its_health() -> (
    None
):
    w = world("message_template", auto_promote=True)
    plan(w, "secondary", "complained")
    crowd(w, "control", 20, START)
    at = (START + timedelta(hours=1)).isoformat()
    booked = {
        "event_id": "b1",
        "event_type": "booked",
        "user_id": "u1",
        "experiment": "message_template",
        "timestamp": at,
    }
    ingest_events(
        parse_items([booked], parse_event),
        now=START + timedelta(hours=2),
        identity=IngestIdentity(scope=Scope.SERVER),
    )
    run = analyse(w.experiment.pk, now=START + timedelta(days=1))
    [said] = [one["sentence"] for one in run.health["findings"] if one["code"] == "no_primary"]
    assert "can never decide" in said and "Outcomes reported so far: booked" in said
    assert not ExperimentMetric.objects.filter(experiment=w.experiment, role="primary").exists(), (
        "offered, never planned by itself"
    )


def test_draft__without_a_metric__says_so_on_its_page(client: Client) -> None:
    made = send(
        keyed("management"), "post", "/api/v1/experiments", RECOMMENDER | {"name": "page_says_so"}
    )
    User.objects.filter(username="olga").update(is_staff=True)
    olga = User.objects.get(username="olga")
    olga.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    client.force_login(olga)
    page = client.get(f"/admin/experiments/experiment/{made['id']}/change/?tab=plan", follow=True)
    assert page.status_code == 200 and "can never decide" in page.content.decode()


def test_experiment_that_is_never_looked_at__says_so_from_the_draft_on__until_it_has_an_end(
    client: Client,
) -> None:
    tools = keyed("management")
    made = send(
        tools,
        "post",
        "/api/v1/experiments",
        RECOMMENDER | {"name": "no_end", "primary_metric": "conversion_rate"},
    )
    assert len(made["warnings"]) == 1
    assert "no_end: no look will ever be taken" in made["warnings"][0]
    olga = User.objects.get(username="olga")
    olga.is_staff = True
    olga.save()
    olga.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    client.force_login(olga)
    page = client.get(f"/admin/experiments/experiment/{made['id']}/change/?tab=plan", follow=True)
    assert "no look will ever be taken" in page.content.decode()
    started = send(tools, "put", f"/api/v1/experiments/{made['id']}/status", {"status": "running"})
    assert started["warnings"] == made["warnings"]
    ended = send(
        tools,
        "patch",
        f"/api/v1/experiments/{made['id']}",
        {"planned_end": "2031-01-01T00:00:00Z", "reason": "an end"},
    )
    assert ended["warnings"] == []


@pytest.mark.parametrize(("metric", "warned"), [("", True), ("booked", False)])
def test_sdk__start__warns_once_where_nothing_can_be_decided(
    caplog: pytest.LogCaptureFixture, metric: str, warned: bool
) -> None:
    arms = [Variant("control", 0.5, is_control=True), Variant("friendly", 0.5)]
    experiment = Defined(
        "message_template", variants=arms, auto_promote=True, primary_metric=metric
    )
    experiment.bind(LocalPlatform(), "tenant")
    with caplog.at_level(logging.WARNING, logger="assay"):
        experiment.start()
    assert any("can never decide" in record.getMessage() for record in caplog.records) is warned
