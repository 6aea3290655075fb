"""How far back, ahead and apart a batch's moments may lie, and that no request has to make
tomorrow's partition.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics.core.intake.ingest_items import EventItem, ExposureItem, ObservationItem
from analytics.models import AiEvent, Assignment, IngestTally, RefusedItem
from analytics.services.ingest import partitions
from analytics.services.ingest.days_ahead import make_days_ahead
from analytics.services.ingest.ingest import (
    IngestIdentity,
    ingest_events,
    ingest_exposures,
    ingest_observations,
)
from config.celery_settings import BEAT
from experiments.core.types import Origin
from tests.serving_cast import NOW, launched, unit_in

pytestmark = pytest.mark.django_db
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def event(event_id, at, **fields):
    return EventItem(event_id=event_id, units={"user": "u"}, event_type="paid", at=at, **fields)


def take(*items, identity=None, origin=Origin.LIVE):
    return ingest_events(items, now=NOW, identity=identity or IngestIdentity(), origin=origin)


def tallied(outcome):
    return sum(IngestTally.objects.filter(outcome=outcome).values_list("count", flat=True))


def codes(result):
    return [(error.index, error.code) for error in result.errors]


def test_batch_of_many_days__makes_at_most_forty_partitions_and_names_the_rest():
    result = take(
        *(event(f"e{n}", NOW - n * DAY) for n in range(60)), event("again", NOW - 3 * DAY)
    )
    assert result.accepted == 41
    assert codes(result) == [(n, "too_many_days") for n in range(40, 60)]
    days = [(NOW - n * DAY).date() for n in range(60)]
    assert len(partitions.missing_days("ai_events", days)) == 20
    assert result.accepted + result.duplicates + len(result.errors) == 61


def test_batch_of_a_thousand_days__costs_no_more_than_one_of_forty():
    result = take(*(event(f"e{n}", NOW - n * DAY / 12) for n in range(1_000)))
    assert (result.accepted, len(result.errors)) == (475, 525)
    assert {code for _, code in codes(result)} == {"too_many_days"}


def test_days_that_were_left_out__are_taken_in_a_batch_of_their_own():
    late = [event(f"e{n}", NOW - n * DAY) for n in range(45)]
    assert [code for _, code in codes(take(*late))] == ["too_many_days"] * 5
    assert take(*late).accepted == 5


def test_ninety_days_back__is_late__and_older_is_a_dead_letter():
    result = take(event("a", NOW - 90 * DAY), event("b", NOW - 90 * DAY - MINUTE), event("c", NOW))
    assert (result.accepted, codes(result)) == (2, [(1, "too_old")])
    assert tallied("late") == 1
    assert list(RefusedItem.objects.values_list("event_id", "code")) == [("b", "too_old")]


def test_imports__reach_back_further_and_over_more_days():
    result = take(*(event(f"e{n}", NOW - (100 + n) * DAY) for n in range(45)), origin=Origin.IMPORT)
    assert (result.accepted, result.errors) == (45, ())


def test_two_days_ahead__is_stored_and_skewed__with_the_corrected_moment_beside_it():
    ahead = NOW + 2 * DAY
    identity = IngestIdentity(sent_at=ahead + 3 * MINUTE)
    result = take(
        event("a", ahead, payload={"x": 1}),
        event("b", ahead + MINUTE),
        event("c", NOW),
        identity=identity,
    )
    assert (result.accepted, codes(result), tallied("skewed")) == (2, [(1, "timestamp_range")], 1)
    rows = {row.event_id: row for row in AiEvent.objects.all()}
    assert rows["a"].ts == ahead
    assert rows["a"].payload == {"x": 1, "assay_corrected_ts": (NOW - 3 * MINUTE).isoformat()}
    assert rows["c"].payload == {}


def test_ahead__without_a_moment_of_sending__has_nothing_beside_it():
    take(event("a", NOW + DAY))
    assert AiEvent.objects.get().payload == {}


def test_ahead__exposures_and_measured_values__have_it_in_their_context():
    launched()
    identity = IngestIdentity(sent_at=NOW + DAY)
    unit = unit_in(lambda bucket: bucket < 900)
    ingest_exposures(
        [ExposureItem(event_id="a", units={"user": unit}, experiment="checkout", at=NOW + DAY)],
        now=NOW,
        identity=identity,
    )
    assert Assignment.objects.get().context == {"assay_corrected_ts": NOW.isoformat()}
    measured = ObservationItem(
        event_id="b", units={"user": unit}, metric="csat", value=1.0, at=NOW + DAY, context={"y": 2}
    )
    assert ingest_observations([measured], now=NOW, identity=identity).accepted == 1


def test_days_ahead__are_there_before_anybody_writes_to_them():
    at = datetime(2031, 5, 6, 23, 59, tzinfo=UTC)
    assert make_days_ahead(at) == 16
    assert make_days_ahead(at) == 0
    days = [at.date() + n * DAY for n in range(4)]
    assert all(
        partitions.missing_days(parent, days) == []
        for parent in ("ai_events", "ai_ab_metrics", "ai_request_costs", "ai_feedback")
    )
    assert "analytics.tasks.make_days_ahead" in {tick.task for tick in BEAT}
