"""Beliefs about lifts and rates: by hand, against other ways to compute them, and where nothing is
known.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, norm

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.exploring import bayes
from analytics.core.stats.exploring.bayes import (
    NormalPrior,
    Outlook,
    Posterior,
    believe_lift,
    believe_rates,
    outlook,
    update,
)
from analytics.core.stats.exploring.estimates import IndependentEstimate

ARM = (
    st.integers(0, 400)
    .flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
    .filter(lambda arm: arm[1] > 0)
)


def _rates(x_c: int, n_c: int, x_t: int, n_t: int, better: bayes.Better = "increase") -> Outlook:
    found = believe_rates(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t), better).outlook
    assert found is not None
    return found


def test_update__estimate_as_wide_as_the_prior__meets_it_half_way() -> None:
    found = update(0.2, 0.3)
    assert (found.mean, found.sd) == pytest.approx((0.1, 0.3 / math.sqrt(2)))


def test_update__exact_or_hopeless_estimate__is_itself_or_the_prior() -> None:
    assert update(0.2, 1e-200).mean == pytest.approx(0.2)
    assert update(0.2, 1e150).mean == pytest.approx(0.0)
    assert update(0.2, 0.1, None) == Posterior(0.2, 0.1)


@given(st.floats(-0.9, 3), st.floats(1e-4, 10))
def test_update__any_estimate__lies_between_prior_and_estimate_and_is_surer_than_either(
    effect: float, se: float
) -> None:
    found = update(effect, se)
    assert min(0, effect) <= found.mean <= max(0, effect)
    assert found.sd <= min(se, 0.3) * (1 + 1e-12)


def test_shrunken_estimate__of_winners__is_right_where_the_plain_one_is_too_large() -> None:
    # Given true lifts drawn from the prior, measured with error, and the significant ones picked
    # out.
    rng = np.random.default_rng(3)
    true = rng.normal(0, 0.3, 40_000)
    seen = true + rng.normal(0, 0.2, true.size)
    won = seen > 1.96 * 0.2
    shrunk = np.array([update(float(v), 0.2).mean for v in seen[won]])
    assert (seen[won] - true[won]).mean() > 0.08
    assert (shrunk - true[won]).mean() == pytest.approx(0.0, abs=0.01)


def test_outlook__no_effect_seen__is_even_and_both_risks_are_a_normal_mean() -> None:
    found = outlook(Posterior(0.0, 0.1))
    assert found.chance_to_win == 0.5
    assert (found.risk_if_shipped, found.risk_if_kept) == pytest.approx(
        (0.0398942, 0.0398942), rel=1e-5
    )


@given(st.floats(-1, 1), st.floats(0.01, 1))
def test_outlook__any_belief__risks_are_the_integrals_and_differ_by_the_effect(
    mean: float, sd: float
) -> None:
    found, turned = outlook(Posterior(mean, sd)), outlook(Posterior(-mean, sd), "decrease")
    assert found.risk_if_kept - found.risk_if_shipped == pytest.approx(mean, abs=1e-12)
    assert found.risk_if_shipped == pytest.approx(
        norm(mean, sd).expect(lambda v: -v, ub=0.0), abs=1e-7
    )
    assert turned == found


@pytest.mark.parametrize("standard", [-1e200, -40.0, 30.0, 1e200])
def test_outlook__belief_without_doubt__stays_numbers(standard: float) -> None:
    found = outlook(Posterior(standard, 1.0))
    assert found.chance_to_win in (0.0, pytest.approx(1.0))
    assert min(found.risk_if_shipped, found.risk_if_kept) < 1e-190
    assert max(found.risk_if_shipped, found.risk_if_kept) == pytest.approx(abs(standard))


def test_believe_lift__clear_control__is_the_delta_method_and_the_prior() -> None:
    found = believe_lift(
        IndependentEstimate(0.1, 0.0001**2, 1e4), IndependentEstimate(0.11, 0.001**2, 1e4)
    )
    se = math.sqrt(0.001**2 + 1.1**2 * 0.0001**2) / 0.1
    assert found.posterior is not None
    assert (found.posterior.mean, found.posterior.sd) == pytest.approx(
        (0.1 * 0.09 / (0.09 + se**2), 1 / math.sqrt(1 / 0.09 + 1 / se**2))
    )


def test_believe_lift__control_near_nothing__cannot_say() -> None:
    found = believe_lift(
        IndependentEstimate(0.1, 0.05**2, 1e4), IndependentEstimate(0.11, 0.001**2, 1e4)
    )
    assert (found.posterior, found.outlook) == (None, None)
    assert found.reason is not None


def test_believe_rates__one_unit_each__is_what_the_integral_by_hand_gives() -> None:
    # Control Beta(1, 2), treatment Beta(2, 1): P(T > C) = ∫ 2(1 − c)(1 − c²) dc = 5/6; E[(C − T)⁺]
    # = ∫ t²(1 − t)² dt = 1/30.
    found = _rates(0, 1, 1, 1)
    assert (found.chance_to_win, found.risk_if_shipped) == pytest.approx((5 / 6, 1 / 30))
    assert found.risk_if_kept == pytest.approx(1 / 30 + 1 / 3)


@settings(max_examples=25, deadline=None)
@given(ARM, ARM)
def test_believe_rates__any_counts__agree_with_numerical_integration(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    (x_c, n_c), (x_t, n_t) = control, treatment
    found = _rates(x_c, n_c, x_t, n_t)
    c, t = beta(1 + x_c, 1 + n_c - x_c), beta(1 + x_t, 1 + n_t - x_t)
    where = [
        v
        for arm in (c, t)
        for k in (-6, -3, 0, 3, 6)
        if 0 < (v := float(arm.mean() + k * arm.std())) < 1
    ]
    loss = quad(lambda v: t.cdf(v) * c.sf(v), 0, 1, points=where, limit=400)[0]
    assert found.risk_if_shipped == pytest.approx(loss, rel=1e-5, abs=1e-9)
    assert found.risk_if_kept - found.risk_if_shipped == pytest.approx(
        t.mean() - c.mean(), abs=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(ARM, ARM)
def test_believe_rates__arms_swapped_or_decrease_better__turns_all_round(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    one, other = _rates(*control, *treatment), _rates(*treatment, *control)
    assert other.chance_to_win == pytest.approx(1 - one.chance_to_win, abs=1e-9)
    assert other.risk_if_kept == pytest.approx(one.risk_if_shipped, rel=1e-9, abs=1e-15)
    assert _rates(*control, *treatment, better="decrease") == other


def test_believe_rates__large_counts__meet_the_normal_answer() -> None:
    n = 10**9
    found = _rates(n // 5, n, n // 5 + 10_000, n)
    z = 1e-5 / math.sqrt(2 * 0.16 / n)
    assert found.chance_to_win == pytest.approx(norm.cdf(z), abs=1e-4)


@pytest.mark.parametrize(
    "counts",
    [
        (0, 10**12, 0, 10**12),
        (10**12, 10**12, 10**12, 10**12),
        (0, 10**12, 10**12, 10**12),
        (1, 10**12, 3, 10**12),
        (10**12 - 3, 10**12, 10**12 - 1, 10**12),
    ],
)
def test_believe_rates__hostile_counts__stay_chances_and_losses(
    counts: tuple[int, int, int, int],
) -> None:
    found = _rates(*counts)
    assert 0.5 - 1e-9 <= found.chance_to_win <= 1
    assert 0 <= found.risk_if_shipped <= found.risk_if_kept * (1 + 1e-9)


def test_believe_rates__mirrored_rates__are_as_exact_near_one_as_near_nothing() -> None:
    low, high = _rates(1, 10**12, 3, 10**12), _rates(10**12 - 3, 10**12, 10**12 - 1, 10**12)
    assert high.chance_to_win == pytest.approx(low.chance_to_win, rel=1e-9)
    assert high.risk_if_shipped == pytest.approx(low.risk_if_shipped, rel=1e-9)


def test_believe_rates__credible_interval__covers_its_share_of_the_posterior() -> None:
    found = believe_rates(Totals.of_rate(3, 50), Totals.of_rate(50, 50), alpha=0.1)
    assert found.control is not None and found.treatment is not None
    posterior = beta(4, 48)
    assert posterior.cdf([found.control.low, found.control.high]) == pytest.approx([0.05, 0.95])
    assert found.treatment.high < 1


def test_believe_rates__empty_arm__cannot_say() -> None:
    found = believe_rates(Totals.of_rate(0, 0), Totals.of_rate(1, 2))
    assert (found.outlook, found.reason) == (None, "no units in control")


def test_bayes__nonsense__is_refused() -> None:
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ImpossiblePlan):
            NormalPrior(0.0, wrong)
        with pytest.raises(ImpossibleTotals):
            update(0.1, wrong)
    with pytest.raises(ImpossibleTotals):
        update(math.nan, 0.1)
    with pytest.raises(ImpossiblePlan):
        believe_rates(Totals.of_rate(1, 2), Totals.of_rate(1, 2), prior=(0.0, 1.0))
    with pytest.raises(ImpossibleTotals):
        believe_rates(Totals(2, 3.0, 5.0), Totals.of_rate(1, 2))


def test_chance_to_win__peeked_at__finds_winners_without_effect() -> None:
    # Given 2,000 A/A tests, and a reader who stops at the first of 14 daily chances beyond 97.5 %
    # either way.
    sums = np.random.default_rng(8).normal(size=(2_000, 14)).cumsum(axis=1)
    se = 0.4 / np.sqrt(np.arange(1, 15))
    z = (
        sums
        * 0.4
        / np.arange(1, 15)
        * (0.09 / (0.09 + se**2))
        / (se * np.sqrt(0.09 / (0.09 + se**2)))
    )
    # Then the chance is wrong far more often than it sounds: it is not peeking-proof, and nothing
    # says so.
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.1
    assert "never called peeking-proof" in " ".join((bayes.__doc__ or "").split())
