"""A metric's last 28 days: what is read from rows, from whose, and when nothing can be said."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import timedelta
from statistics import mean, stdev

import numpy as np
import pytest

from analytics.core.ground.moments import UnitMoments
from analytics.core.stats import power
from analytics.readings.prefill import metric_past, traffic_past
from analytics.services.planning.planning import experiment_plan
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Direction, MetricKind
from experiments.models import Experiment
from experiments.selectors.metrics import current_metric, definition_of
from tests.analytics.stores.observed import START, World, plan, world

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = START + 20 * DAY
APPLIED = MetricDefinition(
    key="applied",
    name="Applied",
    kind=MetricKind.PROPORTION,
    source="event",
    event_types=("apply",),
    aggregation="any",
    direction=Direction.INCREASE,
    window_hours=72,
)
SPENT = MetricDefinition(
    key="spent",
    name="Spent",
    kind=MetricKind.MEAN,
    source="observation",
    aggregation="sum",
    direction=Direction.INCREASE,
    window_hours=72,
)


@pytest.fixture
def seen() -> World:
    """60 users who viewed a job, a day apart in groups of five."""
    here = world()
    for i in range(60):
        here.event(f"u{i}", "job_view", START + (i // 5) * DAY)
    return here


def test_metric_past__proportion__is_the_share_within_the_window_of_everybody_seen(
    seen: World,
) -> None:
    for i in range(15):
        seen.event(f"u{i}", "apply", START + (i // 5) * DAY + HOUR)
        seen.event(f"u{i}", "apply", START + (i // 5) * DAY + 2 * HOUR)
    seen.event("u20", "apply", START + 4 * DAY + 73 * HOUR)  # after its window
    past = metric_past(APPLIED, "user", NOW)
    assert past is not None
    assert (past.baseline, past.sd, past.units, past.days) == (0.25, None, 60, 28)
    assert (
        str(past)
        == "applied: 0.25, from 60 units (user) of the last 28 days; 45 of them had no row of it and count as 0"
    )


def test_metric_past__units_whose_window_is_not_over__are_left_out(seen: World) -> None:
    for i in range(7):
        seen.event(f"late{i}", "job_view", NOW - 10 * HOUR)
    seen.event("u1", "apply", START + HOUR)
    past = metric_past(APPLIED, "user", NOW)
    assert past is not None
    assert past.units == 60


def test_metric_past__sum_of_observations__counts_silent_units_as_zero_and_gives_their_spread(
    seen: World,
) -> None:
    values = [0.0] * 60
    for i in range(0, 60, 3):
        values[i] = float(i)
        seen.observe(f"u{i}", "spent", i / 2, START + (i // 5) * DAY + HOUR)
        seen.observe(f"u{i}", "spent", i / 2, START + (i // 5) * DAY + 2 * HOUR)
    past = metric_past(SPENT, "user", NOW)
    assert past is not None
    assert past.baseline == pytest.approx(mean(values))
    assert past.sd == pytest.approx(stdev(values))


def test_metric_past__mean_of_those_who_answered__leaves_silent_units_out(seen: World) -> None:
    rated = MetricDefinition(
        key="rated",
        name="Rated",
        kind=MetricKind.MEAN,
        source="observation",
        aggregation="last",
        direction=Direction.INCREASE,
        cap=4.0,
    )
    values = [min(4.0, float(i % 5)) for i in range(40)]
    for i in range(40):
        seen.observe(f"u{i}", "rated", 1.5, START + 13 * DAY)
        seen.observe(f"u{i}", "rated", float(i % 5), START + 14 * DAY)
    past = metric_past(rated, "user", NOW)
    assert past is not None
    assert past.units == 40
    assert past.baseline == pytest.approx(mean(values))
    assert past.sd == pytest.approx(stdev(values))


def test_metric_past__ratio__is_of_sums_with_the_linearised_spread(seen: World) -> None:
    ratio = MetricDefinition(
        key="errors",
        name="Errors",
        kind=MetricKind.RATIO,
        source="event",
        event_types=("http_5xx",),
        denominator_event_types=("ai_request",),
        aggregation="count",
        direction=Direction.DECREASE,
        window_hours=72,
    )
    rng, y, d = random.Random(1), [], []
    for i in range(60):
        at, requests, errors = (
            START + (i // 5) * DAY + HOUR,
            rng.randrange(0, 5),
            rng.randrange(0, 3),
        )
        for _ in range(requests):
            seen.event(f"u{i}", "ai_request", at)
        for _ in range(errors):
            seen.event(f"u{i}", "http_5xx", at)
        y.append(float(errors))
        d.append(float(requests))
    past = metric_past(ratio, "user", NOW)
    assert past is not None
    assert past.baseline == pytest.approx(sum(y) / sum(d))
    assert past.sd == pytest.approx(power.ratio_sd(UnitMoments.of_rows(y=y, d=d)))


def test_metric_past__p95_of_clumped_rows__has_a_spread_that_makes_its_standard_error() -> None:
    """Users with a speed of their own: sd/√units is near the standard error over many such
    samples.
    """
    here, rng = world(), np.random.default_rng(5)

    def draws() -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
        return [rng.exponential(300, 4) + base for base in rng.exponential(400, 150)]

    for i, rows in enumerate(draws()):
        for value in rows:
            here.event(f"u{i}", "ai_request", START + DAY, latency_ms=int(value))
    past = metric_past(definition_of(current_metric("latency_p95")), "user", NOW)
    assert past is not None
    assert past.sd is not None
    estimates = [np.quantile(np.concatenate(draws()), 0.95) for _ in range(400)]
    assert past.units == 150
    assert past.sd / math.sqrt(150) == pytest.approx(float(np.std(estimates)), rel=0.35)


def test_metric_past__rows_of_tests_imports_and_other_types__do_not_count(seen: World) -> None:
    seen.event("u1", "apply", START + HOUR, environment="test")
    seen.event("u2", "apply", START + HOUR, origin="import")
    seen.event("t1", "apply", START + HOUR, unit_type="tenant")
    seen.event("u3", "apply", START + HOUR)
    past = metric_past(APPLIED, "user", NOW)
    assert past is not None
    assert (past.baseline, past.units) == (pytest.approx(1 / 60), 60)


def test_metric_past__unit_in_the_rows_map__is_found_there(seen: World) -> None:
    for i in range(40):
        seen.event(f"u{i}", "apply", START + HOUR, units={"tenant": f"t{i}"})
    seen.event("u59", "job_view", START + HOUR, units={"tenant": "t59"})
    past = metric_past(APPLIED, "tenant", NOW)
    assert past is not None
    assert (past.units, past.baseline) == (41, pytest.approx(40 / 41))


@pytest.mark.parametrize(
    "forget",
    [lambda here: None, lambda here: [here.event(f"u{i}", "apply", START) for i in range(29)]],
)
def test_metric_past__no_data_or_too_little__cannot_say(forget: Callable[[World], object]) -> None:
    here = world()
    forget(here)
    assert metric_past(APPLIED, "user", NOW) is None


def test_metric_past__older_than_28_days__does_not_count(seen: World) -> None:
    assert metric_past(APPLIED, "user", NOW + 40 * DAY) is None


def test_traffic_past__units_that_come_again__are_new_once(seen: World) -> None:
    for i in range(60):
        seen.event(f"u{i}", "job_view", START + (i // 5) * DAY + DAY)
    found = traffic_past("user", NOW)
    assert found is not None
    assert (found.units, found.days) == (60, 13)
    assert found.daily_units == pytest.approx(120 / 13)
    assert found.new_per_day == pytest.approx(60 / 13)
    assert traffic_past("tenant", NOW) is None


def test_experiment_plan__baseline_not_entered__is_planned_from_the_past(seen: World) -> None:
    for i in range(15):
        seen.event(f"u{i}", "apply", START + (i // 5) * DAY + HOUR)
    plan(seen, "primary", "apply_conversion", mde=0.2)
    answer = experiment_plan(Experiment.objects.get(pk=seen.experiment.pk), NOW)
    assert answer.plan.rows[0].question == "find +20 % (25 % → 30 %)"
    assert answer.plan.units_per_day == pytest.approx(60 / 12)
    assert len(answer.sources) == 2


@pytest.fixture
def exposed() -> World:
    """120 users met an experiment, twelve a day; only every fourth did anything, and that was to
    apply.
    """
    here = world()
    for i in range(120):
        at = START + (i // 12) * DAY
        here.expose(f"u{i}", "control" if i % 2 else list(here.arms)[-1], at)
        if i % 4 == 0:
            here.event(f"u{i}", "apply", at + HOUR)
    return here


def test_metric_past__units_that_were_only_exposed__count_as_zero(exposed: World) -> None:
    """From units with events alone the baseline is 1: four times too high."""
    past = metric_past(APPLIED, "user", NOW)
    assert past is not None
    assert (past.baseline, past.units, past.silent) == (0.25, 120, 90)
    assert (
        str(past)
        == "applied: 0.25, from 120 units (user) of the last 28 days; 90 of them had no row of it and count as 0"
    )


def test_traffic_past__units_that_were_only_exposed__came_too(exposed: World) -> None:
    found = traffic_past("user", NOW)
    assert found is not None
    assert (found.units, found.new_per_day, found.exposed) == (120, 12, 120)
    assert "12 new units (user) a day, from 120 units of the last 28 days" not in str(
        found
    )  # ten days had any
    assert (
        str(found)
        == "12 new units (user) a day, from 120 units of the last 10 days (12 on an average day), 120 of them exposed to an experiment"
    )


def test_metric_past__exposures_of_tests_imports_and_other_types__do_not_count(
    exposed: World,
) -> None:
    for i, fields in enumerate(
        ({"environment": "test"}, {"origin": "import"}, {"unit_type": "tenant"})
    ):
        exposed.expose(f"other{i}", "control", START + DAY, **fields)
    past = metric_past(APPLIED, "user", NOW)
    assert past is not None
    assert past.units == 120


def test_experiment_plan__baseline_not_entered__says_what_was_read(exposed: World) -> None:
    plan(exposed, "primary", "apply_conversion", mde=0.2)
    answer = experiment_plan(Experiment.objects.get(pk=exposed.experiment.pk), NOW)
    assert answer.plan.rows[0].question == "find +20 % (25 % → 30 %)"
    assert answer.plan.units_per_day == pytest.approx(12)
    assert any("90 of them had no row of it" in source for source in answer.sources)
