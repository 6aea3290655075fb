"""Metrics of feedback and of what calls cost, which are kept in tables of their own; and arms
described as they came.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from analytics.core.ground.moments import UnitMoments
from analytics.models import Feedback, ModelPrice, RequestCost
from analytics.stores.base import Population, Spending
from analytics.stores.history import unit_past
from analytics.stores.postgres import PostgresStore
from analytics.stores.spans import PastSpan
from experiments.core.library.metrics import LIBRARY, exploratory
from tests.analytics.stores.observed import START, World, day_exists, world

pytestmark = pytest.mark.django_db
STORE = PostgresStore()
HOUR = timedelta(hours=1)
CUT = START + timedelta(days=10)
METRICS = {metric.key: metric for metric in LIBRARY}
_ids = count(1)
COMMON = {"environment": "production", "origin": "live"}


def people(of: World) -> Population:
    return Population(
        experiment_id=of.experiment.pk, iteration_id=of.iteration.pk, unit_type="user", cut=CUT
    )


def told(of: World, unit: str, request: str, **fields: Any) -> None:
    of.event(unit, "ai_request", START + HOUR, request_id=request, **fields)


def cost(request: str, micro: int | None, **fields: Any) -> None:
    at = START + HOUR
    day_exists("ai_request_costs", at)
    columns = {
        "event_date": at.date(),
        "event_id": f"c{next(_ids)}",
        "ts": at,
        "received_ts": at,
        "model": "m",
        **COMMON,
        **fields,
    }
    RequestCost.objects.create(request_id=request, cost_micro=micro, **columns)


def said(unit: str, label: str | None, **fields: Any) -> None:
    at = START + HOUR
    day_exists("ai_feedback", at)
    columns = {
        "event_date": at.date(),
        "event_id": f"f{next(_ids)}",
        "ts": at,
        "received_ts": at,
        "unit_type": "user",
        **COMMON,
        **fields,
    }
    Feedback.objects.create(user_id=unit, label=label, **columns)


@pytest.fixture
def met() -> World:
    w = world()
    for unit in ("a", "b", "c"):
        w.expose(unit, "control", START)
    return w


def totals(of: World, key: str) -> Any:
    return STORE.totals(people(of), METRICS[key])[of.arms["control"].pk].totals


def test_costs__belong_to_the_unit_of_their_request__once_each(met: World) -> None:
    told(met, "a", "r1")
    told(met, "a", "r1")
    told(met, "b", "r2")
    told(met, "b", "r2", environment="test")
    cost("r1", 100)
    cost("r1", 30)
    cost("r2", 7)
    cost("r2", 9000, environment="test")
    cost("r9", 5)
    spent = totals(met, "metered_cost_per_unit")
    assert (spent.n, spent.sum_y, spent.sum_y2) == (3, 137.0, 130.0**2 + 49)
    ratio = totals(met, "metered_cost_per_request")
    assert isinstance(ratio, UnitMoments)
    assert dict(zip(ratio.names, ratio.sums, strict=True)) == {"y": 137.0, "d": 3.0}


def test_feedback__is_counted_by_label_and_by_edit(met: World) -> None:
    for label in ("useful", "useful", "not_useful"):
        said("a", label)
    said("b", "not_useful", manual_edit_flag=True)
    said("b", None, manual_edit_flag=False)
    said("c", "useful", environment="test")
    useful = totals(met, "useful_answers")
    assert dict(zip(useful.names, useful.sums, strict=True)) == {"y": 2.0, "d": 4.0}
    edited = totals(met, "edited_by_hand")
    assert (edited.n, edited.sum_y) == (3, 1.0)


def test_describe__rows_units_and_extremes__as_they_came(met: World) -> None:
    for unit, value in (("a", 4.0), ("a", -2.0), ("b", 0.0)):
        met.observe(unit, "nps", value, START + HOUR)
    found = STORE.describe(people(met), exploratory("nps"), matured=False)[met.arms["control"].pk]
    assert (found.exposed, found.rows, found.converted) == (3, 3, 1)
    assert found.row_mean == pytest.approx(2 / 3)
    assert (found.units.n, found.units.sum_y, found.least, found.most) == (2, 1.0, 0.0, 1.0)


def test_describe__silent_units_of_a_share__are_zeros(met: World) -> None:
    met.event("a", "apply", START + HOUR)
    found = STORE.describe(people(met), METRICS["apply_conversion"], matured=True)[
        met.arms["control"].pk
    ]
    assert (found.units.n, found.units.sum_y, found.least, found.most) == (3, 1.0, 0.0, 1.0)
    met.expose("late", "treatment", CUT - HOUR)
    assert met.arms["treatment"].pk not in STORE.describe(
        people(met), METRICS["apply_conversion"], matured=True
    )
    late = STORE.describe(people(met), METRICS["apply_conversion"], matured=False)[
        met.arms["treatment"].pk
    ]
    assert (late.exposed, late.rows, late.row_mean, late.least) == (1, 0, None, 0.0)


def test_history__past_costs_and_feedback__are_read_for_plans(met: World) -> None:
    told(met, "a", "r1")
    told(met, "b", "r2")
    cost("r1", 100)
    span = PastSpan(unit_type="user", since=START, cut=START + timedelta(days=9))
    past = unit_past(span, METRICS["metered_cost_per_unit"]).totals
    assert (past.n, past.sum_y) == (3, 100.0)  # the third was only exposed


def price(model: str, since: int, price_in: str, price_out: str) -> None:
    day = (START + timedelta(days=since)).date()
    ModelPrice.objects.create(
        model=model, valid_from=day, price_in=price_in, price_out=price_out, set_at=START
    )


def test_costs__tokens_without_money__are_priced_at_their_day__and_money_that_was_sent_stands(
    met: World,
) -> None:
    price("big", -30, "3", "15")
    price("big", 0, "2", "10")
    price("big", 1, "90", "90")
    told(met, "a", "r1")
    told(met, "b", "r2")
    told(met, "c", "r3")
    cost("r1", None, model="big", tokens_in=1000, tokens_out=200)
    cost("r2", 500, model="big", tokens_in=1000, tokens_out=200)
    cost("r3", None, model="unknown", tokens_in=1000)

    found = totals(met, "metered_cost_per_unit")

    assert (found.n, found.sum_y) == (3, 4000 + 500)


def test_spending__per_variant_and_model__with_what_was_priced_and_what_could_not_be(
    met: World,
) -> None:
    met.expose("t", "treatment", START)
    price("big", 0, "2", "10")
    for unit, request in (("a", "r1"), ("b", "r2"), ("t", "r3"), ("t", "r4")):
        told(met, unit, request)
    cost("r1", None, model="big", tokens_in=1000, tokens_out=200, cache_hit=False)
    cost("r2", 300, model="small", tokens_in=10, cache_hit=True)
    cost("r2", None, model="small", tokens_in=5)
    cost("r3", 100, model="big", tokens_in=1)
    told(met, "t", "elsewhere", experiment_id=met.experiment.pk + 1)
    cost("elsewhere", 9999, model="big")
    told(met, "a", "unmetered", cost_micro=70)
    told(met, "stranger", "r9", cost_micro=10**6)
    control, treatment = met.arms["control"].pk, met.arms["treatment"].pk

    found = STORE.spending(people(met))

    assert found == (
        Spending(control, "", 1, 0, 0, 70, 0, 0, 0, 0),
        Spending(control, "big", 1, 1000, 200, 4000, 4000, 0, 1, 0),
        Spending(control, "small", 2, 15, 0, 300, 0, 1, 1, 1),
        Spending(treatment, "big", 1, 1, 0, 100, 0, 0, 0, 0),
    )
    assert STORE.spent(people(met)) == sum(one.cost_micro for one in found)
