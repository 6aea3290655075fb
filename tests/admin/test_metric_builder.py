"""The metric form offers what was seen, and says kinds by example."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from analytics.models import AiEvent
from analytics.selectors.seen_events import seen_events
from experiments.admin.metric_builder import EXAMPLES, seen_text
from experiments.core.types import MetricKind
from tests.stores.observed import day_exists

ADD = "/admin/experiments/metric/add/"


def _event(number: int, kind: str, *, days: int = 1, environment: str = "production", **more) -> None:
    at = timezone.now() - timedelta(days=days)
    day_exists("ai_events", at)
    whose = {"user_id": "u", "unit_type": "user", "environment": environment, "origin": "live"}
    AiEvent.objects.create(event_date=at.date(), event_id=f"e{number}", ts=at, received_ts=at, event_type=kind, **whose, **more)


@pytest.mark.django_db
def test_seen_events__counts_production_of_the_last_28_days_most_frequent_first():
    for number in range(3):
        _event(number, "apply")
    _event(10, "answer", latency_ms=120)
    _event(11, "old", days=40)
    _event(12, "tested", environment="test")
    found = seen_events(timezone.now())
    assert [(one.name, one.rows, one.fields) for one in found] == [("apply", 3, ()), ("answer", 1, ("latency_ms",))]


@pytest.mark.django_db
def test_seen_events__reads_no_more_rows_of_a_day_than_allowed():
    for number in range(5):
        _event(number, "apply")
    assert [one.rows for one in seen_events(timezone.now(), rows_a_day=2)] == [2]


def test_metric_form__offers_seen_events_with_counts_and_kinds_with_examples(browser):
    _event(1, "apply", value=2.0)
    text = browser("dmitri").get(ADD).content.decode()
    assert "apply (1, with value)" in text
    assert "proportion: share of units that do it" in text


def test_examples__every_kind_has_one():
    assert set(EXAMPLES) == set(MetricKind)
    assert "No event was seen" in seen_text(())
