"""An arm switched off alone: who gets what afterwards, what is kept of it, and that nobody switches
it on again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import Error as DatabaseRefusal

from analytics.models import AnalysisRun, Decision
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide
from experiments.core.design.design import VariantSpec
from experiments.core.errors import Forbidden, InvalidInput, Refused
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.catalogue_parsing import parse
from experiments.core.types import SYSTEM, PauseCause, Reason, Scope, Status
from experiments.models import ChangeLogEntry, Experiment, Override
from experiments.selectors.serving_rows import catalogue_document
from experiments.services.life import lifecycle
from tests.analytics.stores.observed import START, World, crowd, plan, world
from tests.factories import NOW, experiment_in, key_of, lifecycle_of, person

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = NOW + timedelta(days=3)
THREE_ARMS = (
    VariantSpec("control", 400, is_control=True, config={"model": "a"}),
    VariantSpec("one", 300, config={"model": "b"}),
    VariantSpec("two", 300, config={"model": "c"}),
)


def served(experiment: Experiment, now: datetime = LATER) -> dict[str, tuple[str, Any, Reason]]:
    """What 300 units get: variant, value and reason by unit."""
    book = parse(catalogue_document(now, version=1, built_at=now))
    answers = {
        f"u{i}": assign(
            book, AssignmentRequest(flag=experiment.flag_id, units={"user": f"u{i}"}), now
        ).served
        for i in range(300)
    }
    return {unit: (one.variant or "", one.value, one.reason) for unit, one in answers.items()}


def stop(
    experiment: Experiment, *arms: str, now: datetime = LATER, actor: Any = SYSTEM
) -> Experiment:
    return lifecycle.stop_arms(
        actor, now, experiment_id=experiment.pk, variant_keys=arms, reason="errors"
    )


def test_stop_arms__one_of_two__its_units_get_the_default_and_the_others_keep_theirs() -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    before = served(experiment)

    stop(experiment, "one")

    after = served(experiment)
    default = experiment.flag.default_value
    assert {unit: after[unit] for unit, was in before.items() if was[0] == "one"} == {
        unit: ("", default, Reason.ARM_STOPPED) for unit, was in before.items() if was[0] == "one"
    }
    assert all(after[unit] == was for unit, was in before.items() if was[0] != "one")
    assert lifecycle_of(experiment).status == Status.RUNNING
    line = ChangeLogEntry.objects.get(action="arm_stopped")
    assert (line.reason, line.after) == ("errors", {"stopped": ["one"], "iteration": 1})


def test_stop_arms__the_last_one__pauses_everything_with_cause_harm() -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    stop(experiment, "one")
    stop(experiment, "two", now=LATER + DAY)
    assert (lifecycle_of(experiment).status, lifecycle_of(experiment).pause_cause) == (
        Status.PAUSED,
        PauseCause.HARM,
    )


def test_stop_arms__in_a_dark_launch__returns_everything_to_draft() -> None:
    experiment = experiment_in(Status.DARK_LAUNCH)
    stop(experiment, "treatment")
    assert lifecycle_of(experiment).status == Status.DRAFT


@pytest.mark.parametrize("arms", [("control",), ("gone",), ("one",), ()])
def test_stop_arms__no_test_arm_that_serves__refuses_naming_those_that_do(
    arms: tuple[str, ...],
) -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    stop(experiment, "one")
    with pytest.raises(Refused, match="these do: two"):
        stop(experiment, *arms)


def test_stop_arms__by_whoever_may_stop_in_an_emergency__and_with_a_reason_only() -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    with pytest.raises(InvalidInput, match="reason"):
        lifecycle.stop_arms(
            person("stranger"), LATER, experiment_id=experiment.pk, variant_keys=["one"], reason=" "
        )
    with pytest.raises(Forbidden):
        stop(experiment, "one", actor=key_of("owner", Scope.READ))
    stop(experiment, "one", actor=person("stranger"))
    assert experiment.iterations.get().stopped_arms.get().variant.key == "one"


def test_stopped_arm__is_neither_promoted_nor_resumed_nor_erased__but_a_new_iteration_serves_it() -> (
    None
):
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    stop(experiment, "one")
    with pytest.raises(Refused, match="only a new iteration"):
        lifecycle.promote(
            person("reviewer"),
            LATER,
            experiment_id=experiment.pk,
            variant_key="one",
            decision_note="I like it",
        )
    lifecycle.pause(person("owner"), LATER, experiment_id=experiment.pk, reason="lunch")
    lifecycle.resume(
        person("owner"), LATER + timedelta(hours=1), experiment_id=experiment.pk, reason=""
    )
    assert Reason.ARM_STOPPED in {reason for _, _, reason in served(experiment).values()}

    lifecycle.emergency_stop(
        person("stranger"), LATER + DAY, experiment_id=experiment.pk, reason="all of it"
    )
    lifecycle.resume(person("approver"), LATER + DAY, experiment_id=experiment.pk, reason="fixed")
    assert {variant for variant, _, _ in served(experiment, LATER + DAY).values()} == {
        "control",
        "one",
        "two",
    }


def test_stopped_arm__row_is_append_only() -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    stop(experiment, "one")
    with pytest.raises(DatabaseRefusal, match="Cannot update or delete"):
        experiment.iterations.get().stopped_arms.all().delete()


def test_stopped_arm__override_to_it__shows_nothing_any_more() -> None:
    experiment = experiment_in(Status.RUNNING, variants=THREE_ARMS)
    row = {
        "experiment": experiment,
        "unit_type": "user",
        "expires_at": LATER + DAY,
        "created_at": NOW,
        "created_by": experiment.owner,
    }
    for unit, arm in (("u1", "one"), ("u2", "two")):
        Override.objects.create(unit_id=unit, variant=experiment.variants.get(key=arm), **row)
    stop(experiment, "one")
    shown = served(experiment)
    assert shown["u1"][2] is not Reason.OVERRIDE
    assert shown["u2"][2] is Reason.OVERRIDE


# ---- decisions


def harmed_one() -> World:
    """Three arms; errors in one of them, found on day 2."""
    w = world(arms=("control", "one", "two"), auto_promote=True)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    plan(
        w,
        "guardrail",
        "ai_error_units",
        margin=0.02,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    for arm, errors in {"control": 40, "one": 240, "two": 42}.items():
        crowd(w, arm, 2000, START + DAY, events={"http_5xx": errors, "apply": 360})
    analyse(w.experiment.pk, now=START + 2 * DAY, may_look=True)
    assert decide(w.iteration.pk, now=START + 2 * DAY).done
    return w


def test_decide__one_arm_harms__is_switched_off_alone() -> None:
    w = harmed_one()
    assert Experiment.objects.get(pk=w.experiment.pk).status == Status.RUNNING
    assert [arm.variant.key for arm in w.iteration.stopped_arms.all()] == ["one"]
    assert Decision.objects.get().arms == ["one"]


def test_analyse__after_an_arm_was_stopped__keeps_what_was_found_of_it_and_expects_no_more_units() -> (
    None
):
    # Given an arm stopped for errors, whose units met the default afterwards and no new ones came
    w = harmed_one()
    then = AnalysisRun.objects.get(iteration=w.iteration, latest=True)
    for i in range(300):
        w.event(f"one{START + DAY:%d%H}-{i + 400}", "apply", START + 2 * DAY + timedelta(hours=1))
    for arm in ("control", "two"):
        crowd(w, arm, 2000, START + 3 * DAY, events={"http_5xx": 40, "apply": 360})
    # When it is analysed again
    run = analyse(w.experiment.pk, now=START + 6 * DAY, may_look=True)
    # Then the arm's numbers are those of before, the shares of the others are as planned, and
    # nothing is decided about it again
    assert of_arm(run, "one") == of_arm(then, "one")
    assert of_arm(run, "two") != of_arm(then, "two")
    assert not run.masked
    assert run.readiness["kind"] == "keep"
    assert Decision.objects.count() == 1


def of_arm(run: AnalysisRun, key: str) -> list[Any]:
    """Everything a run says of an arm."""
    parts = [
        part
        for metric in run.results["metrics"]
        for part in (*metric["arms"], *metric["comparisons"])
    ]
    return [part for part in (*parts, *run.verdicts["guardrails"]) if part["arm"] == key]


def test_look__after_an_arm_was_stopped__spends_nothing_on_it_and_promotes_the_other() -> None:
    w = harmed_one()
    crowd(w, "control", 3000, START + 3 * DAY, events={"apply": 540})
    crowd(w, "two", 3000, START + 3 * DAY, events={"apply": 840})
    analyse(w.experiment.pk, now=START + 8 * DAY + timedelta(hours=1), may_look=True)
    decision = Decision.objects.get(look__isnull=False)
    one, two = decision.look.state["hypotheses"]
    assert (one["arm"], one["look"], one["reason"]) == ("one", None, "the arm is switched off")
    assert (two["arm"], two["look"]["last"]) == ("two", True)
    assert (decision.verdict, decision.variant.key) == ("promote", "two")
