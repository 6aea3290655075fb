"""Guardrails with a known truth: harm from the first minute, harm that begins on day 14, and who is
served what afterwards.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client

from analytics import tasks as learning
from analytics.models import AnalysisRun, Decision
from experiments.core.design.design import MetricPlan, VariantSpec
from experiments.core.library.presets import BY_KEY
from experiments.core.types import PauseCause, Status
from experiments.models import Iteration
from experiments.selectors import serving
from tests.analytics.stores.observed import World, crowd
from tests.factories import NOW, experiment_in, lifecycle_of
from tests.stories.company import new_key

pytestmark = pytest.mark.django_db
PERIOD = timedelta(seconds=settings.ANALYSE_SECONDS)
LIVE = NOW + timedelta(days=1)
ERRORS = MetricPlan(
    "ai_error_units",
    "guardrail",
    baseline=0.03,
    margin=0.02,
    margin_kind="points",
    action="stop",
    rule="no_breach",
)
PRIMARY = MetricPlan("apply_conversion", "primary", baseline=0.2, mde=0.1)
THREE_ARMS = (
    VariantSpec("control", 400, is_control=True, config={"model": "a"}),
    VariantSpec("one", 300, config={"model": "b"}),
    VariantSpec("two", 300, config={"model": "c"}),
)
MINIMUM = 1000
"""Units an arm."""


@pytest.fixture
def door(settings, tmp_path):
    """Asks the assignment door as an application would, with a catalogue that it polls."""
    settings.CATALOGUE_DIR, settings.SPOOL = tmp_path / "catalogue", tmp_path / "spool"
    serving.forget()
    client: list[Client] = []

    def ask(units: list[str], experiment: str) -> dict[str, Any]:
        if not client:
            client.append(Client(headers={"authorization": f"Bearer {new_key('server', 'owner')}"}))
        body = {
            "batch": [{"unit": unit} for unit in units],
            "experiments": [experiment],
            "exposure": "none",
        }
        answer = client[0].post(
            "/api/v1/assignments", json.dumps(body), content_type="application/json"
        )
        return {item["unit"]: item for items in answer.json()["results"] for item in items}

    yield ask
    serving.forget()


def launched(*metrics: MetricPlan, **changes: Any) -> World:
    experiment = experiment_in(Status.RUNNING, metrics=metrics, min_sample_size=MINIMUM, **changes)
    return World(
        experiment,
        Iteration.objects.get(experiment=experiment),
        {arm.key: arm for arm in experiment.variants.all()},
    )


def beat(at: datetime) -> None:
    """One evaluation period ends: what beat wakes up."""
    with time_machine.travel(at, tick=False):
        learning.analyse_due()
        learning.decide_due()


def test_errors_from_the_first_minute__the_arm_is_stopped_in_two_periods_and_its_users_get_the_default_at_the_next_poll(
    door,
) -> None:
    # Given three arms, of which one fails five more in a hundred from the start, and 400 units an
    # arm by every evaluation
    w = launched(PRIMARY, ERRORS, variants=THREE_ARMS)
    users = [f"user-{i}" for i in range(200)]
    with time_machine.travel(LIVE, tick=False):
        serving.refresh(LIVE)
        before = door(users, w.experiment.key)
    # When it is evaluated again and again
    period = 0
    while not w.iteration.stopped_arms.exists():
        period += 1
        for arm, many, rate in (("control", 534, 0.03), ("one", 400, 0.08), ("two", 400, 0.03)):
            crowd(
                w,
                arm,
                many,
                LIVE + period * timedelta(hours=1),
                events={"http_5xx": round(many * rate)},
            )
        beat(LIVE + period * timedelta(hours=1) + timedelta(hours=1) + PERIOD)
        assert period * 400 < MINIMUM + 3 * 400, (
            "stopped at most two periods after the minimum sample"
        )
    # Then that arm alone is off, and a poll later its users have the default while everyone else
    # keeps theirs
    stopped = w.iteration.stopped_arms.get()
    assert stopped.variant.key == "one"
    assert lifecycle_of(w.experiment).status == Status.RUNNING
    assert settings.POLL_SECONDS <= 10
    with time_machine.travel(
        stopped.stopped_at + timedelta(seconds=settings.POLL_SECONDS), tick=False
    ):
        serving.refresh(stopped.stopped_at + timedelta(seconds=settings.POLL_SECONDS))
        after = door(users, w.experiment.key)
    assert {before[user]["variant"] for user in users} == {"control", "one", "two"}
    for user in users:
        if before[user]["variant"] == "one":
            assert (after[user]["variant"], after[user]["reason"]) == (None, "arm_stopped")
        else:
            assert after[user] | {"version": 0} == before[user] | {"version": 0}


def test_errors_that_begin_on_day_14__are_found_within_two_days(door) -> None:
    # Given two weeks without harm, at 2,400 units a day and arm
    w = launched(ERRORS)
    for day in range(14):
        arrive(w, LIVE + timedelta(days=day), 0.03, 0.03)
    change = LIVE + timedelta(days=14)
    beat(change)
    assert not Decision.objects.exists()
    # When five more in a hundred fail from then on
    found = None
    for half_day in range(1, 5):
        now = change + half_day * timedelta(hours=12)
        arrive(w, now - timedelta(hours=12), 0.03, 0.08, many=1200)
        beat(now)
        if lifecycle_of(w.experiment).status == Status.PAUSED:
            found = now
            break
    # Then it is stopped within two days
    assert found is not None
    assert lifecycle_of(w.experiment).pause_cause == PauseCause.HARM
    assert AnalysisRun.objects.get(latest=True).verdicts["guardrails"][0]["verdict"] == "breach"


def arrive(w: World, at: datetime, control: float, treatment: float, many: int = 2400) -> None:
    for arm, rate in (("control", control), ("treatment", treatment)):
        crowd(w, arm, many, at, events={"http_5xx": round(many * rate)})


def test_presets__planned_as_they_ship__are_all_read_by_an_analysis_run() -> None:
    w = launched(PRIMARY, *(preset.plan() for preset in BY_KEY.values()))
    for arm in w.arms:
        crowd(
            w,
            arm,
            300,
            LIVE + timedelta(hours=1),
            events={"ai_request": 300, "session": 300, "complaint": 9, "opt_out": 6},
        )
    beat(LIVE + timedelta(hours=5))
    run = AnalysisRun.objects.get(latest=True)
    assert run.error == ""
    assert {one["key"] for one in run.verdicts["guardrails"]} == {
        preset.metric for preset in BY_KEY.values()
    }
    assert {one["key"] for one in run.verdicts["sprt"]} == {
        "error_rate",
        "complaints_per_1k_sessions",
        "ai_opt_out",
    }
    assert {one["key"] for one in run.verdicts["compensation"]} == {
        "cost_per_request",
        "cost_per_unit",
    }
