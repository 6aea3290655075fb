"""When a unit met its variant: the client's moment where it says one, else the arrival, with a
grace before it.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from analytics.core.ground.totals import Totals
from analytics.core.intake.growthbook_items import read_exposure
from analytics.core.intake.ingest_items import ExposureItem, ItemError, parse_items
from analytics.core.results import ArmSummary
from analytics.core.scans.health import assess
from analytics.models import Assignment
from analytics.readings.measuring import population
from analytics.selectors.plans import plan_of
from analytics.services.analysis.analysis import analyse
from analytics.services.ingest.ingest import IngestIdentity, ingest_exposures, record_exposures
from analytics.stores.base import OWN_PAST
from analytics.stores.postgres import PostgresStore
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Direction, MetricKind, Phase
from experiments.models import Iteration
from tests.analytics.stores.observed import START, plan, world
from tests.serving_cast import NOW, launched, unit_in

pytestmark = pytest.mark.django_db
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
AT = START + DAY
CLICKS = MetricDefinition(
    key="clicks", name="Clicks", kind=MetricKind.MEAN, source="event", event_types=("click",), aggregation="count",
    direction=Direction.INCREASE, window_hours=72, lookback_days=7,
)  # fmt: skip
UNIT = unit_in(lambda bucket: bucket < 900)


def told(event_id, at, *, now=NOW):
    item = ExposureItem(event_id=event_id, units={"user": UNIT}, experiment="checkout", at=at)
    return ingest_exposures([item], now=now, identity=IngestIdentity())


def dated():
    row = Assignment.objects.get()
    return row.exposure_ts, row.by_arrival, row.received_ts


# ---------------------------------------------------------------- what is stored


def test_exposure__with_a_time__keeps_it_and_when_it_arrived():
    launched()
    told("a", NOW - 7 * SECOND)
    assert dated() == (NOW - 7 * SECOND, False, NOW)


def test_exposure__without_a_time__is_dated_by_arrival__until_an_earlier_one_says_its_own():
    launched()
    told("a", None)
    assert dated() == (NOW, True, NOW)
    told("b", NOW + DAY, now=NOW + DAY)
    assert dated() == (NOW, True, NOW)
    told("c", NOW - 5 * SECOND, now=NOW + 2 * DAY)
    assert dated() == (NOW - 5 * SECOND, False, NOW + 2 * DAY)


def test_exposure__of_a_server__has_its_own_moment_and_no_grace():
    made = launched()
    iteration, arm = Iteration.objects.get(), made.variants.first()
    queued = QueuedExposure(
        event_id="q", at=NOW - 30 * SECOND, experiment_id=made.pk, iteration_id=iteration.pk, variant_id=arm.pk, unit_type="user",
        unit_id=UNIT, bucket=1, phase=Phase.MAIN,
    )  # fmt: skip
    record_exposures([queued], now=NOW)
    assert dated() == (NOW - 30 * SECOND, False, None)


def reported(**item):
    properties = {"experimentId": "checkout", "hashValue": UNIT}
    event = {"event_name": "Experiment Viewed", "properties_json": properties} | item
    (read,) = parse_items(
        [json.loads(json.dumps(event))], lambda raw: read_exposure(raw, {"id": "user"}, "e")
    )
    return read


@pytest.mark.parametrize(
    "stated",
    ["2026-03-10T11:59:53+00:00", "2026-03-10T12:59:53+01:00", 1773143993000, 1773143993000.0],
)
def test_track__timestamp_of_the_item__is_the_exposures(stated):
    item = reported(timestamp=stated)
    assert isinstance(item, ExposureItem)
    assert item.at == NOW - 7 * SECOND


@pytest.mark.parametrize(
    "stated", ["yesterday", "2026-03-10T11:59:53", 1e30, -1e30, True, {"at": 1}]
)
def test_track__timestamp_that_is_none__is_refused_by_name(stated):
    item = reported(timestamp=stated)
    assert isinstance(item, ItemError)
    assert item.field == "timestamp"


# ---------------------------------------------------------------- what counts


def totals(w, *, counts=False, grace=10 * SECOND, covariate=None):
    iteration = Iteration.objects.get(pk=w.iteration.pk)
    people = population(plan_of(iteration, START + 9 * DAY), START + 9 * DAY)
    people = replace(people, arrival_grace=grace, arrival_grace_counts=counts)
    found = PostgresStore().totals(people, CLICKS, covariate=covariate)
    return found[w.arms["control"].pk].totals


def past(w, **how):
    """Σ of the units' own values from before their exposure."""
    known = totals(w, covariate=OWN_PAST, **how).known
    return known.sums[known.names.index("y0")] if known.n else 0.0


