"""A cap that the first look finds, and that never moves again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from analytics.core.deciding.look_state import LookState
from analytics.core.ground.encoding import restored
from analytics.models import AnalysisRun, Assignment, Look, MetricObservation
from analytics.readings.exploring import ExploringChoice, explore
from analytics.selectors.results import view_of
from analytics.services.analysis.analysis import analyse
from experiments.core.clock import utc_now
from experiments.core.design.metric_definitions import MetricDefinition, problems
from experiments.core.types import SYSTEM, Actor, ActorKind, Direction, MetricKind
from experiments.models import Iteration, Metric
from experiments.services.library.metrics import define_metric
from tests.analytics.stores.observed import START, World, day_exists, plan, world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
AFTER_CLOCK = START + 8 * DAY + timedelta(hours=1)
SPEND = MetricDefinition(
    key="spend", name="Spend", kind=MetricKind.MEAN, source="observation", aggregation="sum", direction=Direction.INCREASE, window_hours=72,
    winsorised=True,
)  # fmt: skip


def spenders(w: World, arm: str, amounts: list[float], at=START) -> None:
    day_exists("ai_ab_metrics", at)
    units = [f"{arm}{at:%d}-{i}" for i in range(len(amounts))]
    whose = {"experiment": w.experiment, "iteration": w.iteration, "variant": w.arms[arm]}
    Assignment.objects.bulk_create(
        Assignment(user_id=unit, unit_type="user", assigned_ts=at, exposure_ts=at, **whose)
        for unit in units
    )
    row = {
        "event_date": at.date(),
        "ts": at,
        "received_ts": at,
        "unit_type": "user",
        "environment": "production",
        "origin": "live",
    }
    MetricObservation.objects.bulk_create(
        MetricObservation(event_id=unit, user_id=unit, metric_name="spend", value=amount, **row)
        for unit, amount in zip(units, amounts, strict=True)
    )


def shop() -> World:
    define_metric(
        Actor(kind=ActorKind.MACHINE, label="test", user_id=None), utc_now(), definition=SPEND
    )
    w = world()
    plan(w, "primary", "spend", baseline=10.0, baseline_sd=10.0, mde=0.001)
    return w


def mean_of(run: AnalysisRun, arm: str) -> float:
    return next(a["mean"] for a in run.results["metrics"][0]["arms"] if a["arm"] == arm)


def test_first_look__winsorised_metric__freezes_the_pooled_999th_permille_of_the_spenders() -> None:
    w, rng = shop(), np.random.default_rng(1)
    control, treatment = (
        rng.exponential(10, 900).tolist(),
        [*rng.exponential(10, 899).tolist(), 1e6],
    )
    spenders(w, "control", [*control, *[0.0] * 300])
    spenders(w, "treatment", [*treatment, *[0.0] * 300])
    before = analyse(w.experiment.pk, now=AFTER_CLOCK - DAY)
    row = view_of(before).primary
    assert row is not None
    assert (row.cap, row.winsorised) == (None, True)
    assert mean_of(before, "treatment") > 800
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    [state] = [restored(look.state, LookState) for look in Look.objects.all()]
    pooled = float(np.quantile(np.array([*control, *treatment]), 0.999))
    [cap] = state.caps
    assert (cap.key, cap.cap.non_zero_units) == ("spend", 1800)
    assert cap.cap.value == pytest.approx(pooled)
    [seen] = [h.seen for h in state.hypotheses]
    assert seen.estimate == pytest.approx(
        (np.minimum(treatment, pooled).sum() - np.minimum(control, pooled).sum()) / 1200
    )


def test_explore__after_the_first_look__cuts_by_the_cap_that_it_froze() -> None:
    w, rng = shop(), np.random.default_rng(1)
    Iteration.objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 10_000})
    for arm in ("control", "treatment"):
        spenders(w, arm, rng.exponential(10, 900).tolist())
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    for arm in ("control", "treatment"):
        spenders(w, arm, [5000.0] * 50, at=START + DAY)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK + DAY, may_look=True)
    read = explore(
        SYSTEM, AFTER_CLOCK + DAY, experiment=w.experiment, reading=ExploringChoice("spend")
    )
    assert [arm.mean for arm in read.row.arms] == [mean_of(run, arm.arm) for arm in read.row.arms]
    whole = explore(
        SYSTEM,
        AFTER_CLOCK + DAY,
        experiment=w.experiment,
        reading=ExploringChoice("spend", cap=1e9),
    )
    assert all(
        (more.mean or 0) > 10 * (cut.mean or 0)
        for more, cut in zip(whole.row.arms, read.row.arms, strict=True)
    )


def test_later_looks__larger_values_come__keep_the_cap_of_the_first() -> None:
    w, rng = shop(), np.random.default_rng(1)
    Iteration.objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 10_000})
    for arm in ("control", "treatment"):
        spenders(w, arm, rng.exponential(10, 900).tolist())
    opening = view_of(analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)).primary
    assert opening is not None
    assert opening.cap is None
    for arm in ("control", "treatment"):
        spenders(w, arm, [5000.0] * 50, at=START + DAY)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK + DAY, may_look=True)
    first, second = [restored(look.state, LookState) for look in Look.objects.order_by("number")]
    assert first.caps == second.caps != ()
    assert mean_of(run, "control") < first.caps[0].cap.value
    row = view_of(run).primary
    assert row is not None
    assert (row.cap, row.winsorised) == (first.caps[0].cap.value, True)


def test_first_look__too_few_spenders__leaves_values_whole() -> None:
    w = shop()
    for arm, amount in (("control", 10.0), ("treatment", 11.0)):
        spenders(w, arm, [amount + i % 3 for i in range(300)])
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert restored(Look.objects.get().state, LookState).caps == ()


def test_definition__cost_tails_and_two_caps__cannot_be_winsorised() -> None:
    codes = {
        p.code
        for bad in ({"kind": MetricKind.QUANTILE}, {"value_field": "cost_micro"}, {"cap": 3.0})
        for p in problems(replace(SPEND, **bad))
    }
    assert {"winsorised_kind", "two_caps"} <= codes
    assert problems(SPEND) == []
    assert not Metric.objects.filter(winsorised=True).exists()
