"""``/metrics``: the names that the sources promise, with numbers from stored runs."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from analytics.models import AnalysisRun, OutcomeCount
from analytics.services.analysis import counting
from experiments.core.clock import utc_now
from experiments.core.types import Role
from experiments.models import Delivery, Experiment, Iteration, OutboxMessage, Subscription
from experiments.services.ground.slots import heard
from tests.analytics.selectors.test_results import analysed
from tests.analytics.stores.observed import World, crowd, plan, world
from tests.stories.company import new_key

pytestmark = pytest.mark.django_db


def _labels(labels: dict[str, str]) -> list[str]:
    """An arm's labels first, in the order of speech."""
    return sorted(labels, key=lambda name: ({"experiment": 0, "variant": 1}.get(name, 2), name))


def scraped() -> dict[tuple[str, ...], float]:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (s.name, *(s.labels[name] for name in _labels(s.labels))): s.value
        for family in families
        for s in family.samples
    }


def by_key(scope: str) -> Client:
    olga, _ = User.objects.get_or_create(username="olga")
    olga.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    return Client(headers={"authorization": f"Bearer {new_key(scope, 'olga')}"})


def test_metrics__told_an_hour_ago__counts_outcomes_and_rate_agree_before_any_window_is_over() -> (
    None
):
    # Given what nobody has analysed: an hour of traffic under a metric whose window is 72 hours
    w = world("told_now")
    plan(w, "primary", "booked", baseline=0.2, mde=0.2)
    plan(w, "guardrail", "latency_mean", margin=0.1, margin_kind="relative", rule="no_breach")
    at = utc_now() - timedelta(hours=2)
    for arm, booked in (("control", 30), ("treatment", 48)):
        crowd(w, arm, 150, at, events={"booked": booked, "ai_request": 150})
    # When Prometheus scrapes and an operator asks
    found = scraped()
    listed = by_key("management").get("/ops/experiments").json()["experiments"]["told_now"]
    # Then units, outcomes and rate are of the same people, at both places
    for arm, booked in (("control", 30), ("treatment", 48)):
        assert found["experiment_sample_size", "told_now", arm] == 150
        assert found["experiment_outcome_total", "told_now", arm, "booked"] == booked
        assert found["experiment_conversion_rate", "told_now", arm] == booked / 150
        assert listed["significance"]["variants"][arm] == {
            "samples": 150,
            "conversions": booked,
            "rate": booked / 150,
        }
        assert listed["outcomes"][arm] == {"booked": booked}
    assert {labels[3] for labels in found if labels[0] == "experiment_outcome_total"} == {
        "booked"
    }, "a latency is no outcome"
    assert found["experiment_variant_info", "told_now", "control", "true"] == 1
    assert found["experiment_variant_info", "told_now", "treatment", "false"] == 1
    assert not any(labels[0].startswith("experiment_matured") for labels in found), (
        "nothing was analysed"
    )


def test_metrics__primary_metric_is_a_mean__has_units_and_no_conversion_rate() -> None:
    w = world("by_score")
    plan(w, "primary", "csat", baseline=3.0, mde=0.1)
    crowd(w, "control", 150, utc_now() - timedelta(hours=2), events={"csat": 90})
    found = scraped()
    assert found["experiment_sample_size", "by_score", "control"] == 150
    assert not [
        labels for labels in found if labels[:2] == ("experiment_conversion_rate", "by_score")
    ]


def test_metrics__analysed__matured_numbers_have_names_of_their_own() -> None:
    key = analysed().experiment.key
    found = scraped()
    run = AnalysisRun.objects.get(latest=True)
    for metric in run.results["metrics"]:
        for arm in metric["arms"]:
            labels = (key, arm["arm"], metric["key"], metric["role"])
            assert found["experiment_matured_units", *labels] == arm["n"]
            assert found.get(("experiment_matured_value", *labels)) == arm["mean"]
    assert found[
        "experiment_matured_value", key, "treatment", "apply_conversion", "primary"
    ] == pytest.approx(0.24)


def test_metrics__counting_one_fails__the_others_are_counted_and_its_last_numbers_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key in ("a_broken", "b_fine"):
        w = world(key)
        plan(w, "primary", "booked", baseline=0.2, mde=0.2)
        crowd(w, "control", 10, utc_now() - timedelta(hours=2), events={"booked": 3})
    assert scraped()["experiment_sample_size", "a_broken", "control"] == 10
    OutcomeCount.objects.update(counted_at=utc_now() - timedelta(minutes=5))
    real = counting._numbers

    def broken(iteration: Any, *rest: Any) -> Any:
        if iteration.experiment.key == "a_broken":
            raise OperationalError("canceling statement due to statement timeout")
        return real(iteration, *rest)

    monkeypatch.setattr(counting, "_numbers", broken)
    crowd(w, "control", 5, utc_now() - timedelta(hours=1))
    found = scraped()
    assert found["assay_stored_totals_up",] == 1
    assert [found["experiment_sample_size", key, "control"] for key in ("a_broken", "b_fine")] == [
        10,
        15,
    ]


