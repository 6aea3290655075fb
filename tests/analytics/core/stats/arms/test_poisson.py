"""Rates of rare events: hand-computed goldens, agreement with statsmodels, error rates, hostile
counts.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.rates import (
    confint_poisson_2indep,
    etest_poisson_2indep,
    power_poisson_ratio_2indep,
    test_poisson_2indep,
)

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms import poisson
from analytics.core.stats.arms.poisson import Rate

test_poisson_2indep.__test__ = False  # a function of statsmodels, not a test

COUNT, EXPOSURE = st.integers(1, 400), st.floats(50.0, 50_000.0)


def _rate(events: int, exposure: float) -> Rate:
    return Rate(events, exposure, round(exposure))


def test_rate__sixteen_against_nine_in_the_same_exposure__is_seven_fifths_of_an_error() -> None:
    # z = (16 − 9)/√(16 + 9) = 1.4
    found = poisson.compare_rates(_rate(9, 1_000), _rate(16, 1_000))
    assert found.z == pytest.approx(1.4)
    assert found.p == pytest.approx(0.16151, abs=1e-5)
    assert found.lift == pytest.approx(7 / 9)


@settings(max_examples=60, deadline=None)
@given(COUNT, EXPOSURE, COUNT, EXPOSURE, st.floats(0.5, 2.0))
def test_edges__any_counts__agree_with_statsmodels(
    x_c: int, e_c: float, x_t: int, e_t: float, factor: float
) -> None:
    control, treatment = _rate(x_c, e_c), _rate(x_t, e_t)
    for method, found in (("score", poisson.score_edge), ("wald-log", poisson.wald_log_edge)):
        ours = found(control, treatment, factor)
        for side, p in (("larger", ours.p_above), ("smaller", ours.p_below)):
            theirs = test_poisson_2indep(
                x_t, e_t, x_c, e_c, value=factor, method=method, compare="ratio", alternative=side
            )
            assert p == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.7, 1.5))
def test_e_test__few_events__agrees_with_statsmodels(x_c: int, x_t: int, factor: float) -> None:
    ours = poisson.e_test(_rate(x_c, 900.0), _rate(x_t, 1_100.0), factor)
    for side, p in (("larger", ours.p_above), ("smaller", ours.p_below)):
        _, theirs = etest_poisson_2indep(x_t, 1_100.0, x_c, 900.0, value=factor, alternative=side)
        assert p == pytest.approx(theirs, rel=1e-6, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(COUNT, EXPOSURE, COUNT, EXPOSURE)
def test_intervals__any_counts__agree_with_statsmodels_and_invert_the_test(
    x_c: int, e_c: float, x_t: int, e_t: float
) -> None:
    control, treatment = _rate(x_c, e_c), _rate(x_t, e_t)
    for added, method in ((0.0, "wald-log"), (0.5, "waldcc")):
        found = poisson.wald_log_interval(control, treatment, added=added)
        assert found is not None
        assert (found.low, found.high) == pytest.approx(
            confint_poisson_2indep(x_t, e_t, x_c, e_c, method=method, compare="ratio")
        )
    score = poisson.score_interval(control, treatment)
    assert score is not None
    assert poisson.score_z(control, treatment, score.low) == pytest.approx(
        1.959963984540054, rel=1e-7
    )
    assert poisson.score_z(control, treatment, score.high) == pytest.approx(
        -1.959963984540054, rel=1e-7
    )


@settings(max_examples=40, deadline=None)
@given(COUNT, EXPOSURE, COUNT, EXPOSURE)
def test_rates__arms_swapped__turns_the_signs_only(
    x_c: int, e_c: float, x_t: int, e_t: float
) -> None:
    here, there = (
        poisson.compare_rates(a, b)
        for a, b in ((_rate(x_c, e_c), _rate(x_t, e_t)), (_rate(x_t, e_t), _rate(x_c, e_c)))
    )
    assert here.p == pytest.approx(there.p, rel=1e-6)
    assert here.z == pytest.approx(-(there.z or 0.0))
    assert here.ci is not None and there.ci is not None
    assert (here.ci.low, here.ci.high) == pytest.approx((-there.ci.high, -there.ci.low))


@settings(max_examples=40, deadline=None)
@given(COUNT, COUNT, st.floats(0.01, 100.0))
def test_rates__exposure_in_another_unit__keeps_p_and_lift(
    x_c: int, x_t: int, scale: float
) -> None:
    plain = poisson.compare_rates(_rate(x_c, 4_000.0), _rate(x_t, 4_100.0))
    scaled = poisson.compare_rates(
        Rate(x_c, 4_000.0 * scale, 4_000), Rate(x_t, 4_100.0 * scale, 4_100)
    )
    assert (scaled.p, scaled.lift) == pytest.approx((plain.p, plain.lift), rel=1e-9)


def test_rates__of_a_few_expected_events__are_summed_and_not_taken_for_normal() -> None:
    # All of six events in treatment: the pairs of Poisson(3) counts at least as far apart in z.
    found = poisson.compare_rates(_rate(0, 1_000), _rate(6, 1_000))
    assert found.method == "Poisson E-test"
    wanted = 0.0
    for a in range(60):
        for b in range(60):
            if a + b and abs(b - a) / math.sqrt(a + b) >= math.sqrt(6) - 1e-9:
                wanted += math.exp(-6) * 3 ** (a + b) / (math.factorial(a) * math.factorial(b))
    assert found.p == pytest.approx(wanted, rel=1e-9)
    assert found.score_p == pytest.approx(0.014306, abs=1e-6)


def test_rates__of_an_arm_without_events__have_a_difference_but_no_relative_limit() -> None:
    found = poisson.compare_rates(_rate(0, 10_000), _rate(30, 10_000))
    assert found.lift is None and found.lift_ci is None and found.lift_reason is not None
    assert found.ci is not None and found.ci.low > 0
    gone = poisson.compare_rates(_rate(30, 10_000), _rate(0, 10_000))
    assert gone.lift == -1.0
    assert gone.lift_ci is not None and gone.lift_ci.low == -1.0 and gone.lift_ci.high < -0.5


@pytest.mark.parametrize("counts", [(0, 0.0, 5, 10.0), (5, 10.0, 0, 0.0), (0, 10.0, 0, 10.0)])
def test_rates__without_exposure_or_events__cannot_say(
    counts: tuple[int, float, int, float],
) -> None:
    x_c, e_c, x_t, e_t = counts
    found = poisson.compare_rates(_rate(x_c, e_c), _rate(x_t, e_t))
    assert found.p is None and found.z is None and found.reason is not None


@pytest.mark.parametrize(
    "counts",
    [
        (10**12, 10**12, 10**12 + 10**7, 10**12),
        (1, 1e12, 3, 10.0),
        (0, 1e-9, 1, 1e12),
        (1, 1e-300, 1, 1e-300),
    ],
)
def test_rates__huge_and_tiny__stay_numbers(counts: tuple[int, float, int, float]) -> None:
    x_c, e_c, x_t, e_t = counts
    found = poisson.compare_rates(Rate(x_c, float(e_c), 5), Rate(x_t, float(e_t), 5))
    assert found.p is not None and 0 <= found.p <= 1
    assert found.ci is not None and found.ci.low <= found.ci.high


@pytest.mark.parametrize(
    "made",
    [(-1, 1.0, 1), (1, math.nan, 1), (1, 0.0, 1), (1, -1.0, 1), (1.5, 1.0, 1), (1, math.inf, 1)],
)
def test_rate__that_cannot_be__is_refused(made: tuple[int, float, int]) -> None:
    with pytest.raises(ImpossibleTotals):
        Rate(*made)


def test_rate__of_totals__reads_exposure_from_the_companion_and_sees_clumps() -> None:
    sessions = Totals.of_values([0, 1, 0, 2], companions=[3, 5, 2, 10])
    found = Rate.of_totals(sessions)
    assert (found.events, found.exposure, found.units) == (3, 20.0, 4)
    assert found.dispersion == pytest.approx((11 / 12) / 0.75)
    alone, clumped = Totals(10_000, 100.0, 104.0), Totals(10_000, 100.0, 1_000.0)
    assert not Rate.of_totals(alone).clumped
    noted = poisson.compare_rates(Rate.of_totals(alone), Rate.of_totals(clumped)).notes
    assert len(noted) == 1 and noted[0].startswith("treatment: events come in clumps")
    with pytest.raises(ImpossibleTotals):
        Rate.of_totals(Totals(2, 1.5, 1.25))


@pytest.mark.parametrize(
    ("n", "ratio", "size_ratio", "edge"),
    [(50_000, 1.15, 1.0, 1.0), (9_000, 1.4, 0.5, 1.0), (20_000, 1.0, 2.0, 1.15)],
)
def test_power__any_plan__agrees_with_statsmodels(
    n: int, ratio: float, size_ratio: float, edge: float
) -> None:
    # statsmodels' first sample is treatment, so its sizes are turned round.
    theirs = power_poisson_ratio_2indep(
        0.003 * ratio,
        0.003,
        n * size_ratio,
        1 / size_ratio,
        value=edge,
        alpha=0.05,
        alternative="two-sided",
        return_results=False,
    )
    assert poisson.rate_ratio_power(
        0.003, ratio, n, size_ratio=size_ratio, edge=edge
    ) == pytest.approx(theirs, rel=1e-9)


def test_power__of_the_events_that_detection_needs__is_four_fifths() -> None:
    assert poisson.rate_ratio_power(1.0, 1.15, 752) == pytest.approx(0.8, abs=5e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0.0}, {"ratio": -1.0}, {"n_control": math.nan}, {"alpha": 1.0}, {"dispersion": 0.0}],
)
def test_power__of_an_impossible_plan__is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ImpossiblePlan):
        poisson.rate_ratio_power(**{"rate": 0.01, "ratio": 1.2, "n_control": 1_000, **wrong})


def test_score__at_the_factor_itself__proves_more_harm_no_oftener_than_it_may() -> None:
    rng = np.random.default_rng(20_240_601)
    x_c, x_t = rng.poisson(60, 20_000), rng.poisson(60 * 1.15, 20_000)
    z = (x_t - 1.15 * x_c) / np.sqrt(1.15 * (x_t + x_c))
    assert poisson.score_z(_rate(int(x_c[0]), 1.0), _rate(int(x_t[0]), 1.0), 1.15) == pytest.approx(
        z[0]
    )
    assert 0.045 < np.mean(z > 1.6448536) < 0.0551