def six_units(*, by_arrival):
    """Each clicked once, 6 to 11 s before the exposure: with a grace of 10 s all but the last are
    inside it.
    """
    w = world()
    for n in range(6, 12):
        w.expose(f"u{n}", "control", AT, by_arrival=by_arrival)
        w.event(f"u{n}", "click", AT - n * SECOND)
    return w


def test_outcome__rows_in_the_grace__count_only_where_the_plan_says_so():
    w = six_units(by_arrival=True)
    assert totals(w).sum_y == 0
    assert totals(w, counts=True).sum_y == 5
    assert totals(w, counts=True, grace=0 * SECOND).sum_y == 0


def test_past__rows_in_the_grace__are_never_a_covariate():
    w = six_units(by_arrival=True)
    assert past(w) == 1
    assert past(w, counts=True) == 1
    assert past(w, grace=0 * SECOND) == 6


@pytest.mark.parametrize("counts", [False, True])
def test_client_dated_exposures__have_no_grace(counts):
    w = six_units(by_arrival=False)
    assert totals(w, counts=counts).sum_y == 0
    assert past(w, counts=counts) == 6


def test_window__ends_where_it_did__with_a_grace():
    w = world()
    w.expose("u", "control", AT, by_arrival=True)
    for at in (
        AT + 72 * 60 * 60 * SECOND - 11 * SECOND,
        AT + 72 * 60 * 60 * SECOND - SECOND,
        AT + 72 * 60 * 60 * SECOND,
    ):
        w.event("u", "click", at)
    assert totals(w, counts=True).sum_y == totals(w).sum_y == 2


def test_plan__fixes_the_grace__ten_seconds_by_default():
    w = world(arrival_grace_seconds=30, arrival_grace_counts=True)
    plan(w, "primary", "apply_conversion")
    fixed = population(plan_of(w.iteration, START), START)
    assert (fixed.arrival_grace, fixed.arrival_grace_counts) == (30 * SECOND, True)
    other = world("other")
    plan(other, "primary", "apply_conversion")
    fixed = population(plan_of(other.iteration, START), START)
    assert (fixed.arrival_grace, fixed.arrival_grace_counts) == (10 * SECOND, False)


# ---------------------------------------------------------------- delays that differ


def delayed(seconds, n=200, spread=0.5):
    logs = [math.log1p(seconds) + spread * ((i % 5) - 2) for i in range(n)]
    return Totals(n, sum(logs), sum(x * x for x in logs))


@pytest.mark.parametrize(
    ("control", "treatment", "differs"),
    [
        (delayed(2), delayed(2), False),
        (delayed(2), delayed(8), True),
        (delayed(2, n=50), delayed(8, n=50), False),
        (None, delayed(8), False),
    ],
)
def test_health__delay_that_differs_by_arm__is_a_finding(control, treatment, differs):
    arms = [
        ArmSummary("a", "A", True, 200, expected_share=0.5, delays=control),
        ArmSummary("b", "B", False, 200, expected_share=0.5, delays=treatment),
    ]
    codes = {finding.code for finding in assess(arms, [], gates=False).findings}
    assert ("delays_differ" in codes) is differs


def test_analysis__arms_told_with_other_delays__says_so():
    w = world()
    plan(w, "primary", "apply_conversion")
    for n in range(150):
        for arm, seconds in (("control", 1 + n % 3), ("treatment", 6 + n % 3)):
            w.expose(f"{arm}{n}", arm, AT + n * SECOND, received_ts=AT + (n + seconds) * SECOND)
    findings = analyse(w.experiment.pk, now=START + 9 * DAY).health["findings"]
    (found,) = [finding for finding in findings if finding["code"] == "delays_differ"]
    assert "1.9 s in control, 7.0 s in treatment" in found["sentence"]
