"""Every transition, allowed and refused, through the services and the tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.core.design.design import VariantSpec
from experiments.core.errors import Forbidden, InvalidInput, Refused
from experiments.core.life.lifecycle import TRANSITIONS, Verb
from experiments.core.types import SYSTEM, Origin, Outcome, PauseCause, Scope, Status
from experiments.models import Bucket, ChangeLogEntry, Iteration, Layer, Pause, ServingDocument
from experiments.selectors.checklist import next_steps
from experiments.services.drafts import drafts
from experiments.services.life import buckets, lifecycle
from tests.factories import (
    NOW,
    draft,
    experiment_in,
    key_of,
    lifecycle_of,
    person,
    ready_for_dark_launch,
    ready_to_start,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=3)
IN_TABLE = {(step.verb, step.source) for step in TRANSITIONS}
NOT_IN_TABLE = [
    (verb, status)
    for verb in Verb
    for status in Status
    if verb is not Verb.PROMOTE and (verb, status) not in IN_TABLE
]
ARROWS = [step for step in TRANSITIONS if step.verb is not Verb.PROMOTE]


@pytest.mark.parametrize("status", list(Status))
def test_experiment_in__every_status__gets_there_through_the_services(status):
    assert experiment_in(status).status == status


@pytest.mark.parametrize(("verb", "status"), NOT_IN_TABLE)
def test_transition__not_in_the_table__is_refused_and_changes_nothing(verb, status):
    experiment = experiment_in(status)
    lines = ChangeLogEntry.objects.count()

    with pytest.raises(Refused) as refusal:
        lifecycle.transition(
            person("owner"), LATER, experiment_id=experiment.pk, verb=verb, reason="try"
        )

    assert [problem.code for problem in refusal.value.problems] == ["wrong_status"]
    assert (lifecycle_of(experiment).status, ChangeLogEntry.objects.count()) == (status, lines)


@pytest.mark.parametrize(
    "step", ARROWS, ids=lambda step: f"{step.verb}-{step.source}-{step.cause or ''}"
)
def test_transition__in_the_table__moves_writes_a_line_and_publishes(step):
    experiment = _at(step)
    lines = ChangeLogEntry.objects.filter(experiment=experiment, action=step.verb.value).count()
    actor = person("reviewer") if step.cause is PauseCause.HARM else person("owner")

    moved = lifecycle.transition(
        actor, LATER, experiment_id=experiment.pk, verb=step.verb, reason="a reason"
    )

    assert moved.status == step.target
    line = ChangeLogEntry.objects.filter(experiment=experiment, action=step.verb.value).latest("id")
    assert (
        ChangeLogEntry.objects.filter(experiment=experiment, action=step.verb.value).count()
        == lines + 1
    )
    assert (line.before["status"], line.after["status"], line.reason) == (
        step.source,
        step.target,
        "a reason",
    )


def _at(step):
    """An experiment where this arrow begins, with all that the arrow waits for."""
    if step.verb is Verb.START_DARK_LAUNCH:
        return ready_for_dark_launch(draft(policy="ai-low"))
    if step.verb is Verb.START and step.source is Status.DARK_LAUNCH:
        return ready_to_start(draft(policy="ai-low"))
    if step.cause is PauseCause.HARM:
        experiment = experiment_in(Status.RUNNING)
        return lifecycle.emergency_stop(
            person("stranger"),
            NOW + timedelta(days=2),
            experiment_id=experiment.pk,
            reason="it hurts",
        )
    return experiment_in(step.source)


def test_start__standard_by_a_management_key__needs_no_checks():
    experiment = draft()

    lifecycle.start(key_of("owner"), NOW, experiment_id=experiment.pk)

    assert lifecycle_of(experiment).status == Status.RUNNING


@pytest.mark.parametrize("name", ["stranger", "reviewer", "qa", "approver", "admin"])
def test_start__by_somebody_outside_the_team__is_forbidden(name):
    with pytest.raises(Forbidden):
        lifecycle.start(person(name), NOW, experiment_id=draft().pk)


def test_start__django_superuser_without_roles__is_forbidden():
    from django.contrib.auth.models import User

    from experiments.selectors.actors import actor_for_user

    root = User.objects.create_superuser("root")

    with pytest.raises(Forbidden):
        lifecycle.start(actor_for_user(root), NOW, experiment_id=draft().pk)


def test_start__read_key__is_forbidden():
    with pytest.raises(Forbidden):
        lifecycle.start(key_of("owner", Scope.READ), NOW, experiment_id=draft().pk)


def test_start__unfinished_design__lists_every_problem():
    experiment = draft(variants=())

    with pytest.raises(Refused) as refusal:
        lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)

    assert {problem.code for problem in refusal.value.problems} == {
        "too_few_variants",
        "one_control",
    }
    assert not Iteration.objects.exists()


def test_start__freezes_design_rules_and_plan_and_gives_every_bucket_its_arm():
    experiment = experiment_in(Status.RUNNING, policy="ai-low")
    iteration = Iteration.objects.get()

    roles = {
        role: Bucket.objects.filter(iteration=iteration, role=role).count()
        for role in ("main", "dark", "twin")
    }
    assert roles == {"main": 100, "dark": 10, "twin": 10}
    assert iteration.design["variants"][1]["config"] == {"model": "b"}
    assert iteration.policy_rules["holdback"] == 50
    assert iteration.plan == {"n_planned": 1000}
    assert experiment.start_ts == iteration.started_at


def test_start__everybody__divides_what_the_dark_launch_left():
    experiment_in(
        Status.RUNNING,
        policy="ai-high",
        traffic=1000,
        variants=(VariantSpec("control", 950), VariantSpec("treatment", 50)),
    )

    assert Bucket.objects.filter(role="main").count() == 980


def test_start__flag_serves_another_experiment__is_refused_naming_it():
    first = experiment_in(Status.RUNNING, "first")
    second = draft("second", flag_key=first.flag_id)

    with pytest.raises(Refused) as refusal:
        lifecycle.start(person("owner"), NOW, experiment_id=second.pk)

    assert refusal.value.problems[0].code == "flag_taken"
    assert "first" in refusal.value.problems[0].message


def test_start__shared_layer__takes_only_what_is_free():
    layer = buckets.create_layer(person("admin"), NOW, name="ranking")
    for key, traffic in (("one", 600), ("two", 400)):
        experiment = draft(key, traffic=traffic)
        drafts.edit_experiment(
            person("owner"), NOW, experiment_id=experiment.pk, changes={"layer": "ranking"}
        )
        lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)
    third = draft("three", traffic=10)
    drafts.edit_experiment(
        person("owner"), NOW, experiment_id=third.pk, changes={"layer": "ranking"}
    )

    with pytest.raises(Refused) as refusal:
        lifecycle.start(person("owner"), NOW, experiment_id=third.pk)

    assert refusal.value.problems[0].code == "layer_full"
    assert Bucket.objects.filter(layer=layer, iteration__isnull=False).count() == 1000


def test_conclude__buckets__rest_for_thirty_days():
    experiment = experiment_in(Status.RUNNING)

    lifecycle.conclude(
        person("owner"),
        LATER,
        experiment_id=experiment.pk,
        outcome="no_effect",
        reason="it is over",
    )

    assert not Bucket.objects.filter(iteration__isnull=False).exists()
    assert set(Bucket.objects.values_list("resting_until", flat=True)) == {
        LATER + timedelta(days=30)
    }
    ended = lifecycle_of(experiment)
    assert (ended.outcome, ended.end_ts, Iteration.objects.get().ended_at) == (
        "no_effect",
        LATER,
        LATER,
    )


def test_conclude__as_promoted__is_refused():
    with pytest.raises(InvalidInput):
        lifecycle.conclude(
            person("owner"),
            LATER,
            experiment_id=experiment_in(Status.RUNNING).pk,
            outcome=Outcome.PROMOTED,
            reason="it is over",
        )


def test_pause__short__resumes_in_the_same_iteration_with_the_same_buckets():
    experiment = experiment_in(Status.PAUSED)
    before = list(Bucket.objects.order_by("id").values_list("variant", flat=True))

    lifecycle.resume(person("owner"), NOW + timedelta(days=2, hours=3), experiment_id=experiment.pk)

    assert Iteration.objects.count() == 1
    assert list(Bucket.objects.order_by("id").values_list("variant", flat=True)) == before
    assert Pause.objects.get().ended_at == NOW + timedelta(days=2, hours=3)


def test_pause__longer_than_a_quarter_of_the_window__begins_anew_and_wants_a_reason():
    experiment = experiment_in(Status.PAUSED)  # the primary metric's window is 72 hours
    late = NOW + timedelta(days=3)

    with pytest.raises(InvalidInput):
        lifecycle.resume(person("owner"), late, experiment_id=experiment.pk)
    lifecycle.resume(person("owner"), late, experiment_id=experiment.pk, reason="back again")

    assert list(Iteration.objects.order_by("number").values_list("number", "ended_at")) == [
        (1, late),
        (2, None),
    ]
    assert Layer.objects.count() == 2


def test_emergency_stop__by_a_viewer_with_a_reason__pauses_as_harm():
    experiment = experiment_in(Status.RUNNING)

    with pytest.raises(InvalidInput):
        lifecycle.emergency_stop(person("stranger"), LATER, experiment_id=experiment.pk, reason=" ")
    lifecycle.emergency_stop(
        person("stranger"), LATER, experiment_id=experiment.pk, reason="it hurts"
    )

    stopped = lifecycle_of(experiment)
    assert (stopped.status, stopped.pause_cause) == (Status.PAUSED, PauseCause.HARM)


def test_emergency_stop__in_dark_launch__returns_to_draft_and_gives_buckets_back():
    experiment = experiment_in(Status.DARK_LAUNCH)

    lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors")

    assert lifecycle_of(experiment).status == Status.DRAFT
    assert not Bucket.objects.filter(iteration__isnull=False).exists()


def test_resume__after_harm__needs_a_second_person_and_begins_a_new_iteration():
    experiment = experiment_in(Status.RUNNING, policy="ai-low")
    lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors")

    with pytest.raises(Refused) as refusal:
        lifecycle.resume(person("owner"), LATER, experiment_id=experiment.pk, reason="fixed")
    assert refusal.value.problems[0].code == "four_eyes"
    lifecycle.resume(person("approver"), LATER, experiment_id=experiment.pk, reason="fixed")

    assert Iteration.objects.filter(ended_at__isnull=True).get().number == 2
    assert Bucket.objects.filter(iteration__number=2, role="main").count() == 100


def test_resume__after_harm_under_standard__not_by_who_started_it():
    experiment = experiment_in(Status.RUNNING)
    lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors")

    with pytest.raises(Refused, match="second person"):
        lifecycle.resume(person("owner"), LATER, experiment_id=experiment.pk, reason="fixed")


def test_second_dark_launch__after_an_abort__needs_its_own_signature():
    experiment = ready_to_start(draft(policy="ai-low"))
    lifecycle.abort_dark_launch(
        person("qa"), LATER, experiment_id=experiment.pk, reason="wrong prompt"
    )
    lifecycle.start_dark_launch(person("qa"), LATER, experiment_id=experiment.pk)

    with pytest.raises(Refused) as refusal:
        lifecycle.start(person("owner"), LATER + timedelta(days=1), experiment_id=experiment.pk)

    assert [problem.field for problem in refusal.value.problems] == ["dark_launch"]


def test_import__started__has_an_iteration_but_neither_flag_nor_buckets():
    experiment = draft(origin=Origin.IMPORT)

    lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)

    assert (lifecycle_of(experiment).flag, Iteration.objects.get().layer) == (None, None)
    assert not Bucket.objects.exists()


def test_next_steps__each_actor__sees_only_what_he_may_press():
    experiment = experiment_in(Status.RUNNING)

    def verbs(name: str) -> set[Verb]:
        return {step.verb for step in next_steps(experiment, person(name), NOW)}

    assert verbs("stranger") == {Verb.EMERGENCY_STOP}
    assert verbs("owner") == {Verb.PROMOTE, Verb.PAUSE, Verb.EMERGENCY_STOP, Verb.CONCLUDE}
    assert verbs("reviewer") == {Verb.PROMOTE, Verb.PAUSE, Verb.EMERGENCY_STOP}
    promote = next(
        step for step in next_steps(experiment, person("owner"), NOW) if step.verb is Verb.PROMOTE
    )
    assert [problem.code for problem in promote.blockers] == ["four_eyes"]


def test_transition__each__makes_a_new_catalogue_where_serving_changed():
    experiment = draft()
    before = ServingDocument.objects.filter(kind="catalogue").count()

    lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)
    lifecycle.pause(person("owner"), LATER, experiment_id=experiment.pk)

    assert ServingDocument.objects.filter(kind="catalogue").count() == before + 2


def test_transition__promote_by_name__is_refused_since_it_needs_a_variant():
    with pytest.raises(InvalidInput):
        lifecycle.transition(person("owner"), NOW, experiment_id=draft().pk, verb="promote")
