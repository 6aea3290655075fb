"""``/metrics``: the names that the sources promise, with numbers from stored runs."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from analytics.models import AnalysisRun
from experiments.core.clock import utc_now
from experiments.models import Delivery, OutboxMessage, Subscription
from experiments.services.slots import heard
from tests.selectors.test_results import analysed

pytestmark = pytest.mark.django_db


def _labels(labels: dict[str, str]) -> list[str]:
    """An arm's labels first, in the order of speech."""
    return sorted(labels, key=lambda name: ({"experiment": 0, "variant": 1}.get(name, 2), name))


def scraped() -> dict[tuple[str, ...], float]:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, *(s.labels[name] for name in _labels(s.labels))): s.value for family in families for s in family.samples}


def test_metrics__analysed__sizes_rates_and_outcomes_of_each_arm() -> None:
    key = analysed().experiment.key
    found = scraped()
    run = AnalysisRun.objects.get(latest=True)
    units = {arm["key"]: arm["units"] for arm in run.totals["arms"]}
    for arm, rate in (("control", 0.18), ("treatment", 0.24)):
        assert found["experiment_sample_size", key, arm] == units[arm] > 0
        assert found["experiment_conversion_rate", key, arm] == pytest.approx(rate)
    outcome = next(labels[3] for labels in found if labels[0] == "experiment_outcome_total" and labels[2] == "treatment")
    sums = {(m["key"], a["arm"]): a["sum_y"] for m in run.results["metrics"] for a in m["arms"]}
    assert found["experiment_outcome_total", key, "treatment", outcome] == sums[outcome, "treatment"] > 0


def test_metrics__masked__units_but_no_rates() -> None:
    key = analysed().experiment.key
    AnalysisRun.objects.update(masked=True)
    found = scraped()
    assert ("experiment_sample_size", key, "control") in found
    assert not any(labels[0] in {"experiment_conversion_rate", "experiment_outcome_total"} for labels in found)


def test_metrics__database_away__still_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("config.exposition.arm_numbers", away)
    found = scraped()
    assert found["assay_stored_totals_up",] == 0
    assert any(labels[0].startswith("assay_assignments") or labels[0].startswith("django_http") for labels in found)


def test_metrics__exposures_that_wait__are_weighed(settings: Any, tmp_path: Path) -> None:
    settings.SPOOL = tmp_path
    (tmp_path / "1.jsonl").write_bytes(b"x" * 300)
    found = scraped()
    assert (found["assay_spool_files",], found["assay_spool_bytes",]) == (1, 300)
    assert 0 <= found["assay_spool_oldest_seconds",] < 60


def test_metrics__beat__how_long_each_task_has_been_silent() -> None:
    heard(utc_now() - timedelta(seconds=90), "analytics.tasks.analyse_due")
    found = scraped()
    assert 89 < found["assay_beat_lag_seconds", "analytics.tasks.analyse_due"] < 150
    assert found["assay_beat_lag_seconds", "analytics.tasks.decide_due"] == math.inf


def test_metrics__notifications__what_waits_and_what_was_given_up() -> None:
    now = utc_now()
    owner = User.objects.create(username="owner")
    to = Subscription.objects.create(name="me", channel="email", address="me@example.com", owner=owner, created_at=now)
    for state, due in (("dead", None), ("pending", now - timedelta(minutes=5)), ("delivered", None)):
        message = OutboxMessage.objects.create(key=state, kind="state", title=state, at=now, addressed_at=now)
        Delivery.objects.create(message=message, subscription=to, state=state, next_attempt_at=due)
    OutboxMessage.objects.create(key="new", kind="state", title="new", at=now)
    found = scraped()
    assert [found[(f"assay_{name}",)] for name in ("outbox_unaddressed", "deliveries_pending", "dead_letters")] == [1, 1, 1]
    assert found[("assay_deliveries_late_seconds",)] >= 300
