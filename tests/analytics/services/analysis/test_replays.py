"""A real control arm, split anew through the store, and stored for the calibration page."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from analytics.core.ground.encoding import restored
from analytics.core.scans.replay import ReplayResult as Found
from analytics.models import AiEvent, Assignment, NullReplay
from analytics.services.analysis.replays import replay_control
from experiments.core.errors import InvalidInput
from tests.analytics.stores.observed import START, World, day_exists, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=20)


def ran(units: int = 1200, buckets: int = 60) -> World:
    """A control arm in buckets, a third of which applied; the treatment arm applied twice as often
    and must not be read.
    """
    w = world()
    plan(w, "primary", "apply_conversion", baseline=0.3, mde=0.1)
    plan(w, "secondary", "latency_p95")
    day_exists("ai_events", START)
    own = {
        "unit_type": "user",
        "experiment": w.experiment,
        "iteration": w.iteration,
        "assigned_ts": START,
        "exposure_ts": START,
    }
    Assignment.objects.bulk_create(
        Assignment(user_id=f"{arm}{i}", variant=variant, bucket_id=i % buckets, **own)
        for arm, variant in w.arms.items()
        for i in range(units)
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
        AiEvent(event_id=f"{arm}{i}", user_id=f"{arm}{i}", event_type="apply", **row)
        for arm in w.arms
        for i in range(units)
        if i % (3 if arm == "control" else 2) == 0
    )
    return w


def test_replay_control__a_third_applied__stores_p_values_of_control_alone() -> None:
    w = ran(units=1260, buckets=70)
    raw, cuped, latency = replay_control(w.experiment.pk, now=NOW, splits=200, seed=5)
    found = restored(raw.result, Found)
    assert (raw.metric_key, raw.method, raw.units, raw.seed) == ("apply_conversion", "raw", 1260, 5)
    assert len(found.p) == 200
    assert found.as_promised
    assert cuped.method == "with covariates"
    assert "do not add up" in (restored(latency.result, Found).reason or "")
    assert NullReplay.objects.count() == 3


def test_replay_control__same_seed__gives_the_same_splits_again() -> None:
    w = ran()
    one, other = (
        replay_control(w.experiment.pk, now=NOW, splits=20)[0],
        replay_control(w.experiment.pk, now=NOW, splits=20)[0],
    )
    assert one.result == other.result


def test_replay_control__wrong_number_of_splits__is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="splits: expected 1 to 100,000, found 0"):
        replay_control(ran().experiment.pk, now=NOW, splits=0)


def test_command__prints_share_and_range_and_names_what_cannot_be_said() -> None:
    w, out = ran(), StringIO()
    call_command("replay_control", w.experiment.key, splits=50, stdout=out)
    assert "apply_conversion" in out.getvalue()
    assert "cannot say: totals of a quantile" in out.getvalue()
    with pytest.raises(CommandError, match="there is none"):
        call_command("replay_control", "nothing_here")
