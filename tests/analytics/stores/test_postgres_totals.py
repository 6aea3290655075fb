"""The PostgreSQL store gives exactly the totals that reading every row by hand gives."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from analytics.core.deciding.windows import GRACE
from analytics.models import AiEvent, Assignment, MetricObservation
from analytics.stores.base import Population
from analytics.stores.postgres import PostgresStore
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Direction, MetricKind, Phase
from tests.analytics.stores.observed import START, World, world

pytestmark = pytest.mark.django_db
STORE = PostgresStore()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CUT = START + 10 * DAY

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
)


def people(of: World, **changes: object) -> Population:
    return replace(
        Population(
            experiment_id=of.experiment.pk,
            iteration_id=of.iteration.pk,
            unit_type=of.experiment.unit_type,
            cut=CUT,
        ),
        **changes,
    )


def found(
    of: World,
    metric: MetricDefinition,
    arm: str = "control",
    *,
    matured: bool = True,
    **changes: object,
) -> tuple[int, float, float]:
    totals = STORE.totals(people(of, **changes), metric, matured=matured)[of.arms[arm].pk].totals
    return totals.n, totals.sum_y, totals.sum_y2


def test_totals__two_of_three_applied__counts_them_once_each() -> None:
    w = world()
    for unit in ("a", "b", "c"):
        w.expose(unit, "control", START)
    w.event("a", "apply", START + HOUR)
    w.event("a", "apply", START + 2 * HOUR)
    w.event("b", "apply", START + 3 * HOUR)
    assert found(w, APPLIED) == (3, 2.0, 2.0)


def test_totals__window__takes_the_first_hour_and_not_the_last_moment() -> None:
    w = world()
    for unit in ("before", "first", "inside", "end"):
        w.expose(unit, "control", START + DAY)
    w.event("before", "apply", START + DAY - timedelta(seconds=1))
    w.event("first", "apply", START + DAY)
    w.event("inside", "apply", START + DAY + 72 * HOUR - timedelta(seconds=1))
    w.event("end", "apply", START + DAY + 72 * HOUR)
    assert found(w, APPLIED) == (4, 2.0, 2.0)


def test_totals__unit_not_matured__is_left_out_until_its_window_and_grace_are_over() -> None:
    w = world()
    w.expose("ripe", "control", CUT - 72 * HOUR - GRACE)
    w.expose("green", "control", CUT - 72 * HOUR - GRACE + timedelta(seconds=1))
    assert found(w, APPLIED)[0] == 1
    assert found(w, APPLIED, matured=False)[0] == 2


def test_totals__other_phases_and_the_test_environment__never_enter() -> None:
    w = world()
    w.expose("real", "control", START)
    w.expose("dark", "control", START, phase="dark")
    w.expose("override", "control", START, phase="override")
    w.expose("tester", "control", START, environment="test")
    w.event("real", "apply", START + HOUR, environment="test")
    assert found(w, APPLIED) == (1, 0.0, 0.0)
    assert found(w, APPLIED, phase=Phase.DARK)[0] == 1


def test_totals__observation_stamped_with_another_experiment__counts_only_there() -> None:
    w, other = world(), world("other_one")
    for of in (w, other):
        of.expose("a", "control", START)
    w.observe("a", "spent", 1.0, START + HOUR)
    w.observe("a", "spent", 10.0, START + HOUR, experiment_id=w.experiment.pk)
    w.observe("a", "spent", 100.0, START + HOUR, experiment_id=other.experiment.pk)
    assert found(w, SPENT) == (1, 11.0, 121.0)
    assert found(other, SPENT) == (1, 101.0, 10201.0)


def test_totals__event_stamped_with_another_experiment__counts_in_every_experiment_of_its_unit() -> (
    None
):
    w, other = world(), world("other_one")
    for of in (w, other):
        of.expose("a", "control", START)
    w.event(
        "a",
        "apply",
        START + HOUR,
        experiment_id=other.experiment.pk,
        variant_id=other.arms["control"].pk,
    )
    counted = replace(APPLIED, kind=MetricKind.COUNT, aggregation="count")
    assert found(w, counted) == found(other, counted) == (1, 1.0, 1.0)
    stamped = replace(counted, attribution="stamped")
    assert (found(w, stamped), found(other, stamped)) == ((1, 0.0, 0.0), (1, 1.0, 1.0))


def test_totals__rows_of_users_in_an_experiment_by_tenant__are_found_through_the_map() -> None:
    w = world(unit_type="tenant")
    w.expose("acme", "control", START)
    w.event("u1", "apply", START + HOUR, unit_type="user", units={"user": "u1", "tenant": "acme"})
    w.event("acme", "apply", START + HOUR, unit_type="user", units={"user": "acme"})
    assert found(w, replace(APPLIED, kind=MetricKind.COUNT, aggregation="count")) == (1, 1.0, 1.0)


def test_totals__visitor__is_the_user_where_known_and_else_the_session() -> None:
    w = world(unit_type="visitor")
    w.expose("u1", "control", START)
    w.expose("s9", "control", START)
    w.event("u1", "apply", START + HOUR, unit_type="user", units={"session": "s9"})
    w.event("s9", "apply", START + HOUR, unit_type="session")
    assert found(w, replace(APPLIED, kind=MetricKind.COUNT, aggregation="count")) == (2, 2.0, 2.0)


def test_totals__unit_whose_window_overlaps_a_long_pause__is_left_out_in_every_arm() -> None:
    w = world()
    pause = (START + 4 * DAY, START + 5 * DAY + 2 * HOUR)
    for unit, at in {
        "done": START,
        "cut": START + 2 * DAY,
        "in": START + 4.5 * DAY,
        "after": START + 5.5 * DAY,
    }.items():
        w.expose(unit, "control", at)
    assert found(w, APPLIED)[0] == 4
    assert found(w, APPLIED, blackouts=(pause,))[0] == 2


def test_totals__metric_that_silent_units_do_not_have__leaves_them_out_of_n() -> None:
    w = world()
    for unit in ("a", "b"):
        w.expose(unit, "control", START)
    w.observe("a", "csat", 2.0, START + HOUR)
    w.observe("a", "csat", 5.0, START + 2 * HOUR)
    metric = replace(SPENT, key="csat")
    assert found(w, replace(metric, aggregation="mean")) == (1, 3.5, 12.25)
    assert found(w, replace(metric, aggregation="last")) == (1, 5.0, 25.0)
    assert found(w, replace(metric, aggregation="max", cap=4.0)) == (1, 4.0, 16.0)
    assert (
        STORE.totals(people(w), replace(metric, aggregation="mean"))[w.arms["control"].pk].exposed
        == 2
    )


def test_totals__stamped_attribution__takes_rows_of_this_experiment_and_arm_only() -> None:
    w = world()
    w.expose("a", "control", START)
    stamp = {"experiment_id": w.experiment.pk}
    w.event("a", "apply", START + HOUR, **stamp, variant_id=w.arms["control"].pk)
    w.event("a", "apply", START + HOUR, **stamp, variant_id=w.arms["treatment"].pk)
    w.event("a", "apply", START + HOUR)
    counted = replace(APPLIED, kind=MetricKind.COUNT, aggregation="count")
    assert found(w, replace(counted, attribution="stamped")) == (1, 1.0, 1.0)
    assert found(w, counted) == (1, 3.0, 9.0)


def test_totals__arm_with_nobody__is_not_there() -> None:
    w = world()
    w.expose("a", "control", START)
    assert set(STORE.totals(people(w), APPLIED)) == {w.arms["control"].pk}


def test_totals__quotes_in_a_metric_name__are_text() -> None:
    w = world()
    w.expose("a", "control", START)
    w.observe("a", "o'brien \\ %s", 3.0, START + HOUR)
    assert found(w, replace(SPENT, key="o'brien \\ %s")) == (1, 3.0, 9.0)


def test_arms__units_exposures_and_crossovers__are_counted() -> None:
    w = world()
    w.expose("a", "control", START, exposure_count=5)
    w.expose("b", "control", START + HOUR, crossover=True)
    w.expose("late", "control", CUT + HOUR)
    [arm] = STORE.arms(people(w))
    assert (arm.units, arm.exposures, arm.crossovers) == (2, 6, 1)
    assert (arm.first, arm.last) == (START, START + HOUR)


# ---------------------------------------------------------------- the same by hand, on random worlds


def _window_end(start: datetime, metric: MetricDefinition) -> datetime:
    return (
        CUT + timedelta(microseconds=1)
        if metric.window_hours is None
        else start + metric.window_hours * HOUR
    )


def _by_hand(w: World, metric: MetricDefinition, arm: str) -> tuple[int, float, float]:
    """Every unit's every row, one after the other."""
    values: list[float] = []
    for unit in Assignment.objects.filter(
        iteration=w.iteration, variant=w.arms[arm], phase="main", environment="production"
    ):
        if unit.exposure_ts > CUT or (
            metric.window_hours is not None and _window_end(unit.exposure_ts, metric) + GRACE > CUT
        ):
            continue
        numbers = [
            n
            for at, n in _rows_of(w, metric, unit)
            if unit.exposure_ts <= at < _window_end(unit.exposure_ts, metric) and at <= CUT
        ]
        value = _reduce(numbers, metric)
        if value is not None:
            values.append(value)
    return len(values), sum(values), sum(v * v for v in values)


