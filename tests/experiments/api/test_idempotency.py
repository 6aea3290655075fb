"""Creating calls under an idempotency key: done once, answered alike, kept for a day."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from analytics.models import MetricObservation
from experiments.core.clock import utc_now
from experiments.core.errors import Conflict
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.models import ChangeLogEntry, Experiment, StoredAnswer
from experiments.services.ground.idempotency import (
    LIFETIME,
    GivenAnswer,
    IdempotentCall,
    forget_old_answers,
    once,
)
from experiments.services.people.keys import create_key
from tests.experiments.api.test_experiments import RECOMMENDER, URL
from tests.factories import user


@pytest.fixture
def tools(doors):
    return doors.client(Scope.MANAGEMENT)


def under(key):
    return {"headers": {"Idempotency-Key": key}}


def test_create__sent_again__is_done_once_and_answered_alike(tools):
    first, second = (tools.post(URL, RECOMMENDER, **under("a1")) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
    assert Experiment.objects.count() == 1
    assert ChangeLogEntry.objects.filter(action="experiment_created").count() == 1


@pytest.mark.parametrize(
    "body", [RECOMMENDER | {"name": "another"}, RECOMMENDER | {"description": ""}]
)
def test_create__another_body_under_the_key__is_a_conflict(tools, body):
    tools.post(URL, RECOMMENDER, **under("a1"))
    answer = tools.post(URL, body, **under("a1"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert Experiment.objects.count() == 1


def test_create__another_address_under_the_key__is_a_conflict(tools):
    tools.post(URL, RECOMMENDER, **under("a1"))
    assert tools.post("/api/v1/flags", {"key": "f"}, **under("a1")).status_code == 409


def test_create__refused__keeps_nothing_so_that_a_corrected_world_may_answer(tools):
    tools.post(URL, RECOMMENDER)
    assert tools.post(URL, RECOMMENDER, **under("a1")).status_code == 409
    assert not StoredAnswer.objects.exists()
    Experiment.objects.update(name="moved", key="moved")
    assert tools.post(URL, RECOMMENDER, **under("a1")).status_code == 201


def test_start__sent_again__answers_as_the_first_time_and_without_a_key_is_refused(tools):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    answers = [tools.post(f"{URL}/{ref}/start", **under("go")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert tools.post(f"{URL}/{ref}/start").status_code == 409


def test_conversion_without_an_event_id__under_a_key_counts_once(tools, doors):
    ref = tools.post(URL, RECOMMENDER).json()["id"]
    app = doors.client(Scope.INGEST)
    body = {"experiment_id": ref, "user_id": 1, "metric_name": "watch_completion", "value": 1.0}
    answers = [app.post(f"{URL}/conversions", body, **under("c1")).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert MetricObservation.objects.count() == 1
    app.post(f"{URL}/conversions", body)
    assert MetricObservation.objects.count() == 2


def test_keys_of_two_api_keys__do_not_meet(tools, doors):
    tools.post(URL, RECOMMENDER, **under("a1"))
    assert (
        doors.client(Scope.MANAGEMENT)
        .post(URL, RECOMMENDER | {"name": "mine"}, **under("a1"))
        .status_code
        == 201
    )


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "a\tb"])
def test_key_that_is_none__is_refused(tools, key):
    answer = tools.post(URL, RECOMMENDER, **under(key))
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Idempotency-Key")
    assert not Experiment.objects.exists()


def test_answer__after_a_day__is_forgotten_and_the_key_is_new_again(tools):
    tools.post(URL, RECOMMENDER, **under("a1"))
    later = utc_now() + LIFETIME + timedelta(seconds=1)
    asked = IdempotentCall(StoredAnswer.objects.get().api_key_id, "a1", "0" * 64)
    with pytest.raises(Conflict):
        once(asked, utc_now(), lambda: GivenAnswer(200, "{}"))
    assert once(asked, later, lambda: GivenAnswer(200, "new")) == GivenAnswer(200, "new")
    assert (forget_old_answers(later), forget_old_answers(later + LIFETIME)) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_two_at_once__one_does_it_and_the_other_waits_for_its_answer():
    row, _ = create_key(
        SYSTEM,
        utc_now(),
        name="k",
        scope=Scope.MANAGEMENT,
        environment=Environment.PRODUCTION,
        owner=user("olga", Role.PRODUCT_OWNER),
    )
    asked, entered, done = IdempotentCall(row.pk, "a1", "0" * 64), threading.Event(), []

    def act(name):
        entered.set()
        done.append(name)
        return GivenAnswer(201, name)

    def first():
        once(asked, utc_now(), lambda: (entered.set(), release.wait(10), act("first"))[-1])
        connection.close()

    def second(answers):
        answers.append(once(asked, utc_now(), lambda: act("second")))
        connection.close()

    release, answers = threading.Event(), []
    one, two = threading.Thread(target=first), threading.Thread(target=second, args=(answers,))
    one.start()
    assert entered.wait(10)
    two.start()
    two.join(0.3)
    assert two.is_alive(), "the second waits"
    release.set()
    one.join(10)
    two.join(10)
    assert (done, answers) == (["first"], [GivenAnswer(201, "first", repeated=True)])
