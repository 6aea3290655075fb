"""What came in, cut by how lately units were first exposed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.readings.described import describe_all
from experiments.models import Iteration
from tests.analytics.stores.observed import START, plan, world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def units(experiment, now, within):
    return [arm.units for arm in describe_all(experiment, now, within=within)]


def test_described__within__takes_units_first_exposed_so_lately_and_all_their_rows():
    w = world()
    plan(w, "primary", "apply_conversion")
    for day in range(10):
        w.expose(f"u{day}", "control", START + day * DAY)
    w.event("u9", "apply", START + 9 * DAY + timedelta(hours=1))
    w.event("u1", "apply", START + 9 * DAY + timedelta(hours=1))
    now = START + 10 * DAY
    assert units(w.experiment, now, None) == [10, 0]
    assert units(w.experiment, now, 3 * DAY) == [3, 0]
    (control, _) = describe_all(w.experiment, now, within=3 * DAY)
    assert control.metrics["apply_conversion"].converted == 1


def test_described__of_an_iteration_that_is_over__cuts_before_its_end():
    w = world()
    plan(w, "primary", "apply_conversion")
    for day in range(10):
        w.expose(f"u{day}", "control", START + day * DAY)
    Iteration.objects.filter(pk=w.iteration.pk).update(ended_at=START + 10 * DAY)
    assert units(w.experiment, START + 90 * DAY, 3 * DAY) == [3, 0]
