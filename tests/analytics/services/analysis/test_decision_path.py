"""Identical arms through the whole path from totals to decision: how often does the machine promote
nothing?

Simulated totals with a fixed seed go through ``conclude`` as an analysis run would send them:
health, clock, looks, Holm over the arms, facts, decision. No database. Calibration simulates the
same path from the core's pieces alone (``analytics.core.calibration.walk``); here both get the same
totals and must decide alike, day by day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.core.calibration import walk
from analytics.core.calibration.walk import Trial, Walk
from analytics.core.deciding.decision import Decision
from analytics.core.deciding.guardrails import GuardrailPlan, Margin
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.windows import ServingSpan
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.results import ArmSummary
from analytics.readings.measuring import LookTotals, Measured
from analytics.selectors.plans import AnalysisPlan, PlannedArm, PlannedMetric
from analytics.services.analysis.analysis import Findings, conclude
from experiments.core.design.design import DesignMetric
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.design.policies import PolicyRules
from experiments.core.types import Direction, MetricKind, Origin, Status

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, FIRST_LOOK, PER_DAY, RATE = 9, 7, 100, 0.3
"""A Monday's start, a clock of one week, and a horizon that is reached on the ninth day: looks on
days 7, 8 and 9.
"""

Daily = NDArray[np.int64]


@dataclass(frozen=True)
class Bounds:
    """How often 99.9 in 100 simulations of this size promote, when the true rate is .025; at least
    once, at any rate.
    """

    sims: int
    rate: float = 0.025

    def hold(self, promoted: int) -> bool:
        half = 3.29 * math.sqrt(self.rate * (1 - self.rate) / self.sims)
        return (
            max(1.0, (self.rate - half) * self.sims) <= promoted <= (self.rate + half) * self.sims
        )


def plan_for(arms: int, direction: Direction = Direction.INCREASE) -> AnalysisPlan:
    definition = MetricDefinition(
        key="applied", version=1, name="Applied", kind=MetricKind.PROPORTION, source="event", event_types=("apply",), aggregation="any",
        direction=direction, scale="share", window_hours=24,
    )  # fmt: skip
    metric = DesignMetric(
        key="applied",
        version=1,
        kind="proportion",
        role="primary",
        direction=direction.value,
        baseline=RATE,
        mde=0.1,
    )
    return AnalysisPlan(
        experiment_id=1, key="identical", origin=Origin.LIVE, status=Status.RUNNING, iteration_id=1, unit_type="user", time_zone="UTC",
        arms=tuple(PlannedArm(i, f"arm{i}", f"arm{i}", i == 0, 1 / (arms + 1)) for i in range(arms + 1)),
        metrics=(PlannedMetric(definition, metric),), alpha=0.05, power=0.8, min_sample_size=100, auto_promote=True, rules=PolicyRules(),
        weeks=1, n_planned=DAYS * PER_DAY / 2, began_at=START, ended_at=None, planned_end=None, spans=(ServingSpan(START),), pauses=(),
    )  # fmt: skip


def measured(plan: AnalysisPlan, units: int, events: NDArray[np.int64], now: datetime) -> Measured:
    arms = tuple(
        ArmSummary(a.key, a.name, a.is_control, units, units, 0, a.share) for a in plan.arms
    )
    primary = {
        arm.key: Totals.of_rate(int(many), units)
        for arm, many in zip(plan.arms, events, strict=True)
    }
    day = (now - timedelta(days=1)).date()
    return Measured(now, arms, (), {}, {}, look=LookTotals(day, arms, primary, {}))


def last_decision(plan: AnalysisPlan, daily: Daily) -> Decision:
    """Run day by day until something is promoted or concluded."""
    states: list[LookState] = []
    total = daily.cumsum(axis=0)
    for day in range(1, DAYS + 1):
        now = START + timedelta(days=day, hours=1)
        found = conclude(
            plan,
            measured(plan, day * PER_DAY, total[day - 1], now),
            states,
            now=now,
            may_look=True,
            harmed=frozenset(),
        )
        assert (found.taken is not None) == (day >= FIRST_LOOK), (
            "one look a day, from the day on which the clock is complete"
        )
        if found.taken is not None:
            states.append(found.taken)
        if found.decision.kind in ("promote", "conclude"):
            break
    return found.decision


def identical(sims: int, arms: int, seed: int) -> Daily:
    return np.random.default_rng(seed).binomial(PER_DAY, RATE, size=(sims, DAYS, arms + 1))


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "sims"), [(1, 600), (2, 430)])
def test_decision_path__identical_arms__promotes_as_often_as_promised_and_no_less(
    arms: int, sims: int
) -> None:
    plan = plan_for(arms)
    ends = [last_decision(plan, daily) for daily in identical(sims, arms, seed=20260302)]
    assert Bounds(sims).hold(sum(end.kind == "promote" for end in ends))
    assert all(end.kind in ("promote", "conclude", "stop") for end in ends)


def test_bounds__a_machine_that_decides_at_p_below_five_percent_daily_or_never__fail_the_same_check() -> (
    None
):
    sims = 600
    total = identical(sims, 1, seed=20260302).cumsum(axis=1)
    n = PER_DAY * np.arange(1, DAYS + 1)
    pooled = total.sum(axis=2) / (2 * n)
    z = (total[:, :, 1] - total[:, :, 0]) / n / np.sqrt(pooled * (1 - pooled) * 2 / n)
    peeked = int((z > 1.96).any(axis=1).sum())
    assert not Bounds(sims).hold(peeked)
    assert not Bounds(sims).hold(0)


@pytest.mark.parametrize(
    ("direction", "kind"), [(Direction.INCREASE, "promote"), (Direction.DECREASE, "conclude")]
)
def test_decision_path__large_rise__is_promoted_or_worse_by_what_is_better(
    direction: Direction, kind: str
) -> None:
    daily = np.tile(np.array([30, 45]), (DAYS, 1))
    end = last_decision(plan_for(1, direction), daily)
    assert (end.kind, end.conclusion) == (kind, None if kind == "promote" else "worse")


ERRORS = GuardrailPlan("errors", "proportion", "decrease", Margin("points", 0.05))
TRIAL = Trial(
    arrivals=(PER_DAY,) * 11,
    n_planned=PER_DAY * 8 / 2,
    test_arms=2,
    window=timedelta(hours=24),
    guardrails=(ERRORS,),
    mde=RATE * 0.1,
)
"""Units mature two days later: looks on days 7 to 10, on the last of which the horizon is reached.
"""
UNREACHED = replace(TRIAL, n_planned=PER_DAY * 20 / 2)
"""The same with a horizon beyond the planned end, which closes it."""


def plan_of_trial(trial: Trial) -> AnalysisPlan:
    """The plan that a launch of this trial would have been analysed by."""
    errors = MetricDefinition(
        key=ERRORS.key, version=1, name="Errors", kind=MetricKind.PROPORTION, source="event", event_types=("error",), aggregation="any",
        direction=Direction.DECREASE, scale="share", window_hours=24,
    )  # fmt: skip
    guardrail = DesignMetric(
        key=ERRORS.key, version=1, kind="proportion", role="guardrail", direction="decrease", margin=ERRORS.margin.value,
        margin_kind=ERRORS.margin.kind, rule="safe", action="stop",
    )  # fmt: skip
    end = START + timedelta(days=trial.days)
    plan = plan_for(trial.test_arms)
    return replace(
        plan,
        n_planned=trial.n_planned,
        planned_end=end,
        metrics=(*plan.metrics, PlannedMetric(errors, guardrail)),
    )


def service_days(trial: Trial, primary: Counts, errors: Counts) -> Iterator[Findings]:
    """What ``conclude`` finds on each day; arms that are stopped stay stopped."""
    plan, states, harmed = plan_of_trial(trial), list[LookState](), set[str]()
    for day in range(1, trial.days + 1):
        now, matured = START + timedelta(days=day, hours=1), trial.matured(day)
        everybody = tuple(
            ArmSummary(a.key, a.name, a.is_control, trial.units(day), trial.units(day), 0, a.share)
            for a in plan.arms
        )
        seen, safe, start = (
            {arm.key: totals for arm, totals in zip(plan.arms, of(days), strict=True)}
            for of, days in ((primary, matured), (errors, matured), (errors, day))
        )
        look = (
            LookTotals((now - timedelta(days=1)).date(), everybody, seen, {ERRORS.key: safe})
            if matured
            else None
        )
        read = Measured(
            now,
            everybody,
            (),
            {ERRORS.key: start},
            {ERRORS.key: dict.fromkeys(start, NOTHING)},
            look=look,
        )
        found = conclude(plan, read, states, now=now, may_look=True, harmed=frozenset(harmed))
        if found.taken is not None:
            states.append(found.taken)
        if found.decision.kind == "stop":
            harmed.update(found.decision.arms)
        yield found


Counts = Callable[[int], Sequence[Totals]]


def counted(trial: Trial, rng: np.random.Generator, rates: Sequence[float]) -> Counts:
    """Yes units of each arm among those that came in the first so many days."""
    so_far = rng.binomial(PER_DAY, rates, size=(trial.days, len(rates))).cumsum(axis=0).tolist()
    return lambda days: [
        Totals.of_rate(x, trial.units(days))
        for x in (so_far[days - 1] if days else [0] * len(rates))
    ]


@pytest.mark.parametrize(
    ("trial", "rates", "errors", "acts"),
    [
        (TRIAL, (0.3, 0.3, 0.3), (0.05, 0.05, 0.05), {"conclude"}),
        (UNREACHED, (0.3, 0.28, 0.29), (0.05, 0.05, 0.05), {"conclude", "stop"}),
        (TRIAL, (0.3, 0.42, 0.36), (0.05, 0.03, 0.03), {"promote"}),
        (TRIAL, (0.3, 0.2, 0.2), (0.05, 0.05, 0.05), {"conclude", "stop"}),
        (TRIAL, (0.3, 0.36, 0.3), (0.05, 0.30, 0.05), {"stop", "conclude"}),
        (TRIAL, (0.3, 0.42, 0.42), (0.05, 0.10, 0.10), {"escalate", "promote"}),
    ],
)
def test_calibrations_walk__same_totals__decides_as_the_service_day_by_day(
    trial: Trial, rates: tuple[float, ...], errors: tuple[float, ...], acts: set[str]
) -> None:
    rng, acted = np.random.default_rng(20260302), set[str]()
    for _ in range(5):
        primary, bad = counted(trial, rng, rates), counted(trial, rng, errors)
        simulated = Walk(trial, primary, {ERRORS.key: bad})
        for standing, found in zip(simulated, service_days(trial, primary, bad), strict=True):
            decision, theirs = standing.decision, found.decision
            assert (decision.kind, decision.arms, decision.conclusion) == (
                theirs.kind,
                theirs.arms,
                theirs.conclusion,
            )
            assert [v.verdict for v in standing.verdicts] == [v.verdict for v in found.verdicts]
            assert standing.looked == (found.taken is not None)
            assert decision == theirs or not standing.looked, (
                "between looks a service counts units of metrics, and none are read here"
            )
            if decision.kind == "stop":
                simulated.harmed.update(decision.arms)
            if decision.kind != "keep":
                acted.add(decision.kind)
            if decision.kind in ("promote", "conclude", "escalate"):
                break
    assert acted == acts


def test_calibrations_walk__begins_when_these_experiments_begin() -> None:
    assert walk.START == START
