"""Observations without an experiment: new names become metrics up to a bound; what is above it is
kept and counted.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.core.intake.ingest_items import ObservationItem
from analytics.core.scans.findings import client_findings
from analytics.models import IngestTally, MetricObservation
from analytics.services.ingest import free_names
from analytics.services.ingest.ingest import BatchResult, IngestIdentity, ingest_observations
from experiments.models import Metric
from tests.serving_cast import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def sent(*names: str, days: int = 0) -> BatchResult:
    now = NOW + days * DAY
    items = [
        ObservationItem(event_id=f"{name}-{days}", units={"user": "u1"}, metric=name, value=1.0)
        for name in names
    ]
    return ingest_observations(items, now=now, identity=IngestIdentity())


def registered() -> int:
    return Metric.objects.filter(exploratory=True).count()


def uncounted() -> int:
    return sum(IngestTally.objects.filter(outcome="unregistered").values_list("count", flat=True))


def test_new_names__above_the_bound_of_a_day__are_stored_and_counted_and_get_no_metric() -> None:
    names = [f"name_{n:03}" for n in range(60)]
    assert sent(*names).accepted == 60
    assert (registered(), uncounted()) == (50, 10)
    assert MetricObservation.objects.count() == 60
    sent("name_000", "one_more")
    assert (registered(), uncounted()) == (50, 11)
    sent("name_059", days=1)
    assert Metric.objects.filter(key="name_059", exploratory=True).exists()


def test_new_names__above_the_bound_of_all__get_no_metric_on_another_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(free_names, "IN_ALL", 3)
    sent("a1", "a2")
    sent("b1", "b2", days=1)
    assert (registered(), uncounted()) == (3, 1)


def test_names_without_a_metric__are_a_finding() -> None:
    assert [finding.code for finding in client_findings({"unregistered": 7})] == [
        "names_unregistered"
    ]
    assert "7 observations" in client_findings({"unregistered": 7})[0].sentence
