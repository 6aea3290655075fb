"""A ramp by itself: up while all is well, held while an arm is proven worse, on again when it is
not, one step back on a breach.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analytics.selectors.plans import plan_of
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide, iterations_with_pending
from analytics.services.analysis.ramps import move_ramp
from experiments.core.design.design import MetricPlan
from experiments.core.types import Status
from experiments.models import ChangeLogEntry, Experiment
from experiments.services.life import lifecycle
from tests.analytics.stores.observed import World, crowd
from tests.factories import NOW, experiment_in, lifecycle_of, person

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIVE = NOW + DAY
STEPS = [
    {"share": 100, "hours": 24, "units": 200},
    {"share": 500, "hours": 24, "units": 0},
    {"share": 1000, "hours": 24, "units": 0},
]


def ramping(action: str = "hold", **changes: object) -> World:
    metrics = (
        MetricPlan("apply_conversion", "primary", baseline=0.2, mde=0.1),
        MetricPlan(
            "ai_error_units",
            "guardrail",
            baseline=0.05,
            margin=0.02,
            margin_kind="points",
            action=action,
        ),
    )
    experiment = experiment_in(Status.RUNNING, **{"ramp": STEPS, "metrics": metrics, **changes})  # type: ignore[arg-type]  # fields by name
    return World(
        experiment, experiment.iterations.get(), {arm.key: arm for arm in experiment.variants.all()}
    )


def meet(w: World, at: datetime, n: int, *, errors: tuple[int, int]) -> None:
    for arm, failed in zip(("control", "treatment"), errors, strict=True):
        crowd(w, arm, n, at, events={"ai_fallback": failed})


def tick(w: World, at: datetime) -> str:
    """One tick of beat: analyse, decide, move the ramp. Says what the ramp did."""
    analyse(w.experiment.pk, now=at, may_look=True)
    for pk in iterations_with_pending():
        decide(pk, now=at)
    move = move_ramp(w.experiment.pk, now=at)
    return (
        "none" if move is None or lifecycle_of(w.experiment).status != Status.RUNNING else move.kind
    )


def share(w: World) -> int:
    w.iteration.refresh_from_db()
    return int(w.iteration.traffic)


def told(experiment: Experiment) -> list[str]:
    lines = ChangeLogEntry.objects.filter(
        experiment=experiment, action__startswith="ramp"
    ).order_by("pk")
    return list(lines.values_list("action", flat=True))


def test_ramp__worse_within_the_margin__holds_and_resumes_by_itself() -> None:
    w = ramping()
    meet(w, LIVE + HOUR, 400, errors=(20, 21))
    assert tick(w, LIVE + 3 * HOUR) == "wait"  # too early
    assert tick(w, LIVE + 24 * HOUR) == "advance"

    meet(w, LIVE + 25 * HOUR, 2000, errors=(100, 175))
    assert [tick(w, LIVE + 27 * HOUR), tick(w, LIVE + 28 * HOUR)] == ["hold", "wait"]
    assert tick(w, LIVE + 50 * HOUR) == "wait"  # the minimum is over, the hold is not
    assert share(w) == 500

    meet(w, LIVE + 51 * HOUR, 8000, errors=(400, 400))
    assert [tick(w, LIVE + 53 * HOUR), tick(w, LIVE + 54 * HOUR)] == ["resume", "advance"]
    assert share(w) == 1000
    assert told(w.experiment) == ["ramp_advanced", "ramp_held", "ramp_resumed", "ramp_advanced"]
    assert tick(w, LIVE + 80 * HOUR) == "complete"


def test_ramp__breach_that_a_person_is_asked_about__goes_one_step_back_once() -> None:
    w = ramping("escalate")
    meet(w, LIVE + HOUR, 400, errors=(20, 21))
    assert tick(w, LIVE + 24 * HOUR) == "advance"

    meet(w, LIVE + 25 * HOUR, 2000, errors=(100, 300))
    assert [tick(w, LIVE + 27 * HOUR), tick(w, LIVE + 28 * HOUR)] == ["roll_back", "wait"]

    assert (share(w), lifecycle_of(w.experiment).status) == (100, Status.RUNNING)
    reason = ChangeLogEntry.objects.get(experiment=w.experiment, action="ramp_rolled_back").reason
    assert reason.startswith("guardrail breached (ai_error_units on treatment)")


def test_ramp__breach_that_stops__is_the_guardrails_business() -> None:
    w = ramping("stop")
    meet(w, LIVE + HOUR, 2000, errors=(100, 300))

    tick(w, LIVE + 24 * HOUR)

    assert lifecycle_of(w.experiment).status == Status.PAUSED
    assert told(w.experiment) == []


def test_ramp__paused_for_a_day__counts_hours_of_serving_only() -> None:
    w = ramping()
    meet(w, LIVE + HOUR, 400, errors=(20, 21))
    lifecycle.pause(person("owner"), LIVE + 2 * HOUR, experiment_id=w.experiment.pk)
    lifecycle.resume(person("owner"), LIVE + 12 * HOUR, experiment_id=w.experiment.pk)

    assert [tick(w, LIVE + hours * HOUR) for hours in (24, 33.9, 34)] == ["wait", "wait", "advance"]


def test_ramp__first_step_dealt_unevenly__is_no_mismatch_of_shares() -> None:
    """Five buckets are three and two: those first met then were never to be half and half."""
    w = ramping(ramp=[{"share": 5, "hours": 24}, {"share": 1000}])
    crowd(w, "control", 3000, LIVE + HOUR)
    crowd(w, "treatment", 2000, LIVE + HOUR)
    assert tick(w, LIVE + 24 * HOUR) == "advance"
    crowd(w, "control", 1000, LIVE + 25 * HOUR)
    crowd(w, "treatment", 1000, LIVE + 25 * HOUR)

    run = analyse(w.experiment.pk, now=LIVE + 27 * HOUR)

    assert [round(arm["expected_share"], 4) for arm in run.totals["arms"]] == [0.5714, 0.4286]
    assert not run.masked
    assert not any(finding["code"] == "srm" for finding in run.health["findings"])


def test_clock__with_a_ramp__counts_complete_local_days_at_the_last_step_only() -> None:
    """Berlin, over the night in which clocks go forward and the end of a month: the days are what
    the calendar says.
    """
    w = ramping(ramp=[{"share": 100}, {"share": 1000}], time_zone="Europe/Berlin")
    at_first = plan_of(w.iteration, LIVE + 20 * DAY)
    assert at_first.spans == ()

    meet(w, LIVE + HOUR, 100, errors=(1, 1))
    up = datetime.fromisoformat(
        "2026-03-28T22:30:00+00:00"
    )  # half past eleven at night, a Saturday
    assert tick(w, up) == "advance"
    w.iteration.refresh_from_db()

    def days(until: str) -> int:
        from analytics.core.deciding.windows import clock

        moment = datetime.fromisoformat(until)
        return clock(plan_of(w.iteration, moment).spans, "Europe/Berlin", 1, moment).days

    assert days("2026-03-29T21:59:00+00:00") == 0  # Sunday, 23 hours long, lacks a minute
    assert days("2026-03-29T22:00:00+00:00") == 1
    assert days("2026-03-31T22:00:00+00:00") == 3  # the month's end is a day like any other
    assert days("2026-04-04T22:00:00+00:00") == 7
