"""What decides beside an experiment's own buckets, from the service that sets it through the
catalogue to the doors.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from analytics.models import Assignment
from analytics.services.ingest.drain import drain_once
from experiments import tasks
from experiments.core.clock import utc_now
from experiments.core.errors import Forbidden, Refused
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.selectors import due, serving
from experiments.services.audience import audience, holdout
from experiments.services.drafts import drafts
from experiments.services.life import buckets, lifecycle
from experiments.services.people.keys import create_key
from experiments.services.serving import flags
from tests.factories import draft, person, running

pytestmark = pytest.mark.django_db
UNITS = [f"u{number}" for number in range(1500)]


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.CATALOGUE_DIR, settings.SPOOL = tmp_path / "catalogue", tmp_path / "spool"
    serving.forget()
    yield
    serving.forget()


def key(scope=Scope.SERVER, environment=Environment.PRODUCTION) -> APIClient:
    owner, _ = User.objects.get_or_create(username="keeper")
    owner.groups.add(Group.objects.get_or_create(name=Role.ADMIN.value)[0])
    _, text = create_key(
        SYSTEM,
        utc_now(),
        name=f"{scope} {environment}",
        scope=scope,
        environment=environment,
        owner=owner,
    )
    serving.refresh(utc_now())
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def told(client: APIClient, unit: str, **more):
    answer = client.post(
        "/api/v1/assignments", {"unit": unit, "exposure": "none", **more}, format="json"
    )
    assert answer.status_code == 200, answer.content
    return {
        one["experiment"]: (one["variant"], one["reason"]) for one in answer.json()["assignments"]
    }


def test_shared_layer__two_experiments__never_meet_in_a_unit__and_a_third_finds_no_room():
    buckets.create_layer(person("admin"), utc_now(), name="ranking")
    for name in ("one", "two", "three"):
        made = draft(name, traffic=450)
        drafts.edit_experiment(
            person("owner"), utc_now(), experiment_id=made.pk, changes={"layer": "ranking"}
        )
        if name == "three":
            with pytest.raises(Refused):
                lifecycle.start(person("owner"), utc_now(), experiment_id=made.pk)
        else:
            lifecycle.start(person("owner"), utc_now(), experiment_id=made.pk)
    book = serving.refresh(utc_now()).catalogue

    def met(unit):
        asked = (
            AssignmentRequest(experiment=name, units={"user": unit}) for name in ("one", "two")
        )
        return sum(assign(book, one, utc_now()).served.variant is not None for one in asked)

    counts = [met(unit) for unit in UNITS]
    assert set(counts) == {0, 1}
    assert 0.85 < sum(counts) / len(counts) < 0.95


def test_override__is_served_until_its_end__and_leaves_the_catalogue_with_the_next_beat(
    monkeypatch,
):
    made = running(draft(), utc_now())
    usual = told(key(), "tester")["rerank"][0]
    other = "control" if usual == "treatment" else "treatment"
    end = utc_now() + timedelta(hours=1)
    audience.add_override(
        person("qa"),
        utc_now(),
        experiment_id=made.pk,
        variant_key=other,
        unit_id="tester",
        expires_at=end,
    )
    serving.refresh(utc_now())
    assert told(key(), "tester")["rerank"] == (other, "override")
    book, asked = (
        serving.current().catalogue,
        AssignmentRequest(experiment="rerank", units={"user": "tester"}),
    )
    assert [assign(book, asked, end + timedelta(seconds=s)).served.variant for s in (-1, 0)] == [
        other,
        usual,
    ]
    assert due.catalogue_expired(end)
    monkeypatch.setattr(tasks, "utc_now", lambda: end)
    assert tasks.publish_expired()
    assert serving.refresh(end).catalogue.flags["rerank"].overrides == ()


def test_override__exposure_of_it__is_kept_apart_from_results():
    made = running(draft(), utc_now())
    end = utc_now() + timedelta(hours=1)
    audience.add_override(
        person("qa"),
        utc_now(),
        experiment_id=made.pk,
        variant_key="treatment",
        unit_id="tester",
        expires_at=end,
    )
    key().post("/api/v1/assignments", {"unit": "tester", "experiments": ["rerank"]}, format="json")
    drain_once(utc_now())
    assert list(Assignment.objects.values_list("user_id", "phase")) == [("tester", "override")]


def test_test_key__sees_a_draft_at_full_share__production_does_not__and_what_it_sends_is_marked():
    draft("coming", traffic=100)
    running(draft("live"), utc_now())
    assert told(key(), "u1") == {"live": told(key(), "u1")["live"]}
    testing = key(Scope.SERVER, Environment.TEST)
    shown = [told(testing, unit)["coming"] for unit in UNITS[:200]]
    assert {reason for _, reason in shown} == {"preview"}
    assert 60 < sum(variant == "control" for variant, _ in shown) < 140
    testing.post("/api/v1/assignments", {"unit": "u1", "experiments": ["live"]}, format="json")
    drain_once(utc_now())
    assert list(Assignment.objects.values_list("environment", flat=True)) == ["test"]


def test_client_visible__is_what_client_keys_see__at_every_door__and_follows_the_switch():
    running(draft("secret"), utc_now())
    running(draft("open", client_visible=True), utc_now())
    client, server = key(Scope.CLIENT), key()
    assert set(told(server, "u1")) == {"secret", "open"}
    assert set(told(client, "u1")) == {"open"}
    hidden = client.post(
        "/api/v1/assignments", {"unit": "u1", "experiments": ["secret"]}, format="json"
    )
    unknown = client.post(
        "/api/v1/assignments", {"unit": "u1", "experiments": ["nonesuch"]}, format="json"
    )
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (
        unknown.status_code,
        unknown.json()["error"]["code"],
    )
    context = {"context": {"targetingKey": "u1"}}
    bulk = client.post("/ofrep/v1/evaluate/flags", context, format="json").json()["flags"]
    assert [flag["key"] for flag in bulk] == ["open"]
    assert client.post("/ofrep/v1/evaluate/flags/secret", context, format="json").status_code == 404
    refused = client.post(
        "/api/v1/exposures", {"event_id": "x", "unit": "u1", "experiment": "secret"}, format="json"
    )
    assert refused.status_code == 404
    assert client.post("/api/v1/explain", {"unit": "u1"}, format="json").status_code == 403
    with pytest.raises(Forbidden):
        flags.show_to_clients(
            person("stranger"), utc_now(), flag_key="secret", visible=True, reason="why not"
        )
    for visible, seen in ((True, {"secret", "open"}), (False, {"open"})):
        flags.show_to_clients(
            person("owner"), utc_now(), flag_key="secret", visible=visible, reason="for the app"
        )
        serving.refresh(utc_now())
        assert set(told(client, "u1")) == seen
    with pytest.raises(Refused, match="already"):
        flags.show_to_clients(
            person("owner"), utc_now(), flag_key="secret", visible=False, reason="again"
        )


def test_holdout__gets_the_default_at_the_door__and_its_stated_exposures_are_refused_until_its_end():
    running(draft(), utc_now() - timedelta(hours=1))
    server = key()
    early = server.post(
        "/api/v1/exposures",
        {"event_id": "early", "unit": UNITS[0], "experiment": "rerank"},
        format="json",
    )
    assert early.json()["accepted"] == 1
    holdout.set_holdout(
        person("admin"),
        utc_now(),
        share=200,
        until=utc_now() + timedelta(days=1),
        reason="the year's effect",
    )
    serving.refresh(utc_now())
    held = next(unit for unit in UNITS if told(server, unit)["rerank"] == (None, "holdout"))
    free = next(unit for unit in UNITS if told(server, unit)["rerank"][1] == "experiment")

    def state(unit, **more):
        return server.post(
            "/api/v1/exposures",
            {"event_id": f"x{unit}{more}", "unit": unit, "experiment": "rerank", **more},
            format="json",
        )

    assert state(free).json()["accepted"] == 1
    assert (state(held).status_code, state(held).json()["error"]["code"]) == (400, "holdout")
    before = (utc_now() - timedelta(minutes=30)).isoformat()
    assert state(held, timestamp=before).json()["accepted"] == 1
    holdout.end_holdout(person("admin"), utc_now(), reason="over")
    assert state(held).json()["accepted"] == 1
