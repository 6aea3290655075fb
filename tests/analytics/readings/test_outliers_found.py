"""Bots among an experiment's units: named, and shown with and without."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command

from analytics.models import AiEvent, Assignment
from analytics.readings.outliers import find_outliers
from experiments.core.errors import Refused
from experiments.models import Iteration
from tests.analytics.stores.observed import START, World, day_exists, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=20)


def booked(w: World, arm: str, counts: list[int]) -> None:
    """Units with so many bookings each."""
    day_exists("ai_events", START)
    own = {
        "unit_type": "user",
        "experiment": w.experiment,
        "iteration": w.iteration,
        "assigned_ts": START,
        "exposure_ts": START,
    }
    Assignment.objects.bulk_create(
        Assignment(user_id=f"{arm}{i}", variant=w.arms[arm], **own) for i in range(len(counts))
    )
    row = {
        "event_date": START.date(),
        "ts": START,
        "received_ts": START,
        "unit_type": "user",
        "environment": "production",
        "origin": "live",
    }
    AiEvent.objects.bulk_create(
        AiEvent(event_id=f"{arm}{i}-{k}", user_id=f"{arm}{i}", event_type="booked", **row)
        for i, n in enumerate(counts)
        for k in range(n)
    )


def shop(bots: tuple[int, ...] = (4000,)) -> World:
    w, rng = world(), np.random.default_rng(2)
    plan(w, "primary", "bookings", baseline=1.0, baseline_sd=1.5, mde=0.1)
    plan(w, "secondary", "apply_conversion")
    booked(w, "control", rng.geometric(0.5, 300).tolist())
    booked(w, "treatment", [*rng.geometric(0.5, 300 - len(bots)).tolist(), *bots])
    return w


def test_find_outliers__one_bot__is_named_and_the_difference_shown_with_and_without_it() -> None:
    [found] = find_outliers(shop().experiment.pk, now=NOW)
    [unit] = found.units
    assert (found.key, unit.unit, unit.arm, unit.value) == (
        "bookings",
        "treatment299",
        "treatment",
        4000.0,
    )
    [(arm, both)] = found.compared
    assert arm == "treatment"
    assert (both.whole.difference or 0.0) > 10
    assert abs(both.without.difference or 9.0) < 0.5
    assert (both.whole.treatment_n, both.without.treatment_n) == (300, 299)


def test_find_outliers__people_only__names_nobody() -> None:
    [found] = find_outliers(shop(bots=()).experiment.pk, now=NOW)
    assert (found.units, found.compared) == ((), ())
    assert found.fence is not None


def test_find_outliers__too_few_units__says_so_and_an_unlaunched_experiment_is_refused() -> None:
    w = world()
    plan(w, "primary", "bookings", baseline=1.0, baseline_sd=1.5, mde=0.1)
    [found] = find_outliers(w.experiment.pk, now=NOW)
    assert "0 units counted anything" in (found.reason or "")
    Iteration.objects.all().delete()
    with pytest.raises(Refused, match="never launched"):
        find_outliers(w.experiment.pk, now=NOW)


def test_command__bot_found__prints_its_name_and_both_differences() -> None:
    out = StringIO()
    call_command("find_outliers", shop().experiment.key, stdout=out)
    assert "treatment299 in treatment: 4,000" in out.getvalue()
    assert "without them: difference" in out.getvalue()
