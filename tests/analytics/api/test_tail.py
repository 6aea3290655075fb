"""The live tail: exposures, events and answers of an experiment or a unit, accepted and refused,
for those who may read raw rows.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group

from analytics.models import RefusedItem, SeenAssignment, TailWatch
from analytics.services.ingest import drain, refusals, watches
from analytics.tasks import trim_tail
from experiments.core.clock import utc_now
from experiments.core.hashing import bucket_of
from experiments.core.types import Environment, Role, Scope
from experiments.models import ChangeLogEntry
from experiments.services.serving import watching
from experiments.services.serving.watching import Watched
from tests.serving_cast import SEED, launched, unit_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_watches():
    watching.watch(Watched())
    watching.take()
    yield
    watching.watch(Watched())
    watching.take()


@pytest.fixture
def scientist(doors):
    """A management key of somebody who may read raw rows."""
    doors.owner.groups.add(Group.objects.get_or_create(name=Role.DATA_SCIENTIST.value)[0])
    return doors.client(Scope.MANAGEMENT)


def look(client, **asked):
    answer = client.get("/api/v1/tail", asked)
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def send(client, door, *items):
    return client.post(f"/api/v1/{door}", {door: list(items)}, format="json")


def test_tail__of_an_experiment__shows_accepted_and_refused_newest_first(doors, scientist):
    launched("checkout")
    inside, outside = unit_in(lambda bucket: bucket < 900), unit_in(lambda bucket: bucket >= 900)
    app = doors.client()
    send(app, "exposures", {"event_id": "x1", "experiment": "checkout", "unit": inside})
    send(
        app,
        "events",
        {
            "event_id": "e1",
            "event_type": "apply",
            "unit": inside,
            "experiment": "Checkout",
            "value": 2,
        },
        {
            "event_id": "e2",
            "event_type": "apply",
            "unit": inside,
            "experiment": "checkout",
            "variant": "nobody",
        },
        {"event_id": "e3", "event_type": "bad type!", "unit": inside, "experiment": "checkout"},
    )
    send(
        app,
        "observations",
        {"event_id": "o1", "metric": "apply", "value": 1, "unit": inside, "experiment": "checkout"},
    )
    send(app, "exposures", {"event_id": "x2", "experiment": "checkout", "unit": outside})
    send(
        app,
        "events",
        {
            "event_id": "e1",
            "event_type": "apply",
            "unit": inside,
            "experiment": "checkout",
            "value": 3,
        },
    )

    items = look(scientist, experiment="checkout")
    told = [(one["kind"], one["event_id"], one["accepted"], one["reason"]) for one in items]
    assert set(told) == {
        ("exposure", None, True, "main"),
        ("event", "e1", True, ""),
        ("event", "e2", False, "unknown_variant"),
        ("event", "e3", False, "invalid"),
        ("observation", "o1", True, ""),
        ("exposure", "x2", False, "not_in_experiment"),
        ("event", "e1", False, "conflict"),
    }
    assert items[0]["message"].startswith("event_id 'e1' was stored before")
    assert [one["received"] for one in items] == sorted(
        (one["received"] for one in items), reverse=True
    )
    exposure = next(one for one in items if one["kind"] == "exposure" and one["accepted"])
    assert (exposure["unit"], exposure["bucket"], exposure["count"]) == (
        inside,
        bucket_of(SEED, inside),
        1,
    )
    assert {one["unit"] for one in items} == {inside, outside}
    assert {one["kind"] for one in look(scientist, experiment="checkout", kind="exposure")} == {
        "exposure"
    }


def test_tail__of_a_unit__shows_what_no_experiment_would__and_nobody_else(doors, scientist):
    launched("checkout")
    app = doors.client()
    send(
        app,
        "events",
        {"event_id": "e1", "event_type": "apply", "unit": "u7"},
        {"event_id": "e2", "event_type": "apply", "unit": "u8"},
    )
    send(app, "exposures", {"event_id": "x1", "experiment": "checkuot", "unit": "u7"})
    items = look(scientist, unit="u7")
    assert [(one["kind"], one["accepted"], one["experiment"]) for one in items] == [
        ("exposure", False, "checkuot"),
        ("event", True, None),
    ]
    assert look(scientist, unit="u7", unit_type="tenant", kind="event") == []


def test_tail__answers_without_exposure__are_shown_from_the_first_look_on(doors, scientist):
    launched("checkout")
    doors.publish()
    app = doors.client()

    def ask(unit):
        return app.post("/api/v1/assignments", {"unit": unit}, format="json")

    ask("before")
    assert look(scientist, experiment="checkout") == []
    watches.carry(utc_now())  # what every web process does within a second
    inside, outside = unit_in(lambda bucket: bucket < 900), unit_in(lambda bucket: bucket >= 900)
    for unit in (inside, outside):
        ask(unit)
    assert watches.carry(utc_now()) == 2
    items = look(scientist, experiment="checkout")
    assert [(one["kind"], one["unit"], one["reason"]) for one in items] == [
        ("assignment", outside, "not_in_experiment"),
        ("assignment", inside, "experiment"),
    ]
    assert items[1]["variant"] in {"control", "treatment"}


def test_tail__a_watched_unit_that_nothing_hashed__is_shown_with_its_reason_at_every_door(
    doors, scientist
):
    launched("checkout", unit_type="tenant", client_visible=True)
    doors.publish()
    look(scientist, unit="u1")
    watches.carry(utc_now())
    server, client = doors.client(), doors.client(Scope.CLIENT)
    server.post("/api/v1/assignments", {"unit": "u1"}, format="json")
    server.post(
        "/api/v1/experiments/get-variant",
        {"experiment_name": "checkout", "user_id": "u1"},
        format="json",
    )
    for address in ("/ofrep/v1/evaluate/flags/checkout", "/ofrep/v1/evaluate/flags"):
        client.post(address, {"context": {"targetingKey": "u1"}}, format="json")
    server.post("/api/v1/assignments", {"unit": "u2"}, format="json")
    watches.carry(utc_now())
    items = look(scientist, unit="u1")
    assert [(one["unit"], one["reason"]) for one in items] == [("u1", "unit_missing")] * 4


def test_tail__queued_exposure__is_there_after_one_pass_of_the_drain(doors, scientist):
    launched("checkout")
    doors.publish()
    doors.client().post(
        "/api/v1/assignments",
        {"unit": unit_in(lambda bucket: bucket < 900), "experiments": ["checkout"]},
        format="json",
    )
    drain.drain_once(utc_now())
    assert [one["kind"] for one in look(scientist, experiment="checkout")] == ["exposure"]


def test_tail__keys_of_the_other_environment__see_other_rows(doors, scientist):
    launched("checkout")
    inside = unit_in(lambda bucket: bucket < 900)
    send(
        doors.client(Scope.SERVER, Environment.TEST),
        "exposures",
        {"event_id": "x1", "experiment": "checkout", "unit": inside},
    )
    assert look(scientist, experiment="checkout") == []
    assert len(look(doors.client(Scope.MANAGEMENT, Environment.TEST), experiment="checkout")) == 1


def test_tail__key_of_somebody_who_may_not_read_raw_rows__is_refused_and_leaves_nothing(doors):
    launched("checkout")
    answer = doors.client(Scope.MANAGEMENT).get("/api/v1/tail", {"experiment": "checkout"})
    assert answer.status_code == 403
    assert (
        "may not read raw unit rows; this is for: data scientist, admin"
        in answer.json()["error"]["message"]
    )
    assert not TailWatch.objects.exists()
    assert not ChangeLogEntry.objects.filter(action="raw_rows_read").exists()


def test_tail__looking__is_logged_once_while_it_lasts_and_without_the_units_id(doors, scientist):
    made = launched("checkout")
    for _ in range(3):
        look(scientist, experiment="checkout")
        look(scientist, unit="secret-person")
    lines = ChangeLogEntry.objects.filter(action="raw_rows_read")
    assert {line.experiment_id for line in lines} == {made.pk, None}
    assert lines.all().count() == 2
    assert "secret-person" not in json.dumps(
        list(lines.values("object_label", "after", "before", "reason"))
    )
    TailWatch.objects.update(expires_at=utc_now() - timedelta(seconds=1))
    look(scientist, experiment="checkout")
    assert lines.all().count() == 3


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({}, 400, "experiment"),
        ({"experiment": "checkout", "unit": "u1"}, 400, "experiment"),
        ({"experiment": "gone"}, 404, "experiment"),
        ({"unit": "u\u200b1"}, 400, "unit"),
        ({"unit": "u1", "unit_type": "User"}, 400, "unit_type"),
        ({"unit": "u1", "kind": "everything"}, 400, "kind"),
        ({"unit": "u1", "sort": "up"}, 400, "sort"),
    ],
)
def test_tail__bad_question__is_refused_at_its_place(doors, scientist, asked, status, field):
    launched("checkout")
    answer = scientist.get("/api/v1/tail", asked)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_tail__more_than_it_shows__is_two_hundred(doors, scientist):
    launched("checkout")
    events = [
        {"event_id": f"e{n}", "event_type": "apply", "unit": "u1", "experiment": "checkout"}
        for n in range(250)
    ]
    send(doors.client(), "events", *events)
    assert len(look(scientist, experiment="checkout")) == 200


def test_refusals__a_flood__is_kept_in_part_and_counted_in_full(doors, monkeypatch):
    monkeypatch.setattr(refusals, "_budget", refusals._Budget(30))
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    bad = [
        {"event_id": f"e{n}", "event_type": "apply", "unit": "u1", "experiment": "gone"}
        for n in range(100)
    ]
    app = doors.client()
    for _ in range(2):
        assert len(send(app, "events", *bad).json()["errors"]) == 100
    assert RefusedItem.objects.count() == 30


@pytest.mark.parametrize(
    "item",
    [
        7,
        {},
        {"event_id": ["x"], "unit": {"a": 1}, "experiment": True},
        {"event_id": "e" * 5000, "unit": "я\u0301" * 900},
    ],
)
def test_refusals__whatever_was_sent__is_kept_without_breaking_the_batch(doors, item):
    answer = send(
        doors.client(), "events", item, {"event_id": "good", "event_type": "apply", "unit": "u1"}
    )
    assert (answer.json()["accepted"], len(answer.json()["errors"])) == (1, 1)
    assert RefusedItem.objects.count() == 1


def test_trim__keeps_the_newest_of_each_and_forgets_old_answers(doors, monkeypatch):
    one, two = launched("checkout"), launched("search", seed="ba9876543210")
    monkeypatch.setattr(refusals, "KEPT_PER_EXPERIMENT", 3)
    monkeypatch.setattr(refusals, "KEPT_OF_NONE", 2)
    now = utc_now()

    def refused(many, experiment=None, at=now):
        RefusedItem.objects.bulk_create(
            RefusedItem(
                at=at,
                kind="event",
                environment="production",
                experiment=experiment,
                code="c",
                message=str(n),
            )
            for n in range(many)
        )

    for experiment in (one, two, None):
        refused(5, experiment)
    refused(1, two, now - timedelta(days=8))
    for minutes in (1, 20):
        SeenAssignment.objects.create(
            at=now - timedelta(minutes=minutes), environment="production", reason="default"
        )
    TailWatch.objects.create(kind="unit", subject="u1", expires_at=now - timedelta(hours=1))
    trim_tail()
    assert sorted(RefusedItem.objects.filter(experiment=one).values_list("message", flat=True)) == [
        "2",
        "3",
        "4",
    ]
    assert RefusedItem.objects.filter(experiment=two).count() <= 3
    assert RefusedItem.objects.filter(experiment=None).count() == 2
    assert (SeenAssignment.objects.count(), TailWatch.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_tail__with_the_thread_of_a_web_process__an_answer_is_shown_within_two_seconds(
    doors, scientist
):
    launched("checkout")
    doors.publish()
    app = doors.client()
    watches.start_carrying()
    try:
        look(scientist, experiment="checkout")
        time.sleep(2 * watches.TICK_SECONDS)
        asked = time.monotonic()
        app.post("/api/v1/assignments", {"unit": "u1"}, format="json")
        while not look(scientist, experiment="checkout", kind="assignment"):
            assert time.monotonic() - asked < 2
            time.sleep(0.05)
    finally:
        watches.stop_carrying()
