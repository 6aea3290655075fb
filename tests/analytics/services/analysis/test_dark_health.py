"""Dark-launch health: what was seen, what it can show, and what still stands against it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.dark_health import check_dark_launch, watch_dark_launch
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import Conflict, Refused
from experiments.core.types import SYSTEM, Status
from experiments.models import Bucket, ChangeLogEntry, Evidence, Experiment, Iteration
from experiments.services.life.stops import abort_harmful_dark_launch
from tests.analytics.stores.observed import START, World, plan, world
from tests.factories import NOW, draft, experiment_in, lifecycle_of, running

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
RULES = PolicyRules(dark_launch=True, dark_min_hours=24, dark_min_requests=200)


def dark(rules: PolicyRules = RULES) -> World:
    w = world()
    plan(
        w,
        "guardrail",
        "ai_error_units",
        margin=0.02,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    Experiment.objects.filter(pk=w.experiment.pk).update(status="dark_launch")
    Iteration.objects.filter(pk=w.iteration.pk).update(
        dark_started_at=START, started_at=None, policy_rules=rules.as_json()
    )
    return w


def meet(w: World, arm: str, phase: str, n: int, *, errors: int = 0) -> None:
    for i in range(n):
        w.expose(f"{phase}{i}", arm, START + HOUR, phase=phase, exposure_count=2)
        if i < errors:
            w.event(f"{phase}{i}", "ai_fallback", START + 2 * HOUR)


def checked(w: World, hours: float) -> Evidence:
    return check_dark_launch(SYSTEM, START + hours * HOUR, experiment_id=w.experiment.pk)


def test_check_dark_launch__long_enough_and_clean__is_green_and_says_what_it_can_show() -> None:
    w = dark()
    meet(w, "treatment", "dark", 120)
    meet(w, "control", "twin", 120)
    evidence = checked(w, 25)
    assert evidence.green
    assert "240 requests" in evidence.summary
    assert "can miss a fault that hits fewer than 1.25% of them" in evidence.summary
    assert evidence.detail["arms"][0] == {"key": "treatment", "units": 120, "requests": 240}


def test_check_dark_launch__too_short_and_too_few__names_both() -> None:
    w = dark()
    meet(w, "treatment", "dark", 20)
    meet(w, "control", "twin", 20)
    evidence = checked(w, 3)
    assert not evidence.green
    assert evidence.detail["problems"] == ["3.0 of 24 hours", "40 of 200 requests"]


def test_check_dark_launch__no_labels_arrive__is_not_green() -> None:
    evidence = checked(dark(), 25)
    assert not evidence.green
    assert any("check labels" in problem for problem in evidence.detail["problems"])
    assert any("twin" in problem for problem in evidence.detail["problems"])


def test_check_dark_launch__errors_far_above_the_twins__is_a_breach() -> None:
    w = dark()
    meet(w, "treatment", "dark", 150, errors=60)
    meet(w, "control", "twin", 150, errors=3)
    evidence = checked(w, 25)
    assert not evidence.green
    assert "breached" in evidence.summary


def test_check_dark_launch__not_in_dark_launch__is_refused() -> None:
    with pytest.raises(Refused, match="no dark launch"):
        check_dark_launch(SYSTEM, START, experiment_id=world().experiment.pk)


def launched(key: str = "rerank") -> World:
    """In dark launch through the services, with its buckets and a guardrail on errors."""
    experiment = experiment_in(Status.DARK_LAUNCH, key)
    iteration = experiment.iterations.get()
    return World(experiment, iteration, {arm.key: arm for arm in experiment.variants.all()})


def watched(w: World, hours: float) -> Evidence:
    return watch_dark_launch(w.experiment.pk, now=NOW + hours * HOUR)


def meet_now(w: World, arm: str, phase: str, n: int, *, errors: int = 0) -> None:
    for i in range(n):
        w.expose(f"{phase}{i}", arm, NOW + HOUR, phase=phase)
        if i < errors:
            w.event(f"{phase}{i}", "ai_fallback", NOW + 2 * HOUR)


def test_watch_dark_launch__breach__goes_back_to_draft_with_the_reason_and_serves_nobody() -> None:
    w = launched()
    meet_now(w, "treatment", "dark", 150, errors=60)
    meet_now(w, "control", "twin", 150, errors=3)

    evidence = watched(w, 5)

    assert not evidence.green
    assert lifecycle_of(w.experiment).status == Status.DRAFT
    assert not Bucket.objects.filter(iteration=w.iteration).exists()
    line = ChangeLogEntry.objects.get(experiment=w.experiment, action="abort_dark_launch")
    assert (
        line.reason
        == "dark launch: harm beyond the margin is proven for ai_error_units on treatment"
    )
    assert line.actor_kind == "machine"


def test_watch_dark_launch__no_breach__leaves_it_and_shows_both_sides_of_each_guardrail() -> None:
    w = launched()
    meet_now(w, "treatment", "dark", 100, errors=4)
    meet_now(w, "control", "twin", 100, errors=5)

    evidence = watched(w, 5)

    assert lifecycle_of(w.experiment).status == Status.DARK_LAUNCH
    (line,) = evidence.detail["guardrails"]
    assert (line["here"], line["twins"], line["verdict"]) == (0.04, 0.05, "unknown")


def test_watch_dark_launch__went_live_meanwhile__does_not_stop_what_it_did_not_measure() -> None:
    experiment = experiment_in(Status.RUNNING, policy="ai-low")
    with pytest.raises(Refused):
        abort_harmful_dark_launch(
            SYSTEM,
            NOW + 48 * HOUR,
            experiment_id=experiment.pk,
            iteration_id=experiment.iterations.get().pk,
            reason="harm",
        )
    assert lifecycle_of(experiment).status == Status.RUNNING


def test_watch_dark_launch__another_one_has_begun__comes_too_late() -> None:
    w = launched()
    with pytest.raises(Conflict, match="another dark launch"):
        abort_harmful_dark_launch(
            SYSTEM,
            NOW + HOUR,
            experiment_id=w.experiment.pk,
            iteration_id=w.iteration.pk - 1,
            reason="harm",
        )


def test_check_dark_launch__events_without_a_variant__are_missing_labels() -> None:
    w = launched()
    meet_now(w, "treatment", "dark", 10)
    meet_now(w, "control", "twin", 10)
    for i in range(10):
        labelled = None if i == 0 else w.arms["treatment"].pk
        w.event(
            f"dark{i}", "ai_request", NOW + HOUR, experiment_id=w.experiment.pk, variant_id=labelled
        )

    problems = watched(w, 3).detail["problems"]

    assert "1 of 10 events name the experiment without a variant: labels are missing" in problems


def test_dark_launch__its_units_and_events__never_enter_results_or_shares() -> None:
    """Neither while it lasts nor after it went live, though those units keep their variant."""
    experiment = running(draft(policy="ai-low"))
    iteration = experiment.iterations.get()
    w = World(experiment, iteration, {arm.key: arm for arm in experiment.variants.all()})
    live = NOW + timedelta(days=1)
    for i in range(300):
        w.expose(f"dark{i}", "treatment", NOW + HOUR, phase="dark")
        w.event(f"dark{i}", "ai_fallback", live + HOUR)
    for i in range(100):
        w.expose(f"twin{i}", "control", live + HOUR, phase="twin")
    for i in range(40):
        w.expose(f"main{i}", "control" if i % 2 else "treatment", live + HOUR)

    run = analyse(experiment.pk, now=live + timedelta(days=12))

    assert [arm["units"] for arm in run.totals["arms"]] == [20, 20]
    guard = next(metric for metric in run.results["metrics"] if metric["role"] == "guardrail")
    assert [(arm["exposed"], arm["sum_y"]) for arm in guard["arms"]] == [(20, 0.0), (20, 0.0)]
    assert not any(finding["code"] == "srm" for finding in run.health["findings"])
