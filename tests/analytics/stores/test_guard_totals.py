"""What guarding asks of the store: bad events by the hour, outcome and cost of each unit, what an
experiment has spent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from analytics.models import RequestCost
from analytics.stores.base import HourCount, Population
from analytics.stores.postgres import PostgresStore
from experiments.core.library.metrics import LIBRARY
from tests.analytics.stores.observed import START, World, day_exists, world

pytestmark = pytest.mark.django_db
STORE = PostgresStore()
HOUR = timedelta(hours=1)
CUT = START + timedelta(days=10)
METRICS = {metric.key: metric for metric in LIBRARY}
_ids = count(1)


def people(of: World) -> Population:
    return Population(
        experiment_id=of.experiment.pk, iteration_id=of.iteration.pk, unit_type="user", cut=CUT
    )


def metered(request: str, micro: int | None) -> None:
    at = START + HOUR
    day_exists("ai_request_costs", at)
    row: dict[str, Any] = {
        "event_date": at.date(),
        "ts": at,
        "received_ts": at,
        "model": "m",
        "environment": "production",
        "origin": "live",
    }
    RequestCost.objects.create(
        event_id=f"m{next(_ids)}", request_id=request, cost_micro=micro, **row
    )


def test_first_rows__each_unit_once_in_the_hour_of_its_first_bad_event__beside_those_exposed() -> (
    None
):
    w = world()
    for unit, hour in (("a", 0), ("b", 0), ("c", 2)):
        w.expose(unit, "treatment", START + hour * HOUR + timedelta(minutes=10))
    for unit, minutes in (("a", 70), ("a", 150), ("b", 5), ("b", 199), ("c", 130)):
        w.event(
            unit,
            "http_5xx" if minutes != 150 else "ai_fallback",
            START + timedelta(minutes=minutes),
        )
    w.event("a", "ai_request", START + HOUR)
    arm = w.arms["treatment"].pk
    assert STORE.first_rows(people(w), METRICS["error_rate"]) == (
        HourCount(arm, START, 2, 0),
        HourCount(arm, START + HOUR, 0, 1),
        HourCount(arm, START + 2 * HOUR, 1, 1),
        HourCount(arm, START + 3 * HOUR, 0, 1),
    )


def test_worth__outcome_and_cost_of_each_matured_unit__silent_ones_are_zeros() -> None:
    w = world()
    for unit in ("a", "b", "c"):
        w.expose(unit, "control", START)
    w.expose("late", "control", CUT - HOUR)
    for unit, cost in (("a", 500), ("a", 250), ("b", 100), ("late", 900)):
        w.event(
            unit,
            "ai_request",
            START + HOUR if unit != "late" else CUT - timedelta(minutes=30),
            cost_micro=cost,
        )
    w.event("a", "apply", START + 2 * HOUR)
    w.event("b", "ai_request", START + timedelta(hours=80), cost_micro=7)
    for cost in ("cost_per_request", "cost_per_unit"):
        found = STORE.worth(people(w), METRICS["apply_conversion"], METRICS[cost])[
            w.arms["control"].pk
        ]
        assert (found.n, found.sum("y"), found.sum("c")) == (3, 1.0, 850.0), (
            "within the outcome's 72 hours"
        )
        assert (found.product("y", "c"), found.product("c", "c")) == (750.0, 750.0**2 + 100.0**2)


def test_spent__own_and_metered_costs_of_its_units__each_request_once() -> None:
    # Given units of both arms and of a twin, one tester, and costs told by events, metered, or both
    w = world()
    w.expose("a", "control", START)
    w.expose("b", "treatment", START)
    w.expose("twin", "control", START, phase="twin")
    w.expose("tester", "treatment", START, phase="override")
    w.event("a", "ai_request", START + HOUR, cost_micro=100)
    w.event("a", "ai_request", START - HOUR, cost_micro=9_000)
    w.event("b", "ai_request", START + HOUR, cost_micro=50, request_id="r1")
    w.event("b", "ai_request", START + HOUR, cost_micro=7, request_id="r2")
    w.event("twin", "ai_request", START + HOUR, cost_micro=3)
    w.event("tester", "ai_request", START + HOUR, cost_micro=9_000)
    w.event("stranger", "ai_request", START + HOUR, cost_micro=9_000)
    w.event(
        "a",
        "ai_request",
        START + HOUR,
        cost_micro=9_000,
        experiment_id=w.experiment.pk + 1,
        variant_id=1,
    )
    w.event(
        "a",
        "ai_request",
        START + HOUR,
        cost_micro=1,
        experiment_id=w.experiment.pk,
        variant_id=w.arms["control"].pk,
    )
    w.event("b", "ai_request", START + HOUR, cost_micro=9_000, environment="test")
    metered("r1", 60)
    metered("r1", 5)
    metered("r2", None)
    metered("nobody", 9_000)
    # Then the metered request counts by its meter, the one metered without a cost by what its event
    # says
    assert STORE.spent(people(w)) == 100 + (60 + 5) + 7 + 3 + 1
    assert STORE.spent(replace(people(w), cut=START)) == 0
