"""Dark-launch health: what was seen, what it can show, and what still stands against it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.services.dark_health import check_dark_launch
from experiments.core.errors import Refused
from experiments.core.policies import PolicyRules
from experiments.core.types import SYSTEM
from experiments.models import Evidence, Experiment, Iteration
from tests.stores.observed import START, World, plan, world

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
RULES = PolicyRules(dark_launch=True, dark_min_hours=24, dark_min_requests=200)


def dark(rules: PolicyRules = RULES) -> World:
    w = world()
    plan(w, "guardrail", "ai_error_units", margin=0.02, margin_kind="points", rule="no_breach", action="stop")
    Experiment.objects.filter(pk=w.experiment.pk).update(status="dark_launch")
    Iteration.objects.filter(pk=w.iteration.pk).update(dark_started_at=START, started_at=None, policy_rules=rules.as_json())
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
    assert "below 1.25%" in evidence.summary
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
