"""The metric form offers what was seen, and says kinds by example."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from analytics.models import AiEvent
from analytics.selectors.arriving.seen_events import seen_events
from experiments.admin.metric_builder import EXAMPLES, seen_text
from experiments.core.types import MetricKind
from experiments.models import ChangeLogEntry, Metric
from tests.analytics.admin.test_results import _measured
from tests.analytics.stores.observed import day_exists

ADD = "/admin/experiments/metric/add/"


def _event(
    number: int, kind: str, *, days: int = 1, environment: str = "production", **more
) -> None:
    at = timezone.now() - timedelta(days=days)
    day_exists("ai_events", at)
    whose = {"user_id": "u", "unit_type": "user", "environment": environment, "origin": "live"}
    AiEvent.objects.create(
        event_date=at.date(),
        event_id=f"e{number}",
        ts=at,
        received_ts=at,
        event_type=kind,
        **whose,
        **more,
    )


@pytest.mark.django_db
def test_seen_events__counts_production_of_the_last_28_days_most_frequent_first():
    for number in range(3):
        _event(number, "apply")
    _event(10, "answer", latency_ms=120)
    _event(11, "old", days=40)
    _event(12, "tested", environment="test")
    found = seen_events(timezone.now())
    assert [(one.name, one.rows, one.fields) for one in found] == [
        ("apply", 3, ()),
        ("answer", 1, ("latency_ms",)),
    ]


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


def test_preview__shows_the_last_28_days_and_saves_nothing(browser, owner):
    _measured(owner, 40)
    metric = Metric.objects.get(key="minutes", current=True)
    before = (Metric.objects.count(), ChangeLogEntry.objects.count())
    sent = {
        "name": "Minutes",
        "kind": "mean",
        "source": "observation",
        "aggregation": "sum",
        "attribution": "unit",
        "direction": "increase",
    }
    where = f"/admin/experiments/metric/{metric.pk}/version/"
    text = (
        browser("dmitri")
        .post(
            where,
            {
                **sent,
                "attribution": "unit",
                "value_field": "value",
                "window_hours": "48",
                "look": "1",
            },
        )
        .content.decode()
    )
    assert re.search(r"minutes: [\d.]+, standard deviation [\d.]+, from 80 units \(user\)", text)
    assert 'name="window_hours" value="48"' in text
    assert (Metric.objects.count(), ChangeLogEntry.objects.count()) == before
    assert browser("olivia").post(where, {**sent, "look": "1"}).status_code == 403


def test_preview__of_what_cannot_be_measured_or_was_never_sent__says_so(browser, people):
    sent = {"key": "new", "name": "New", "source": "event", "kind": "proportion", "aggregation": "any", "attribution": "unit",
            "direction": "increase", "value_field": "value", "look": "1"}  # fmt: skip
    dmitri = browser("dmitri")
    wrong = dmitri.post("/admin/experiments/metric/add/", sent)
    assert wrong.status_code == 400 and "names at least one event type" in wrong.content.decode()
    empty = dmitri.post(
        "/admin/experiments/metric/add/", {**sent, "event_types": "never"}
    ).content.decode()
    assert "user: cannot say from the last 28 days" in empty
    assert not Metric.objects.filter(key="new").exists()