def test_metrics__ended__keeps_its_last_numbers_for_seven_days__and_is_counted_once_more() -> None:
    w = world("just_ended")
    plan(w, "primary", "booked", baseline=0.2, mde=0.2)
    crowd(w, "control", 10, utc_now() - timedelta(hours=2), events={"booked": 3})
    assert scraped()["experiment_conversion_rate", "just_ended", "control"] == 0.3
    # It ends a moment after its last unit came, which nobody has counted yet.
    crowd(w, "control", 5, utc_now() - timedelta(hours=1))
    OutcomeCount.objects.update(counted_at=utc_now() - timedelta(minutes=5))
    _end(w, timedelta(minutes=1))
    found = scraped()
    assert found["experiment_sample_size", "just_ended", "control"] == 15
    assert found["experiment_variant_info", "just_ended", "control", "true"] == 1
    # What comes later is nobody's of the experiment, and after seven days its numbers are looked up
    # elsewhere.
    crowd(w, "control", 7, utc_now() - timedelta(hours=3))
    OutcomeCount.objects.update(counted_at=utc_now() - timedelta(seconds=30))
    assert scraped()["experiment_sample_size", "just_ended", "control"] == 15
    _end(w, timedelta(days=7, minutes=1))
    assert not any("just_ended" in labels for labels in scraped())


def test_metrics__ended__has_its_matured_numbers_and_calls_nobody_for_its_health() -> None:
    key = analysed().experiment.key
    AnalysisRun.objects.update(
        health={"findings": [{"code": "srm", "weight": "red", "masks": False}]}
    )
    assert ("experiment_health_finding", key, "srm", "false", "red") in scraped()
    Iteration.objects.update(ended_at=utc_now())
    Experiment.objects.update(status="completed")
    found = scraped()
    assert found[
        "experiment_matured_value", key, "treatment", "apply_conversion", "primary"
    ] == pytest.approx(0.24)
    assert not any(labels[0] == "experiment_health_finding" for labels in found)


def test_metrics__went_on_in_another_iteration__only_the_newest_has_numbers() -> None:
    w = world("resumed")
    plan(w, "primary", "booked", baseline=0.2, mde=0.2)
    crowd(w, "control", 10, utc_now() - timedelta(hours=2))
    assert scraped()["experiment_sample_size", "resumed", "control"] == 10
    now, first = utc_now(), w.iteration
    Iteration.objects.update(ended_at=now)
    first.pk, first.number, first.began_at = None, 2, now
    first.save()
    assert scraped()["experiment_sample_size", "resumed", "control"] == 0
    Iteration.objects.update(ended_at=now)
    Experiment.objects.update(status="completed")
    assert scraped()["experiment_sample_size", "resumed", "control"] == 0


def _end(w: World, ago: timedelta) -> None:
    Iteration.objects.filter(pk=w.iteration.pk).update(ended_at=utc_now() - ago)
    Experiment.objects.filter(pk=w.experiment.pk).update(status="completed")


def test_metrics__masked__units_but_no_rates() -> None:
    key = analysed().experiment.key
    AnalysisRun.objects.update(masked=True)
    found = scraped()
    assert ("experiment_sample_size", key, "control") in found
    hidden = {
        "experiment_conversion_rate",
        "experiment_outcome_total",
        "experiment_matured_units",
        "experiment_matured_value",
    }
    assert not any(labels[0] in hidden for labels in found)


def test_metrics__database_away__still_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("config.web.exposition.arm_numbers", away)
    found = scraped()
    assert found["assay_stored_totals_up",] == 0
    assert any(
        labels[0].startswith("assay_assignments") or labels[0].startswith("django_http")
        for labels in found
    )


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
    to = Subscription.objects.create(
        name="me", channel="email", address="me@example.com", owner=owner, created_at=now
    )
    for state, due in (
        ("dead", None),
        ("pending", now - timedelta(minutes=5)),
        ("delivered", None),
    ):
        message = OutboxMessage.objects.create(
            key=state, kind="state", title=state, at=now, addressed_at=now
        )
        Delivery.objects.create(message=message, subscription=to, state=state, next_attempt_at=due)
    OutboxMessage.objects.create(key="new", kind="state", title="new", at=now)
    found = scraped()
    assert [
        found[(f"assay_{name}",)]
        for name in ("outbox_unaddressed", "deliveries_pending", "dead_letters")
    ] == [1, 1, 1]
    assert found[("assay_deliveries_late_seconds",)] >= 300
