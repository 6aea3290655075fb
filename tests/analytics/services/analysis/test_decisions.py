"""Carrying out decisions: once, in the window, never against a person who was first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from analytics.models import AnalysisRun, AppliedDecision, Decision
from analytics.selectors.recommendation import recommendation
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import (
    WaitingDecision,
    decide,
    in_window,
    iterations_with_pending,
)
from experiments.core.design.policies import Window
from experiments.core.types import SYSTEM
from experiments.models import ChangeLogEntry, Experiment, Rollout
from experiments.services.life import lifecycle
from tests.analytics.stores.observed import START, World, crowd, plan, world

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NIGHT = START + 8 * DAY + HOUR
"""Tuesday, one in the morning, UTC: the clock is complete and nothing is promoted at this hour."""
MORNING = START + 8 * DAY + 10 * HOUR


def winner(key: str = "search_rerank", **fields: object) -> World:
    """A look was taken at night and said: promote."""
    w = world(key, auto_promote=True, **fields)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 1000, START, events={"apply": 180})
    crowd(w, "treatment", 1000, START, events={"apply": 280})
    analyse(w.experiment.pk, now=NIGHT, may_look=True)
    return w


def harmful(key: str = "harmful") -> World:
    w = world(key, auto_promote=True)
    plan(
        w,
        "guardrail",
        "complained",
        margin=0.15,
        margin_kind="relative",
        rule="no_breach",
        action="stop",
    )
    crowd(w, "control", 2000, START, events={"complaint": 60})
    crowd(w, "treatment", 2000, START, events={"complaint": 240})
    analyse(w.experiment.pk, now=START + 2 * DAY, may_look=True)
    return w


def now_of(w: World) -> Experiment:
    return Experiment.objects.get(pk=w.experiment.pk)


@pytest.mark.django_db
def test_decide__winner_inside_the_window__is_promoted_once_with_rollout_and_line() -> None:
    w = winner()
    applied = decide(w.iteration.pk, now=MORNING)
    assert isinstance(applied, AppliedDecision)
    assert applied.done
    assert (now_of(w).status, now_of(w).outcome) == ("completed", "promoted")
    assert Rollout.objects.get(flag__key=w.experiment.key).variant == w.arms["treatment"]
    assert (
        ChangeLogEntry.objects.filter(
            experiment=w.experiment, actor_label=SYSTEM.label, action__contains="promote"
        ).count()
        == 1
    )
    assert decide(w.iteration.pk, now=MORNING + HOUR) is None


@pytest.mark.django_db
def test_decide__outside_the_window__waits_for_it_or_for_the_notice() -> None:
    w = winner()
    waiting = decide(w.iteration.pk, now=NIGHT + HOUR)
    assert isinstance(waiting, WaitingDecision)
    assert "notice" in waiting.reason
    assert now_of(w).status == "running"
    assert isinstance(decide(w.iteration.pk, now=NIGHT + 4 * HOUR), AppliedDecision)


@pytest.mark.django_db
def test_decide__owner_holds_the_promotion__waits_until_it_is_lifted() -> None:
    w = winner()
    Experiment.objects.filter(pk=w.experiment.pk).update(promotion_held=True)
    waiting = decide(w.iteration.pk, now=MORNING)
    assert isinstance(waiting, WaitingDecision)
    assert "holds" in waiting.reason
    Experiment.objects.filter(pk=w.experiment.pk).update(promotion_held=False)
    assert isinstance(decide(w.iteration.pk, now=MORNING), AppliedDecision)


@pytest.mark.django_db
def test_decide__masked_since_the_look__waits() -> None:
    w = winner()
    crowd(w, "control", 600, START + DAY)
    analyse(w.experiment.pk, now=MORNING)
    waiting = decide(w.iteration.pk, now=MORNING)
    assert isinstance(waiting, WaitingDecision)
    assert waiting.reason == "results are masked now"
    assert (
        recommendation(w.experiment.pk)
        == "the newest decision is to promote treatment, but results are masked now"
    )


@pytest.mark.django_db
def test_decide__newest_analysis_failed__waits_for_one_that_can_see_breaches() -> None:
    w = winner()
    AnalysisRun.objects.filter(iteration=w.iteration, latest=True).update(failed_at=MORNING)
    waiting = decide(w.iteration.pk, now=MORNING)
    assert isinstance(waiting, WaitingDecision)
    assert "the newest analysis failed" in waiting.reason
    analyse(w.experiment.pk, now=MORNING)
    assert isinstance(decide(w.iteration.pk, now=MORNING), AppliedDecision)


@pytest.mark.django_db
def test_decide__person_stopped_first__wins_and_the_decision_says_so() -> None:
    w = winner()
    lifecycle.emergency_stop(
        SYSTEM, NIGHT + HOUR, experiment_id=w.experiment.pk, reason="looks wrong"
    )
    applied = decide(w.iteration.pk, now=MORNING)
    assert isinstance(applied, AppliedDecision)
    assert not applied.done
    assert "was first" in applied.note
    assert now_of(w).status == "paused"
    assert not Rollout.objects.exists()


@pytest.mark.django_db
def test_decide__guardrail_breached__stops_at_any_hour_with_cause_harm() -> None:
    w = harmful()
    applied = decide(w.iteration.pk, now=START + 2 * DAY)
    assert isinstance(applied, AppliedDecision)
    assert applied.done
    assert (now_of(w).status, now_of(w).pause_cause) == ("paused", "harm")


@pytest.mark.django_db
def test_decide__imported_data__never_promote() -> None:
    w = winner("imported", origin="import")
    assert not Decision.objects.exists()
    assert decide(w.iteration.pk, now=MORNING) is None
    assert iterations_with_pending() == []


@pytest.mark.django_db
def test_decide__flag_is_gone__notes_the_refusal_instead_of_failing_for_ever() -> None:
    w = winner()
    Experiment.objects.filter(pk=w.experiment.pk).update(flag=None)
    applied = decide(w.iteration.pk, now=MORNING)
    assert isinstance(applied, AppliedDecision)
    assert not applied.done
    assert applied.note.startswith("refused: ")


@pytest.mark.django_db(transaction=True)
def test_decide__eight_workers_race__each_decision_is_carried_out_once() -> None:
    worlds = [winner(f"race_{i}") for i in range(3)] + [harmful("race_harm")]

    def attempt(turn: int) -> int:
        try:
            order = worlds[turn % 4 :] + worlds[: turn % 4]
            for w in order:
                analyse(w.experiment.pk, now=MORNING, may_look=True)
            return sum(
                isinstance(decide(w.iteration.pk, now=MORNING), AppliedDecision) for w in order
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        carried_out = sum(pool.map(attempt, range(8)))
    assert carried_out == 4
    assert AppliedDecision.objects.filter(done=True).count() == 4
    assert Rollout.objects.count() == 3
    for w in worlds:
        assert Decision.objects.filter(iteration=w.iteration).count() == 1
        lines = ChangeLogEntry.objects.filter(experiment=w.experiment, actor_label=SYSTEM.label)
        assert lines.filter(action__regex="promote|emergency").count() == 1


def test_in_window__hours_and_days__are_those_of_the_experiments_zone() -> None:
    window = Window(days=(0, 1, 2, 3), from_hour=10, to_hour=16)
    assert in_window(window, MORNING, "UTC")
    assert not in_window(window, MORNING - HOUR, "UTC")
    assert in_window(window, MORNING - HOUR, "Europe/Berlin")
    assert not in_window(window, MORNING + 3 * DAY, "UTC")
    assert in_window(Window(always=True), NIGHT, "UTC")
