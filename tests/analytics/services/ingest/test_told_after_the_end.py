"""Exposures that are told after an experiment was concluded, or after a new iteration began, belong
to when they happened.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.core.intake.ingest_items import ExposureItem
from analytics.models import Assignment
from analytics.services.ingest.ingest import IngestIdentity, ingest_exposures
from experiments.core.types import Status
from experiments.models import Experiment, Iteration, Layer, Pause
from experiments.services.life.steps import end_iteration
from tests.serving_cast import NOW, launched, unit_in

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
ENDED = NOW - HOUR


def concluded(**named):
    made = launched(**named)
    end_iteration(made, ENDED)
    Experiment.objects.filter(pk=made.pk).update(status=Status.COMPLETED)
    return made


def tell(*moments, variant=None):
    units = [
        unit_in(lambda bucket, n=n: bucket % 50 == n and bucket < 900) for n in range(len(moments))
    ]
    items = [
        ExposureItem(
            event_id=f"x{n}", units={"user": unit}, experiment="checkout", at=at, variant=variant
        )
        for n, (unit, at) in enumerate(zip(units, moments, strict=True))
    ]
    return ingest_exposures(items, now=NOW, identity=IngestIdentity())


def test_exposures_of_before_the_end__are_stored_by_their_own_time():
    concluded()
    result = tell(*[ENDED - HOUR - timedelta(seconds=n) for n in range(50)])
    assert (result.accepted, result.errors) == (50, ())
    rows = Assignment.objects.select_related("variant").order_by("-exposure_ts")
    assert [row.exposure_ts for row in rows] == [
        ENDED - HOUR - timedelta(seconds=n) for n in range(50)
    ]
    assert {(row.variant.key, row.bucket_id % 2) for row in rows} == {
        ("control", 0),
        ("treatment", 1),
    }
    assert not any(row.crossover for row in rows)


@pytest.mark.parametrize(
    ("at", "code"),
    [(ENDED, "not_serving"), (None, "not_serving"), (NOW - timedelta(days=4), "not_serving")],
    ids=["after", "now", "before_it"],
)
def test_exposures_of_another_time__are_refused_by_name(at, code):
    concluded()
    assert [error.code for error in tell(at).errors] == [code]


def test_exposure_in_the_pause_that_ended_it__is_refused():
    made = launched()
    Pause.objects.create(iteration=Iteration.objects.get(), started_at=ENDED - HOUR, cause="person")
    end_iteration(made, ENDED)
    Experiment.objects.filter(pk=made.pk).update(status=Status.COMPLETED)
    assert [error.code for error in tell(ENDED - HOUR / 2, ENDED - 2 * HOUR).errors] == [
        "not_serving"
    ]


def test_new_iteration__exposures_of_before_it_go_to_the_one_that_served_them():
    made = launched()
    first = Iteration.objects.get()
    end_iteration(made, ENDED)
    Layer.objects.filter(pk=first.layer_id).first().buckets.filter(
        index__lt=900, index__gte=0
    ).update(iteration=None, variant=None, role="", resting_until=None)
    second = Iteration.objects.create(
        experiment=made, number=2, layer=first.layer, design={}, design_sha256="", policy_rules={}, traffic=900, began_at=ENDED + HOUR / 2,
        started_at=ENDED + HOUR / 2,
    )  # fmt: skip
    arms = list(made.variants.order_by("-position"))  # the arms have changed places
    for bucket in first.layer.buckets.filter(index__lt=900):
        bucket.iteration, bucket.variant, bucket.role = second, arms[bucket.index % 2], "main"
        bucket.save()
    result = tell(ENDED - HOUR, ENDED - timedelta(seconds=30), NOW - timedelta(minutes=5))
    assert result.errors == ()
    rows = list(Assignment.objects.select_related("variant").order_by("exposure_ts"))
    assert [(row.iteration.number, row.variant.key, row.bucket_id % 2, row.crossover) for row in rows] == [
        (1, "control", 0, False), (1, "treatment", 1, False), (2, "treatment", 0, False),
    ]  # fmt: skip
