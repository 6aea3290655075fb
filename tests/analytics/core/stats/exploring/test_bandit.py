"""Moving splits: chances of being best, floors, and what may be concluded of batches whose split
followed the data.
"""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.batch import ManyTotals
from analytics.core.stats.exploring import bandit
from analytics.core.stats.exploring.bandit import (
    BanditPlan,
    best_chances,
    conclude,
    contrasts,
    next_split,
    next_splits,
    with_floors,
)

TWO, THREE = BanditPlan(2), BanditPlan(3)
MEANS = st.lists(st.floats(-5, 5), min_size=2, max_size=5)


def _batch(*arms: tuple[int, int]) -> list[Totals]:
    return [Totals.of_rate(events, n) for events, n in arms]


def test_best_chances__two_arms__are_the_normal_tail_of_their_difference() -> None:
    found = best_chances([0.0, 1.0], [1.0, 3.0])
    assert found == pytest.approx([ndtr(-0.5), ndtr(0.5)], abs=1e-10)
    assert best_chances([0.0, 1.0], [1.0, 3.0], "decrease") == pytest.approx(found[::-1], abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(MEANS, st.data())
def test_best_chances__any_posteriors__add_up_to_one_and_follow_their_order(
    means: list[float], data: st.DataObject
) -> None:
    spread = data.draw(st.lists(st.floats(1e-4, 10), min_size=len(means), max_size=len(means)))
    assert best_chances(means, spread).sum() == pytest.approx(1.0)
    # With equal spreads a better mean has the better chance; and shifting or scaling all changes
    # nothing.
    alike = best_chances(means, 0.5)
    assert (
        list(np.argsort(alike[np.argsort(means)], kind="stable")) == sorted(range(len(means)))
        or np.ptp(means) < 1e-6
    )
    assert best_chances(np.array(means) * 3 + 7, 4.5) == pytest.approx(alike, abs=1e-9)


def test_best_chances__very_different_spreads__agree_with_drawing() -> None:
    means, sds = np.array([0.0, 0.1, -0.2, 0.05]), np.array([1.0, 0.01, 3.0, 0.2])
    drawn = np.random.default_rng(1).normal(means, sds, (400_000, 4)).argmax(axis=1)
    assert best_chances(means, sds**2) == pytest.approx(
        np.bincount(drawn, minlength=4) / 400_000, abs=0.003
    )


def test_best_chances__arm_far_behind__has_a_tiny_chance_and_not_none() -> None:
    found = best_chances([0.0, 20.0], [1.0, 1.0])
    assert 0 < found[0] == pytest.approx(ndtr(-20 / math.sqrt(2)), rel=0.05)
    assert best_chances([0.0, 1e9], [1.0, 1.0]).tolist() == [0.0, 1.0]


def test_best_chances__many_at_once__are_those_of_each() -> None:
    means, spread = np.random.default_rng(2).normal(size=(2, 3, 4)), np.full((2, 3, 4), 0.3)
    found = best_chances(means, spread)
    assert found[1, 2] == pytest.approx(best_chances(means[1, 2], spread[1, 2]))


@pytest.mark.parametrize("wrong", [[1.0, 0.0], [1.0, -1.0], [1.0, math.nan]])
def test_best_chances__without_spread__are_refused(wrong: list[float]) -> None:
    with pytest.raises(ImpossibleTotals):
        best_chances([0.0, 1.0], wrong)


def test_floors__leave_every_arm_its_share() -> None:
    assert THREE.floors == (0.05, 0.01, 0.01)
    assert with_floors([0.0, 0.0, 1.0], THREE.floors) == pytest.approx([0.05, 0.01, 0.94])


def test_next_split__before_a_hundred_units_an_arm__is_even() -> None:
    assert next_split(TWO, []).shares == (0.5, 0.5)
    found = next_split(TWO, [_batch((1, 99), (90, 900))])
    assert (found.shares, found.best) == ((0.5, 0.5), None)
    assert found.reason is not None and "100 units" in found.reason


def test_next_split__an_arm_ahead__gets_more_and_control_keeps_its_floor() -> None:
    found = next_split(TWO, [_batch((100, 1_000), (200, 1_000))])
    assert found.shares == pytest.approx((0.05, 0.95), abs=1e-4)
    worse = next_split(BanditPlan(2, better="decrease"), [_batch((100, 1_000), (200, 1_000))])
    assert worse.shares == pytest.approx((0.99, 0.01), abs=1e-4)


def test_next_split__an_arm_served_in_good_weeks__is_not_taken_for_better() -> None:
    # Given two equal arms, 10 % in the first week and 30 % in the second, when treatment had most
    # units.
    found = next_split(TWO, [_batch((90, 900), (10, 100)), _batch((30, 100), (270, 900))])
    assert found.best == pytest.approx((0.5, 0.5), abs=1e-6)


def test_next_split__nobody_with_the_event__stays_even() -> None:
    found = next_split(TWO, [_batch((0, 1_000), (0, 1_000))])
    assert (found.shares, found.best) == ((0.5, 0.5), None)


def test_next_split__no_event_in_one_arm_yet__borrows_the_others_spread() -> None:
    found = next_split(TWO, [_batch((0, 200), (4, 200))])
    assert found.best is not None and 0.9 < found.best[1] < 1


def test_next_splits__nothing_seen__are_even() -> None:
    shares, best = next_splits(THREE, ManyTotals.of_rates(np.zeros((4, 0, 3)), np.zeros((4, 0, 3))))
    assert shares == pytest.approx(np.full((4, 3), 1 / 3))
    assert np.isnan(best).all()


def test_conclude__ten_equal_batches__is_the_fixed_test() -> None:
    batches = [_batch((100, 1_000), (115, 1_000))] * 10
    found = conclude(TWO, batches, 1)
    unit = (0.1 * 0.9 + 0.115 * 0.885) * 1_000 / 999
    assert found.estimate == pytest.approx(0.015)
    assert found.z == pytest.approx(0.015 / math.sqrt(unit / 10_000))
    assert found.ci is not None
    assert (found.ci.low, found.ci.high) == pytest.approx(
        (0.015 - 1.959964 * found.se, 0.015 + 1.959964 * found.se)
    )


def test_conclude__shares_and_rates_moved_together__sees_no_effect_where_pooled_means_would() -> (
    None
):
    # Given no effect in any batch, while treatment's share and everybody's rate rise.
    sizes = [(1_100 - 100 * k, 100 * k) for k in range(1, 11)]
    batches = [
        _batch((n_c * k // 20, n_c), (n_t * k // 20, n_t)) for k, (n_c, n_t) in enumerate(sizes, 1)
    ]
    found = conclude(TWO, batches, 1)
    assert found.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.z == pytest.approx(0.0, abs=1e-9)
    pooled = [sum(b[arm].sum_y for b in batches) / sum(b[arm].n for b in batches) for arm in (0, 1)]
    assert pooled[1] - pooled[0] > 0.1


def test_conclude__before_the_planned_end__estimates_and_does_not_test() -> None:
    found = conclude(TWO, [_batch((100, 1_000), (200, 1_000))] * 9, 1)
    assert found.estimate == pytest.approx(0.1)
    assert (found.z, found.p, found.ci) == (None, None, None)
    assert found.reason == "tested at the planned end only: 9 of 10 batches are in"


def test_conclude__a_batch_that_cannot_compare__says_which() -> None:
    good = _batch((100, 1_000), (100, 1_000))
    starved = conclude(TWO, [good] * 9 + [_batch((100, 1_000), (1, 9))], 1)
    assert (starved.estimate, starved.z) == (None, None)
    assert starved.reason is not None and starved.reason.startswith(
        "batch 10: treatment has too few units"
    )
    still = conclude(TWO, [good] * 9 + [_batch((0, 1_000), (0, 1_000))], 1)
    assert still.reason is not None and "no spread" in still.reason
    assert conclude(TWO, [], 1).reason == "no batch was released yet"


def test_conclude__starved_arm_without_an_event__is_no_proof() -> None:
    # Given 15 units in treatment each time, of which none converts at 5 %: its own variance would
    # be 0.
    found = conclude(
        TWO, [_batch((50, 1_000), (0, 15))] * 5 + [_batch((50, 1_000), (1, 15))] * 5, 1
    )
    assert found.z is not None and abs(found.z) < 2


@given(
    st.lists(st.tuples(st.integers(20, 500), st.integers(20, 500)), min_size=10, max_size=10),
    st.integers(1, 1_000),
)
def test_conclude__interval_and_test__agree(sizes: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    batches = [
        [Totals.of_values(rng.normal(0.1 * arm, 1, n).tolist()) for arm, n in enumerate(pair)]
        for pair in sizes
    ]
    found = conclude(TWO, batches, 1)
    assert found.ci is not None and found.p is not None
    assert found.ci.holds(0.0) == (found.p >= 0.05)


def test_conclude__hostile_counts__stay_numbers() -> None:
    n = 10**12
    found = conclude(TWO, [_batch((n // 2, n), (n // 2 + 10**6, n))] * 10, 1)
    assert found.estimate == pytest.approx(1e-6)
    assert found.z == pytest.approx(1e-6 / math.sqrt(0.5 / n / 10), rel=1e-3)


def test_plan__nonsense__is_refused() -> None:
    for arms, wrong in (
        (1, {}),
        (2, {"batches": 9}),
        (2, {"control_floor": 0.99}),
        (3, {"floor": 0.0}),
        (2, {"floor": math.nan}),
    ):
        with pytest.raises(ImpossiblePlan):
            BanditPlan(arms, **wrong)
    with pytest.raises(ImpossiblePlan):
        conclude(TWO, [_batch((1, 20), (1, 20))], 2)
    with pytest.raises(ImpossibleTotals):
        next_split(THREE, [_batch((10, 1_000), (10, 1_000))])


def test_why_not_served__answers_later_than_the_next_split__is_refused() -> None:
    day = timedelta(days=1)
    assert bandit.why_not_served(timedelta(hours=1), day) is None
    assert "delayed" in (bandit.why_not_served(7 * day, day) or "")
    assert "no window" in (bandit.why_not_served(None, day) or "")


def test_bandit__pooled_means__are_offered_nowhere() -> None:
    assert not [name for name in dir(bandit) if "pool" in name]
    assert not [name for name in bandit.BanditResult.__dataclass_fields__ if "mean" in name]


@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_bandit__split_follows_the_data_while_rates_drift__covers_as_promised(
    effect: float,
) -> None:
    # Given 1,000 experiments of ten batches, everybody's rate rising from 10 to 20 %.
    sims, rng = 1_000, np.random.default_rng(6)
    n, x = np.zeros((sims, 0, 2)), np.zeros((sims, 0, 2))
    for k in range(TWO.batches):
        shares, _ = next_splits(TWO, ManyTotals.of_rates(x, n))
        units = rng.multinomial(2_000, shares)
        n = np.concatenate([n, units[:, None]], axis=1)
        x = np.concatenate(
            [x, rng.binomial(units, np.array([0.1, 0.1 + effect]) + 0.01 * k)[:, None]], axis=1
        )
    found = contrasts(ManyTotals.of_rates(x, n))
    covered = np.abs(found.centre - effect) <= 1.959964 * found.spread
    slack = 3.29 * math.sqrt(0.95 * 0.05 / sims)
    # Then intervals hold the truth, the estimate is unbiased, and pooled means miss it most of the
    # time.
    assert covered.mean() == pytest.approx(0.95, abs=slack)
    assert found.estimate.mean() == pytest.approx(
        effect, abs=3.29 * found.estimate.std() / math.sqrt(sims)
    )
    rate = x.sum(axis=1) / n.sum(axis=1)
    se = np.sqrt((rate * (1 - rate) / n.sum(axis=1)).sum(axis=1))
    assert (np.abs(rate[:, 1] - rate[:, 0] - effect) <= 1.959964 * se).mean() < 0.7
