"""Ratios, quantiles, durations and covariates from PostgreSQL: exactly what reading every row by
hand gives.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.quantile import QuantileTotals, of_rows
from analytics.stores.base import OWN_PAST, POOLED
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Direction, MetricKind
from tests.analytics.stores.observed import START, World, world
from tests.analytics.stores.test_postgres_totals import (
    APPLIED,
    CUT,
    DAY,
    HOUR,
    SPENT,
    STORE,
    people,
)

pytestmark = pytest.mark.django_db

ERRORS = MetricDefinition(
    key="error_rate", name="Error rate", kind=MetricKind.RATIO, source="event", event_types=("failed",),
    denominator_event_types=("ai_request",), aggregation="count", direction=Direction.DECREASE, window_hours=72,
)  # fmt: skip
COST = replace(
    ERRORS, key="cost", event_types=("ai_request",), aggregation="sum", value_field="cost_micro"
)
LATENCY = replace(
    ERRORS,
    key="p95",
    kind=MetricKind.QUANTILE,
    event_types=("ai_request",),
    denominator_event_types=(),
    aggregation="max",
    value_field="latency_ms",
)
RESOLVED = replace(
    ERRORS,
    key="ttr",
    kind=MetricKind.DURATION,
    event_types=("resolved",),
    denominator_event_types=(),
    aggregation="last",
)


def observed(
    of: World,
    metric: MetricDefinition,
    arm: str = "control",
    covariate: str | None = None,
    **changes: object,
) -> Observed:
    return STORE.totals(people(of, **changes), metric, covariate=covariate)[of.arms[arm].pk].totals


def test_totals__ratio__adds_numerator_and_denominator_per_unit_and_keeps_silent_units() -> None:
    w = world()
    for unit in ("a", "b", "silent"):
        w.expose(unit, "control", START)
    for unit, requests, failures in (("a", 3, 2), ("b", 1, 0)):
        for i in range(requests):
            w.event(unit, "ai_request", START + HOUR * (i + 1), cost_micro=100 * (i + 1))
        for i in range(failures):
            w.event(unit, "failed", START + HOUR * (i + 1))
    w.event("a", "ai_request", START - HOUR)
    assert observed(w, ERRORS) == UnitMoments(3, ("y", "d"), (2.0, 4.0), (4.0, 6.0, 10.0))
    assert observed(w, COST) == UnitMoments(
        3, ("y", "d"), (700.0, 4.0), (600.0**2 + 100.0**2, 600.0 * 3 + 100.0, 10.0)
    )


def test_totals__ratio_of_observations__divides_by_how_many_there_are() -> None:
    w = world()
    w.expose("a", "control", START)
    for value in (0.5, 1.0):
        w.observe("a", "spent", value, START + HOUR)
    assert observed(w, replace(SPENT, kind=MetricKind.RATIO)) == UnitMoments(
        1, ("y", "d"), (1.5, 2.0), (2.25, 3.0, 4.0)
    )


def test_totals__covariate_of_the_own_past__reads_the_lookback_and_stops_before_exposure() -> None:
    w = world()
    for unit in ("a", "new"):
        w.expose(unit, "control", START + 20 * DAY)
    w.event("a", "apply", START + 20 * DAY + HOUR)
    w.event("a", "apply", START + 20 * DAY - HOUR)
    w.event("a", "apply", START + 6 * DAY)
    w.event("a", "apply", START + 6 * DAY - timedelta(seconds=1))
    counts = replace(APPLIED, kind=MetricKind.COUNT, aggregation="count")
    seen = observed(w, counts, covariate=OWN_PAST, cut=START + 40 * DAY, rows_from=START + 20 * DAY)
    assert seen == Remembered(
        UnitMoments(2, ("y", "y0"), (1.0, 2.0), (1.0, 2.0, 4.0)),
        UnitMoments(0, ("y",), (0.0,), (0.0,)),
    )
    assert seen.whole.of("y") == observed(w, counts, cut=START + 40 * DAY)


def test_totals__units_whose_past_says_nothing__are_a_stratum_of_their_own() -> None:
    w = world()
    for unit in ("a", "b", "mute"):
        w.expose(unit, "control", START)
    w.observe("a", "csat", 4.0, START - HOUR)
    w.observe("a", "csat", 5.0, START + HOUR)
    w.observe("b", "csat", 3.0, START + HOUR)
    metric = replace(SPENT, key="csat", aggregation="mean")
    seen = observed(w, metric, covariate=OWN_PAST)
    assert seen == Remembered(
        UnitMoments(1, ("y", "y0"), (5.0, 4.0), (25.0, 20.0, 16.0)),
        UnitMoments(1, ("y",), (3.0,), (9.0,)),
    )


def test_totals__named_covariate__is_taken_where_it_is_a_number() -> None:
    w = world()
    for unit, covariates in {"a": {"history": 12.5}, "b": {"history": "long"}, "c": None}.items():
        w.expose(unit, "control", START, covariates=covariates)
        w.observe(unit, "spent", 2.0, START + HOUR)
    seen = observed(w, SPENT, covariate="history")
    assert isinstance(seen, Remembered)
    assert (seen.known.of("y", "y0"), seen.missing.of("y")) == (
        Totals(1, 2.0, 4.0, 12.5, 156.25, 25.0),
        Totals(2, 4.0, 8.0),
    )


def test_totals__p95_of_requests__is_that_of_all_rows_clustered_by_bucket() -> None:
    w, rng = world(), random.Random(5)
    rows: list[tuple[float, int]] = []
    for number in range(60):
        bucket = number % 15
        w.expose(f"u{number}", "control", START, bucket_id=bucket)
        for _ in range(rng.randint(1, 12)):
            latency = rng.choice([rng.randint(80, 900), rng.randint(900, 3000), 130_000])
            w.event(f"u{number}", "ai_request", START + HOUR, latency_ms=latency)
            rows.append((float(latency), bucket))
    seen = observed(w, replace(LATENCY, quantile=0.6))
    by_hand = of_rows(
        [value for value, _ in rows], [bucket for _, bucket in rows], 0.6, limit=119_999
    )
    assert isinstance(seen, QuantileTotals)
    assert (seen.n, seen.beyond, seen.units, seen.clusters.n) == (len(rows), by_hand.beyond, 60, 15)
    assert seen.value == pytest.approx(by_hand.value, abs=0.5)
    assert seen.clusters.sum_x == len(rows)
    assert abs(seen.clusters.sum_y - by_hand.clusters.sum_y) <= 1


def test_totals__time_to_resolve__counts_units_that_never_got_there_as_infinitely_late() -> None:
    w = world()
    for number in range(30):
        w.expose(f"u{number}", "control", START)
        if number < 20:
            w.event(f"u{number}", "resolved", START + 2 * HOUR, value=1.0 + number)
    seen = observed(w, RESOLVED)
    assert isinstance(seen, QuantileTotals)
    assert (seen.n, seen.units, seen.beyond, seen.value) == (30, 30, 10, 15.0)
    assert observed(w, replace(RESOLVED, quantile=0.8)).value is None


def test_totals__pooled__are_of_all_variants_as_one_group() -> None:
    w = world()
    w.expose("a", "control", START)
    w.expose("b", "treatment", START)
    w.event("a", "ai_request", START + HOUR)
    w.event("b", "failed", START + HOUR)
    [(variant, found)] = STORE.totals(people(w, grouping="all"), ERRORS, matured=False).items()
    assert (variant, found.totals) == (
        POOLED,
        UnitMoments(2, ("y", "d"), (1.0, 1.0), (1.0, 0.0, 1.0)),
    )


def test_totals__random_world__agrees_with_counting_by_hand() -> None:
    w, rng = world(), random.Random(11)
    starts, now, before = {}, defaultdict(lambda: [0.0, 0.0]), defaultdict(lambda: [0.0, 0.0])
    for number in range(40):
        unit, at = f"u{number}", START + timedelta(hours=rng.randint(0, 96))
        starts[unit] = at
        w.expose(unit, rng.choice(["control", "treatment"]), at)
        for _ in range(rng.randint(0, 8)):
            moment, kind = (
                at + timedelta(hours=rng.randint(-500, 100), minutes=1),
                rng.choice(["ai_request", "failed"]),
            )
            w.event(unit, kind, moment)
            age = moment - at
            side = (
                now
                if timedelta(0) <= age < 72 * HOUR and moment <= CUT
                else before
                if -14 * DAY <= age < timedelta(0)
                else None
            )
            if side is not None:
                side[unit][kind == "ai_request"] += 1.0
    for arm in ("control", "treatment"):
        units = [a.user_id for a in w.arms[arm].assignments.all()]
        seen = observed(w, ERRORS, arm, covariate=OWN_PAST)
        columns = {
            "y": [now[u][0] for u in units],
            "d": [now[u][1] for u in units],
            "y0": [before[u][0] for u in units],
            "d0": [before[u][1] for u in units],
        }
        assert isinstance(seen, Remembered)
        assert seen.known == UnitMoments.of_rows(**columns)