def _rows_of(w: World, metric: MetricDefinition, unit: Assignment) -> list[tuple[datetime, float]]:
    if metric.source == "event":
        rows = AiEvent.objects.filter(
            event_type__in=metric.event_types, environment="production"
        ).order_by("ts", "event_id")
        mine = [
            row
            for row in rows
            if (row.user_id if row.unit_type == "user" else row.units.get("user")) == unit.user_id
        ]
        return [(row.ts, 1.0 if row.value is None else row.value) for row in mine]
    seen = MetricObservation.objects.filter(
        metric_name=metric.key, environment="production", user_id=unit.user_id
    ).order_by("ts", "event_id")
    return [(row.ts, row.value) for row in seen if row.experiment_id in (None, w.experiment.pk)]


def _reduce(numbers: list[float], metric: MetricDefinition) -> float | None:
    if metric.aggregation == "any":
        return float(any(n > 0 for n in numbers))
    if metric.aggregation in ("count", "sum"):
        value = float(len(numbers)) if metric.aggregation == "count" else sum(numbers)
    elif not numbers:
        return None
    else:
        value = {"mean": sum(numbers) / len(numbers), "max": max(numbers), "last": numbers[-1]}[
            metric.aggregation
        ]
    return value if metric.cap is None else min(value, metric.cap)


