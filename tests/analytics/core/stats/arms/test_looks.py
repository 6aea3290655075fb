"""Looks: progress, boundaries that stay crossed, small arms, several hypotheses, and their error
rate.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from analytics.core.deciding.looks import (
    LookHistory,
    LookPlan,
    Observation,
    crossed_together,
    information,
    observe,
    planned_information,
    take_look,
    time_of,
)
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.sequential.group_sequential import boundaries

MONDAY = date(2026, 6, 1)
PLAN = LookPlan(n_planned=1_000.0)


def _seen(z: float, n: int = 1_000) -> Observation:
    """An observation whose information is n/2."""
    return Observation(n, n, estimate=z * 0.01, se=0.01, z=z)


def _after(plan: LookPlan, *seen: Observation) -> LookHistory:
    history = LookHistory(plan)
    for k, s in enumerate(seen):
        history = take_look(history, s, MONDAY + timedelta(days=k)).history
    return history


def test_look__halfway__has_the_boundary_of_half_the_information() -> None:
    look = _after(PLAN, _seen(1.0)).latest
    assert look is not None
    assert look.t == 0.5
    assert look.boundary == pytest.approx(boundaries([0.5]).z[0])
    assert look.crossed is None and not look.last


def test_look__boundary_crossed_once__stays_crossed() -> None:
    history = _after(PLAN, _seen(3.5), _seen(0.1, 1_500))
    assert history.crossed == "better"
    assert history.p is not None and history.p < 0.05


@pytest.mark.parametrize(
    ("better", "z", "crossing"),
    [("increase", -4.0, "worse"), ("decrease", -4.0, "better"), ("decrease", 4.0, "worse")],
)
def test_look__crossing__is_named_by_what_is_better(better: str, z: float, crossing: str) -> None:
    assert _after(replace(PLAN, better=better), _seen(z)).crossed == crossing  # type: ignore[arg-type]  # parametrized words


def test_look__full_information__is_the_last_and_nothing_follows() -> None:
    history = _after(PLAN, _seen(1.0, 2_500))
    assert history.over
    assert history.latest is not None and history.latest.t == 1.0
    again = take_look(history, _seen(9.0, 5_000), MONDAY + timedelta(days=9))
    assert again.look is None and again.history == history
    assert again.reason is not None and "exploratory" in again.reason


def test_look__planned_end_before_full_information__spends_all_that_is_left() -> None:
    taken = take_look(LookHistory(PLAN), _seen(2.0), MONDAY, closing=True)
    assert taken.look is not None
    assert taken.look.last and taken.look.alpha_spent == pytest.approx(0.05)
    assert taken.look.crossed == "better"


def test_look__twice_on_a_day__is_not_taken() -> None:
    history = _after(PLAN, _seen(1.0))
    assert take_look(history, _seen(9.0), MONDAY).look is None


def test_look__units_taken_back__progress_never_falls() -> None:
    history = _after(PLAN, _seen(1.0, 1_000))
    assert time_of(history, _seen(1.0, 600)) == 0.5
    again = take_look(history, _seen(9.0, 600), MONDAY + timedelta(days=1)).look
    assert again is not None
    assert again.boundary is None and again.crossed is None


def test_look__data_cannot_say__spends_nothing() -> None:
    taken = take_look(
        LookHistory(PLAN),
        observe("mean", Totals.of_values([1.0] * 5), Totals.of_values([1.0] * 50)),
        MONDAY,
    )
    assert taken.look is None and taken.history.looks == ()
    assert taken.reason == "control has 5 units; below 10 an arm nothing can be said"


def test_observe__large_arms__is_the_score_test() -> None:
    control, treatment = Totals.of_rate(8502, 44700), Totals.of_rate(8279, 45489)
    seen = observe("proportion", control, treatment)
    assert seen.z == compare_proportions(control, treatment).z
    assert observe("proportion", treatment, control).z == pytest.approx(-(seen.z or 0.0))


def test_observe__arms_below_two_hundred__is_t_on_the_jackknife_variance() -> None:
    a, b = [1.0, 2.0, 4.0, 8.0, 9.0] * 6, [3.0, 4.0, 6.0, 9.0, 12.0] * 6

    def jackknife(values: list[float]) -> float:
        means = [(sum(values) - v) / (len(values) - 1) for v in values]
        return (
            (len(values) - 1) / len(values) * float(np.sum((np.array(means) - np.mean(means)) ** 2))
        )

    seen = observe("mean", Totals.of_values(a), Totals.of_values(b))
    assert seen.se == pytest.approx(np.sqrt(jackknife(a) + jackknife(b)))
    assert seen.se is not None and seen.z is not None
    assert 0 < seen.z < (np.mean(b) - np.mean(a)) / seen.se


def test_observe__rare_events__never_count_for_more_than_the_exact_test() -> None:
    seen = observe("proportion", Totals.of_rate(0, 5_000), Totals.of_rate(5, 5_000))
    exact = compare_proportions(Totals.of_rate(0, 5_000), Totals.of_rate(5, 5_000))
    assert exact.fisher_p is not None and seen.z is not None and exact.z is not None
    assert seen.z < exact.z
    assert seen.z == pytest.approx(1.863, abs=2e-3)  # two-sided p = 2/2⁵


def test_crossed_together__three_arms__step_down_with_holm() -> None:
    plan = replace(PLAN, hypotheses=3)
    strong, middling, weak = (_after(plan, _seen(z, 2_000)) for z in (4.0, 2.25, 1.0))
    # 2.25 at the end is p ≈ .0244: not below .05/3 alone, below .05/2 once the strong arm has
    # passed.
    assert middling.crossed is None
    assert crossed_together([strong, middling, weak]) == ["better", "better", None]
    assert crossed_together([weak, middling, weak]) == [None, None, None]


def test_crossed_together__arms_not_looked_at_yet__still_count() -> None:
    plan = replace(PLAN, hypotheses=2)
    assert crossed_together([_after(plan, _seen(2.1, 2_000))]) == [None]
    assert crossed_together([]) == []


def test_planned_information__is_the_largest_demand() -> None:
    assert information(100, 100) == 50.0
    assert information(0, 100) == 0.0
    assert planned_information(500.0, [900.0, 20.0], 700.0) == 900.0


def test_look_plan__without_a_horizon__is_refused() -> None:
    with pytest.raises(ImpossiblePlan):
        LookPlan(n_planned=0.0)


def test_looks__identical_arms_looked_at_daily__promise_is_kept() -> None:
    # Given 400 experiments on identical arms of yes/no units, 100 an arm a day for 14 days.
    rng = np.random.default_rng(11)
    crossed = 0
    daily = rng.binomial(100, 0.3, size=(400, 14, 2)).cumsum(axis=1)
    for experiment in daily:
        bounds = np.array(boundaries([(k + 1) / 14 for k in range(14)]).z)
        zs = [
            observe(
                "proportion",
                Totals.of_rate(int(c), 100 * (k + 1)),
                Totals.of_rate(int(t), 100 * (k + 1)),
            ).z
            for k, (c, t) in enumerate(experiment)
        ]
        crossed += bool((np.abs(np.array(zs, dtype=float)) >= bounds).any())
    # Then at most 5 % cross, within the 99.9 % binomial bound, and some do.
    assert 4 <= crossed <= 36
