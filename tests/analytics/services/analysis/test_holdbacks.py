"""After a promotion: the holdback's reading, the way back by itself, and the reminder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.core.deciding.after_promotion import AfterPromotion
from analytics.core.ground.encoding import restored
from analytics.models import Assignment, HoldbackRun
from analytics.selectors import due
from analytics.selectors.holdbacks import holdback_sentence
from analytics.services.analysis import holdbacks
from experiments.core.types import Outcome, Status
from experiments.models import Experiment, OutboxMessage, Rollout
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
PROMOTED = START + timedelta(days=14)
OVER = PROMOTED + timedelta(days=28)
HELD = list(range(50))


def promoted() -> tuple[World, Rollout]:
    made = world()
    plan(made, "primary", "apply_conversion")
    plan(made, "guardrail", "ai_error_units", margin=0.02, margin_kind="points")
    Experiment.objects.filter(pk=made.experiment.pk).update(
        status=Status.COMPLETED, outcome=Outcome.PROMOTED
    )
    made.iteration.ended_at = PROMOTED
    made.iteration.save()
    rollout = Rollout.objects.create(
        flag=made.experiment.flag,
        experiment=made.experiment,
        iteration=made.iteration,
        variant=made.arms["treatment"],
        value={"new": True},
        control_value={},
        audience={
            "unit_type": "user",
            "seed": "5eed00c0ffee",
            "targeting": [],
            "buckets": list(range(1000)),
        },
        holdback_buckets=HELD,
        holdback_until=OVER,
        returnable_until=OVER,
        created_at=PROMOTED,
    )
    return made, rollout


def afterwards(made: World, arm: str, n: int, events: dict[str, int]) -> None:
    """n units that met an arm only after the promotion."""
    crowd(made, arm, n, PROMOTED + timedelta(hours=1), events=events)
    Assignment.objects.filter(exposure_ts__gte=PROMOTED).update(phase="rollout")


def read(rollout: Rollout, days: int = 10) -> AfterPromotion:
    run = holdbacks.read(rollout.pk, now=PROMOTED + timedelta(days=days))
    assert run is not None
    return restored(HoldbackRun.objects.get(pk=run.pk).result, AfterPromotion)


def test_holdback__gain_stays__is_kept_with_what_it_can_see() -> None:
    made, rollout = promoted()
    afterwards(made, "control", 500, {"apply": 90})
    afterwards(made, "treatment", 5000, {"apply": 1200})
    said = read(rollout)
    assert (said.fresh.promoted, said.fresh.held_back) == (5000, 500)
    assert said.fresh.reading.gain == pytest.approx(0.06)
    assert said.fresh.reading.mde == pytest.approx(0.0557, abs=0.001)
    assert said.take_back == "" and Rollout.objects.get(pk=rollout.pk).closed_at is None


def test_holdback__gain_lost__is_taken_back_once_with_the_reason() -> None:
    made, rollout = promoted()
    afterwards(made, "control", 800, {"apply": 320})
    afterwards(made, "treatment", 8000, {"apply": 2000})
    assert "below 0" in read(rollout).take_back
    rollout.refresh_from_db()
    assert rollout.closed_at is not None
    assert Experiment.objects.get(pk=made.experiment.pk).outcome == Outcome.REVERTED
    assert HoldbackRun.objects.get().reverted_at is not None
    assert holdbacks.read(rollout.pk, now=PROMOTED + timedelta(days=11)) is None


def test_holdback__harm_beyond_a_margin__is_taken_back() -> None:
    made, rollout = promoted()
    afterwards(made, "control", 1000, {"apply": 180, "http_5xx": 10})
    afterwards(made, "treatment", 8000, {"apply": 1600, "http_5xx": 1200})
    assert "ai_error_units" in read(rollout).take_back
    assert Experiment.objects.get(pk=made.experiment.pk).outcome == Outcome.REVERTED


def test_holdback__original_control__counts_only_whom_the_promotion_left_alone() -> None:
    made, rollout = promoted()
    crowd(made, "control", 300, START, events={"apply": 60})
    crowd(made, "treatment", 300, START, events={"apply": 90})
    stayed = list(
        Assignment.objects.filter(variant=made.arms["control"]).values_list("pk", flat=True)[:40]
    )
    Assignment.objects.filter(pk__in=stayed).update(bucket_id=HELD[3])
    said = read(rollout)
    assert said.original is not None
    assert (said.original.promoted, said.original.held_back) == (300, 40)


def test_old_code__after_the_holdback__is_told_once() -> None:
    _, rollout = promoted()
    assert (due.held_back(PROMOTED), due.old_code(PROMOTED)) == ([rollout.pk], [])
    assert (due.held_back(OVER), due.old_code(OVER)) == ([], [rollout.pk])
    assert [holdbacks.remind(rollout.pk, now=OVER) for _ in range(2)] == [True, False]
    assert due.old_code(OVER) == []
    message = OutboxMessage.objects.get(key=f"old_code:{rollout.pk}")
    assert "old code" in message.title and "search_rerank" in message.text


def test_holdback__on_the_page__says_gain_bounds_and_what_it_can_see() -> None:
    made, rollout = promoted()
    assert holdback_sentence(rollout.pk) == ""
    afterwards(made, "control", 500, {"apply": 90})
    afterwards(made, "treatment", 5000, {"apply": 1200})
    read(rollout)
    said = holdback_sentence(rollout.pk)
    assert (
        said.startswith("5,000 against 500 units; gain +0.06, always between ")
        and "finds changes from 0.0557 on" in said
    )