def _random_world(seed: int) -> World:
    rng = random.Random(seed)
    w = world(f"random_{seed}", ("control", "one", "two"))
    at = lambda: START + timedelta(seconds=rng.randrange(12 * 86400))  # noqa: E731
    units = [f"u{i}" for i in range(40)]
    for unit in units:
        phase, environment = (
            rng.choice(["main"] * 8 + ["dark"]),
            rng.choice(["production"] * 8 + ["test"]),
        )
        w.expose(unit, rng.choice(list(w.arms)), at(), phase=phase, environment=environment)
    for _ in range(150):
        unit, value = rng.choice(units), rng.choice([None, 0.0, 1.0, -2.0, 7.5])
        own = rng.random() < 0.7
        carried = {"unit_type": "user"} if own else {"unit_type": "tenant", "units": {"user": unit}}
        environment = rng.choice(["production"] * 8 + ["test"])
        w.event(
            unit if own else "t1",
            rng.choice(["apply", "view"]),
            at(),
            value=value,
            environment=environment,
            **carried,
        )
        stamp = rng.choice([None, w.experiment.pk, 10**6])
        w.observe(
            unit,
            "spent",
            rng.choice([-1.5, 0.0, 2.0, 40.0]),
            at(),
            experiment_id=stamp,
            environment=environment,
        )
    return w


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("aggregation", ["any", "count", "sum", "mean", "max", "last"])
def test_totals__random_world__agrees_with_reading_every_row(seed: int, aggregation: str) -> None:
    w = _random_world(seed)
    for base in (APPLIED, SPENT, replace(SPENT, window_hours=48, cap=5.0)):
        if base.source == "event" and aggregation in ("mean", "max", "last"):
            continue
        metric = replace(
            base, aggregation=aggregation, cap=None if aggregation == "any" else base.cap
        )
        for arm in w.arms:
            assert found(w, metric, arm) == pytest.approx(_by_hand(w, metric, arm))
