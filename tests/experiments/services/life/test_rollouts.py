"""Promotion, what it leaves on the flag, and the way back; also when several press at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from experiments.core.design.design import VariantSpec
from experiments.core.errors import AssayError, Conflict, Forbidden, InvalidInput, Refused
from experiments.core.hashing import bucket_of
from experiments.core.types import SYSTEM, Outcome, Status
from experiments.models import Bucket, ChangeLogEntry, Experiment, Rollout
from experiments.selectors.experiments import open_iteration
from experiments.services.life import lifecycle
from tests.chaos.races import race
from tests.factories import (
    NOW,
    TWO_ARMS,
    draft,
    experiment_in,
    key_of,
    lifecycle_of,
    person,
    running,
)

LATER = NOW + timedelta(days=20)


def promote(
    experiment: Experiment, actor=None, *, variant_key: str = "treatment", now=LATER, **more: object
) -> Experiment:
    told = {"decision_note": "it pays"} | more
    return lifecycle.promote(
        actor or person("reviewer"),
        now,
        experiment_id=experiment.pk,
        variant_key=variant_key,
        **told,
    )


@pytest.mark.django_db
class TestPromote:
    def test_promote__by_hand_under_an_ai_policy__leaves_value_audience_and_holdback(self):
        experiment = experiment_in(
            Status.RUNNING,
            policy="ai-low",
            targeting=[{"attribute": "country", "op": "eq", "value": "DE"}],
        )
        iteration = open_iteration(experiment)
        control = set(
            Bucket.objects.filter(role="main", variant__is_control=True).values_list(
                "index", flat=True
            )
        )
        tested = set(Bucket.objects.filter(iteration=iteration).values_list("index", flat=True))

        promote(experiment, decision_note="it pays")

        rollout = Rollout.objects.get()
        assert (rollout.value, rollout.control_value) == ({"model": "b"}, {"model": "a"})
        assert rollout.audience == {
            "unit_type": "user",
            "seed": iteration.layer.seed,
            "targeting": [{"attribute": "country", "op": "eq", "value": "DE"}],
            "buckets": sorted(tested),
        }
        assert len(rollout.holdback_buckets) == 6  # 5 % of 120 buckets
        assert set(rollout.holdback_buckets) <= control
        assert rollout.holdback_until == rollout.returnable_until == LATER + timedelta(days=28)

    def test_promote__done__completes_and_releases(self):
        promoted = promote(experiment_in(Status.RUNNING), decision_note="it pays")

        assert (promoted.status, promoted.outcome, promoted.end_ts) == (
            Status.COMPLETED,
            Outcome.PROMOTED,
            LATER,
        )
        assert not Bucket.objects.filter(iteration__isnull=False).exists()
        line = ChangeLogEntry.objects.get(action="promote")
        assert (line.reason, line.after["variant"]) == ("it pays", "treatment")

    def test_promote__under_standard__holds_nobody_back(self):
        promote(experiment_in(Status.RUNNING))

        assert (Rollout.objects.get().holdback_buckets, Rollout.objects.get().holdback_until) == (
            [],
            None,
        )

    def test_promote__the_control__is_refused(self):
        with pytest.raises(Refused, match="control"):
            promote(experiment_in(Status.RUNNING), variant_key="control")

    def test_promote__by_hand_without_a_reason__is_refused(self):
        with pytest.raises(InvalidInput, match="reason"):
            promote(experiment_in(Status.RUNNING), decision_note="  ")

    def test_promote__by_who_asked_for_the_launch__is_refused(self):
        with pytest.raises(Refused) as refusal:
            promote(experiment_in(Status.RUNNING), person("owner"))

        assert [problem.code for problem in refusal.value.problems] == ["four_eyes"]

    @pytest.mark.parametrize("name", ["stranger", "qa"])
    def test_promote__by_those_who_may_not__is_forbidden(self, name):
        with pytest.raises(Forbidden):
            promote(experiment_in(Status.RUNNING), person(name))

    def test_promote__key_without_a_decision__is_forbidden(self):
        with pytest.raises(Forbidden):
            promote(experiment_in(Status.RUNNING), key_of("owner"))

    def test_promote__key_with_the_decision_under_standard__may(self):
        assert (
            promote(experiment_in(Status.RUNNING), key_of("owner"), decision_id=7).outcome
            == Outcome.PROMOTED
        )

    def test_promote__key_with_the_decision_under_an_ai_policy__is_refused(self):
        with pytest.raises(Refused) as refusal:
            promote(experiment_in(Status.RUNNING, policy="ai-low"), key_of("owner"), decision_id=7)

        assert {problem.code for problem in refusal.value.problems} == {
            "four_eyes",
            "person_wanted",
        }

    def test_promote__machine_with_the_decision__may_where_the_design_says_so(self):
        assert (
            promote(experiment_in(Status.RUNNING, auto_promote=True), SYSTEM, decision_id=7).outcome
            == Outcome.PROMOTED
        )

    def test_promote__machine_without_leave_or_on_hold__is_refused(self):
        experiment = experiment_in(Status.RUNNING)
        lifecycle.hold_promotion(
            person("owner"),
            LATER,
            experiment_id=experiment.pk,
            held=True,
            reason="wait for the launch party",
        )

        with pytest.raises(Refused) as refusal:
            promote(experiment, SYSTEM, decision_id=7)

        assert {problem.code for problem in refusal.value.problems} == {
            "promotion_held",
            "not_automatic",
        }

    def test_promote__machine_without_a_decision__is_forbidden(self):
        with pytest.raises(Forbidden):
            promote(experiment_in(Status.RUNNING, auto_promote=True), SYSTEM)

    def test_promote__decision_about_an_iteration_that_is_over__is_a_conflict(self):
        experiment = experiment_in(Status.RUNNING, auto_promote=True)
        over = open_iteration(experiment).pk
        lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors")
        lifecycle.resume(person("approver"), LATER, experiment_id=experiment.pk, reason="fixed")

        with pytest.raises(Conflict):
            promote(experiment, SYSTEM, decision_id=7, iteration_id=over)

    @pytest.mark.parametrize("status", [s for s in Status if s is not Status.RUNNING])
    def test_promote__not_running__is_refused(self, status):
        with pytest.raises(Refused):
            promote(experiment_in(status))


@pytest.mark.django_db
class TestAfterwards:
    def test_return_to_control__by_the_owner_within_28_days__closes_the_rollout(self):
        experiment = promote(experiment_in(Status.RUNNING))

        lifecycle.return_to_control(
            person("owner"),
            LATER + timedelta(days=28),
            experiment_id=experiment.pk,
            reason="complaints",
        )

        assert Rollout.objects.get().closed_reason == "complaints"
        assert lifecycle_of(experiment).outcome == Outcome.REVERTED

    def test_return_to_control__later__is_refused(self):
        experiment = promote(experiment_in(Status.RUNNING))

        with pytest.raises(Refused):
            lifecycle.return_to_control(
                person("owner"),
                LATER + timedelta(days=29),
                experiment_id=experiment.pk,
                reason="complaints",
            )

    def test_return_to_control__default_is_another_value__serves_control_to_the_same_audience(self):
        experiment = promote(experiment_in(Status.RUNNING))
        experiment.flag.default_value = {"model": "oldest"}
        experiment.flag.save()

        lifecycle.return_to_control(
            person("owner"), LATER, experiment_id=experiment.pk, reason="complaints"
        )

        assert Rollout.objects.get(closed_at__isnull=True).value == {"model": "a"}

    def test_next_experiment__control_is_not_the_rolled_out_value__is_refused(self):
        first = promote(experiment_in(Status.RUNNING, "first", policy="ai-low"))
        second = draft("second", flag_key=first.flag_id)

        with pytest.raises(Refused) as refusal:
            running(second, LATER)

        assert [problem.code for problem in refusal.value.problems] == ["control_not_rolled_out"]

    def test_next_experiment__starting__closes_the_holdback(self):
        first = promote(experiment_in(Status.RUNNING, "first", policy="ai-low"))
        arms = (
            VariantSpec("control", 500, config={"model": "b"}),
            VariantSpec("treatment", 500, config={"model": "c"}),
        )
        second = draft("second", flag_key=first.flag_id, variants=arms)

        running(second, LATER)

        rollout = Rollout.objects.get()
        assert (rollout.holdback_buckets, rollout.closed_at) == ([], None)

    def test_next_promotion__replacing_a_rollout_to_everybody__keeps_it_as_the_default(self):
        first = promote(experiment_in(Status.RUNNING, "first"))
        arms = (
            VariantSpec("control", 500, config={"model": "b"}),
            VariantSpec("treatment", 500, config={"model": "c"}),
        )
        second = running(draft("second", flag_key=first.flag_id, variants=arms, traffic=400), LATER)

        promoted = promote(second, now=LATER + timedelta(days=9))

        assert promoted.flag.default_value == {"model": "b"}
        assert Rollout.objects.get(closed_at__isnull=True).value == {"model": "c"}

    def test_new_iteration__new_layer__spreads_units_anew(self):
        experiment = experiment_in(Status.RUNNING)
        old = open_iteration(experiment).layer.seed
        lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors")
        lifecycle.resume(person("approver"), LATER, experiment_id=experiment.pk, reason="fixed")
        new = open_iteration(lifecycle_of(experiment)).layer.seed

        moved = sum(bucket_of(old, f"u{i}") != bucket_of(new, f"u{i}") for i in range(1000))
        assert moved > 900


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_promote__eight_at_once__gives_one_rollout_and_one_line(self):
        experiment = experiment_in(Status.RUNNING, auto_promote=True)

        results = race(*[lambda: promote(experiment, SYSTEM, decision_id=7)] * 8)

        assert sum(isinstance(result, Experiment) for result in results) == 1
        assert sum(isinstance(result, Refused | Conflict) for result in results) == 7
        assert (
            Rollout.objects.count(),
            ChangeLogEntry.objects.filter(action="promote").count(),
        ) == (1, 1)

    def test_promote__human_stop_commits_first__promotes_nothing(self):
        experiment = experiment_in(Status.RUNNING, auto_promote=True)
        stranger, stopped = person("stranger"), threading.Event()
        results: list[object] = []

        def machine() -> None:
            stopped.wait(10)
            try:
                results.append(promote(experiment, SYSTEM, decision_id=7))
            except AssayError as refusal:
                results.append(refusal)
            finally:
                connection.close()

        from django.db import transaction

        thread = threading.Thread(target=machine)
        thread.start()
        with transaction.atomic():
            lifecycle.emergency_stop(
                stranger, LATER, experiment_id=experiment.pk, reason="it hurts"
            )
            stopped.set()  # the machine now waits for the row's lock
            thread.join(0.5)
        thread.join(10)

        assert isinstance(results[0], Refused)
        assert (lifecycle_of(experiment).status, Rollout.objects.count()) == (Status.PAUSED, 0)

    def test_start__two_experiments_on_one_flag_at_once__one_serves(self):
        owner, first = person("owner"), draft("first")
        second = draft("second", flag_key="first", variants=TWO_ARMS)

        results = race(
            *(
                lambda e=e: lifecycle.start(owner, LATER, experiment_id=e.pk)
                for e in (first, second)
            )
        )

        assert sum(isinstance(result, Experiment) for result in results) == 1
        assert Experiment.objects.filter(status=Status.RUNNING).count() == 1
