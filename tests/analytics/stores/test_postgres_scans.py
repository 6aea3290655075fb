"""Totals by variant and part, effects that wear, and how what units and events carry is spread."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from analytics.core.ground.totals import Totals
from analytics.stores.base import OTHERS, CarriedName, Declared, OtherIteration, Population, part_of
from analytics.stores.postgres import PostgresStore
from experiments.core.library.metrics import LIBRARY
from experiments.core.types import MetricKind
from tests.analytics.stores.observed import START, World, world

pytestmark = pytest.mark.django_db
STORE = PostgresStore()
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CUT = START + 20 * DAY
METRICS = {metric.key: metric for metric in LIBRARY}
APPLY = METRICS["apply_conversion"]


def people(of: World, **fields: object) -> Population:
    known = {
        "experiment_id": of.experiment.pk,
        "iteration_id": of.iteration.pk,
        "unit_type": "user",
        "cut": CUT,
    }
    return Population(**{**known, **fields})  # type: ignore[arg-type]  # fields by name


def test_totals__beside_another_experiment__one_cell_per_pair_of_arms() -> None:
    one, other = world("one"), world("other")
    for unit, arm, other_arm in (
        ("a", "control", "control"),
        ("b", "control", "treatment"),
        ("c", "treatment", "treatment"),
    ):
        one.expose(unit, arm, START)
        other.expose(unit, other_arm, START + HOUR)
    one.expose("alone", "control", START)
    other.expose("late", "control", START + 15 * DAY)
    one.expose("late", "control", START)
    one.event("b", APPLY.event_types[0], START + 2 * HOUR)
    windowed = replace(APPLY, window_hours=24 * 7)

    found = STORE.totals(people(one, split=OtherIteration(other.iteration.pk)), windowed)

    cells = {part_of(key): totals.totals for key, totals in found.items()}
    mine, theirs = one.arms, other.arms
    assert cells == {
        (mine["control"].pk, theirs["control"].pk): Totals(1, 0, 0),
        (mine["control"].pk, theirs["treatment"].pk): Totals(1, 1, 1),
        (mine["treatment"].pk, theirs["treatment"].pk): Totals(1, 0, 0),
    }


def test_totals__declared_values__those_alone_count_whatever_their_json_type() -> None:
    w = world()
    for unit, covariates in (
        ("a", {"plan": "pro"}),
        ("b", {"plan": "free"}),
        ("c", {"plan": 7}),
        ("d", {}),
        ("e", None),
        ("f", {"plan": "x"}),
    ):
        w.expose(unit, "control", START, covariates=covariates)
    w.event("a", APPLY.event_types[0], START + HOUR)

    found = STORE.totals(people(w, split=Declared("plan", ("free", "pro", "7"))), APPLY)

    assert {part_of(key)[1]: totals.totals for key, totals in found.items()} == {
        0: Totals(1, 0, 0),
        1: Totals(1, 1, 1),
        2: Totals(1, 0, 0),
    }


def test_wearing__a_unit_not_followed_to_the_end__is_left_out() -> None:
    w = world()
    counted = replace(APPLY, kind=MetricKind.COUNT, aggregation="count")
    kind = counted.event_types[0]
    w.expose("fades", "control", START)
    w.expose("silent", "control", START)
    w.expose("young", "control", START + 8 * DAY)
    for hours in (1, 2, 24 * 6, 24 * 8):
        w.event("fades", kind, START + hours * HOUR)
    w.event("young", kind, START + 8 * DAY + HOUR)

    [found] = STORE.wearing(people(w), counted, 7).values()

    assert found.n == 2
    assert found.sum_y == pytest.approx(2 / 7)
    assert found.sum_y2 == pytest.approx((2 / 7) ** 2)


def test_since_exposure__each_day_of_those_followed_to_its_end() -> None:
    w = world()
    counted = replace(APPLY, kind=MetricKind.COUNT, aggregation="count")
    kind = counted.event_types[0]
    w.expose("old", "control", START)
    w.expose("silent", "control", START)
    w.expose("young", "control", CUT - 3 * DAY)  # a day of grace: followed for two
    w.expose("newest", "control", CUT - 1 * DAY)
    for hours in (0, 23, 24, 30, 24 * 4):
        w.event("old", kind, START + hours * HOUR)
    for hours in (1, 49):
        w.event("young", kind, CUT - 3 * DAY + hours * HOUR)
    w.event("newest", kind, CUT - HOUR)

    found = STORE.since_exposure(people(w), counted, 4)

    control = w.arms["control"].pk
    assert found == {
        (control, 0): Totals(3, 3, 5),
        (control, 1): Totals(3, 2, 4),
        (control, 2): Totals(2, 0, 0),
        (control, 3): Totals(2, 0, 0),
    }


def test_since_exposure__a_unit_that_did_not_answer_has_no_value_that_day() -> None:
    w = world()
    rated = METRICS["csat"]
    w.expose("a", "control", START)
    w.expose("b", "control", START)
    w.event("a", rated.event_types[0], START + HOUR, value=4.0)

    found = STORE.since_exposure(people(w), rated, 2)

    assert found[w.arms["control"].pk, 0] == Totals(1, 4, 16)
    assert found[w.arms["control"].pk, 1] == Totals(0, 0, 0)


def test_watched__names_with_whether_all_is_number() -> None:
    w = world()
    w.expose("a", "control", START, covariates={"age": 30, "plan": "pro"})
    w.expose("b", "control", START, covariates={"age": 40, "plan": 7})
    w.event(
        "a",
        "ai_request",
        START + HOUR,
        experiment_id=w.experiment.pk,
        embedding_stats={"norm": 1.5},
    )
    w.event("a", "ai_request", START + HOUR, embedding_stats={"elsewhere": 1.5})

    found = STORE.watched(people(w, rows_from=START), 40)

    assert set(found) == {
        CarriedName("covariates", "age", True),
        CarriedName("covariates", "plan", False),
        CarriedName("embedding_stats", "norm", True),
    }


def test_bins_and_words__of_a_span() -> None:
    w = world()
    for n in range(1, 101):
        w.expose(
            f"u{n}",
            "control",
            START + HOUR,
            covariates={"age": n, "plan": "ab"[n % 2] if n > 3 else f"rare{n}"},
        )
    w.expose("later", "control", START + 9 * DAY, covariates={"age": 1000, "plan": "a"})
    week = (START, START + 7 * DAY)
    age, plan = CarriedName("covariates", "age", True), CarriedName("covariates", "plan", False)

    tenths = STORE.deciles(people(w), age, week)

    assert tenths[0] == pytest.approx(10.9) and tenths[-1] == 100
    assert STORE.bins(people(w), age, week, (10.0, 50.0)) == (10, 40, 50)
    assert STORE.words(people(w), plan, week, 2) == {"a": 49, "b": 48, OTHERS: 3}


def test_bins__embedding_statistics_of_own_events_alone() -> None:
    w = world()
    for value in (1.0, 2.0, 3.0):
        w.event(
            "a",
            "ai_request",
            START + HOUR,
            experiment_id=w.experiment.pk,
            embedding_stats={"norm": value},
        )
    w.event("a", "ai_request", START + HOUR, embedding_stats={"norm": 9.0})
    norm = CarriedName("embedding_stats", "norm", True)

    assert STORE.bins(people(w), norm, (START, START + DAY), (1.0, 2.5)) == (1, 1, 1)
