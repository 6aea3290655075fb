"""Beat's wake-ups, at given moments."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments import tasks
from experiments.core.types import SYSTEM, Outcome, PauseCause, Status
from experiments.models import (
    ChangeLogEntry,
    Experiment,
    FailedWork,
    OutboxMessage,
    Policy,
    ServingDocument,
)
from experiments.selectors import due
from experiments.services.audience import audience
from experiments.services.drafts import drafts
from experiments.services.life import lifecycle
from tests.factories import NOW, draft, experiment_in, lifecycle_of, person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_planned_start__come__starts_and_the_owner_counts_as_the_requester():
    experiment = draft(planned_start=NOW + HOUR)

    assert tasks.honour(NOW) == 0
    assert tasks.honour(NOW + HOUR) == 1

    assert lifecycle_of(experiment).status == Status.RUNNING
    assert ChangeLogEntry.objects.get(action="start").actor_kind == "machine"
    assert experiment.launch_requests.get().requested_by.username == "owner"


def test_planned_start__one_refused__does_not_keep_another_waiting():
    broken, fine = draft("broken", variants=(), planned_start=NOW), draft("fine", planned_start=NOW)

    assert tasks.honour(NOW) == 1
    assert (lifecycle_of(broken).status, lifecycle_of(fine).status) == (
        Status.DRAFT,
        Status.RUNNING,
    )


def refusals():
    return list(ChangeLogEntry.objects.filter(action="planned_start_refused").order_by("id"))


def test_planned_start__refused_at_every_tick__is_told_once_and_again_when_the_plan_changes(caplog):
    experiment = draft("broken", variants=(), planned_start=NOW)

    for tick in range(5):
        tasks.honour(NOW + tick * timedelta(seconds=10))

    (line,) = refusals()
    told = OutboxMessage.objects.get(key=f"changelog:{line.pk}")
    assert (told.kind, told.title) == ("state", "broken: did not start as planned, by assay")
    assert "variant" in line.reason and line.experiment == experiment
    assert caplog.text.count("due_but_refused") == 1
    drafts.edit_experiment(
        person("owner"), NOW, experiment_id=experiment.pk, changes={"planned_start": NOW + HOUR}
    )
    tasks.honour(NOW + HOUR)
    assert len(refusals()) == 2


def test_planned_start__ai_policy_still_a_draft__is_not_due():
    draft(policy="ai-low", planned_start=NOW)

    assert due.to_start(NOW) == []


def test_planned_start__policy_that_cannot_be_read__is_reported_and_the_others_start():
    broken, fine = draft("broken", planned_start=NOW), draft("fine", planned_start=NOW)
    unread = Policy.objects.create(
        key="unread", name="Unread", rules={"min_test": "some"}, created_at=NOW
    )
    Experiment.objects.filter(pk=broken.pk).update(policy=unread)

    assert tasks.honour(NOW) == 1
    assert (lifecycle_of(broken).status, lifecycle_of(fine).status) == (
        Status.DRAFT,
        Status.RUNNING,
    )
    assert FailedWork.objects.get().subject == broken.pk
    tasks.honour(NOW + HOUR)
    tasks.honour(NOW + 2 * HOUR)
    told = OutboxMessage.objects.filter(title__contains="set aside").values_list("title", flat=True)
    assert [f"planned_start {broken.pk}" in title for title in told] == [True]


def test_planned_end__without_primary_metric__concludes_then():
    experiment = experiment_in(Status.RUNNING, metrics=(), planned_end=NOW + 48 * HOUR)

    assert tasks.honour(NOW + 47 * HOUR) == 0
    assert tasks.honour(NOW + 48 * HOUR) == 1
    assert lifecycle_of(experiment).outcome == Outcome.INCONCLUSIVE


def test_planned_end__with_primary_metric__leaves_time_for_the_last_look():
    experiment = experiment_in(Status.RUNNING, planned_end=NOW + 48 * HOUR)

    assert tasks.honour(NOW + 95 * HOUR) == 0
    assert tasks.honour(NOW + 96 * HOUR) == 1
    assert lifecycle_of(experiment).status == Status.COMPLETED


def test_planned_end__never_given__never_ends():
    experiment_in(Status.RUNNING)

    assert tasks.honour(NOW + timedelta(days=4000)) == 0


def test_harm_stop__unresolved_for_72_hours__is_concluded_as_harm():
    experiment = experiment_in(Status.RUNNING)
    stop = NOW + 48 * HOUR
    lifecycle.emergency_stop(SYSTEM, stop, experiment_id=experiment.pk, reason="errors")

    assert tasks.honour(stop + 71 * HOUR) == 0
    assert lifecycle_of(experiment).pause_cause == PauseCause.HARM
    assert tasks.honour(stop + 72 * HOUR) == 1
    assert lifecycle_of(experiment).outcome == Outcome.STOPPED_HARM


def test_pause_by_a_person__however_long__is_left_to_people():
    experiment_in(Status.PAUSED)

    assert tasks.honour(NOW + timedelta(days=40)) == 0


def test_publish_expired__an_override_ended__builds_a_new_catalogue_once(time_machine_now):
    experiment = draft()
    audience.add_override(
        person("qa"),
        NOW,
        experiment_id=experiment.pk,
        variant_key="treatment",
        unit_id="t1",
        expires_at=NOW + HOUR,
    )
    versions = ServingDocument.objects.filter(kind="catalogue").count()

    with time_machine_now(NOW + HOUR / 2):
        assert tasks.publish_expired() is False
    with time_machine_now(NOW + HOUR):
        assert tasks.publish_expired() is True
        assert tasks.publish_expired() is False  # the tick is taken, and nothing is due

    assert ServingDocument.objects.filter(kind="catalogue").count() == versions + 1


@pytest.fixture
def time_machine_now():
    import time_machine

    return lambda moment: time_machine.travel(moment, tick=False)


def test_honour_planned_start_end__two_beats_in_one_tick__one_does_the_work(time_machine_now):
    drafts.edit_experiment(
        person("owner"), NOW, experiment_id=draft().pk, changes={"planned_start": NOW}
    )

    with time_machine_now(NOW + HOUR):
        assert [tasks.honour_planned_start_end(), tasks.honour_planned_start_end()] == [1, 0]
