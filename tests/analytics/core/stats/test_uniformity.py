"""Calibration's primitives: agreement with scipy, the ranges that the specification prints, and
power against what is wrong.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats.uniformity import binomial_bounds, ks_uniform, upper_bound


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300))
def test_ks_uniform__any_p_values__agrees_with_scipy(p: list[float]) -> None:
    theirs, ours = kstest(p, "uniform"), ks_uniform(p)
    assert (ours.d, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_ks_uniform__a_single_half__is_half_away_with_certainty() -> None:
    assert ks_uniform([0.5]) == ks_uniform((0.5,))
    found = ks_uniform([0.5])
    assert (found.n, found.d, found.p) == (1, 0.5, 1.0)


def test_ks_uniform__p_values_that_are_too_small__is_seen() -> None:
    rng = np.random.default_rng(6)
    assert (ks_uniform(rng.uniform(size=1_000)).p or 0) > 0.01
    assert (ks_uniform(rng.uniform(size=1_000) ** 1.3).p or 1) < 1e-4


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20_000), st.floats(0.001, 0.999), st.floats(0.5, 0.9999))
def test_binomial_bounds__any_rate__agree_with_scipy(
    n: int, rate: float, confidence: float
) -> None:
    tail, found = (1 - confidence) / 2, binomial_bounds(n, rate, confidence)
    assert (found.low * n, found.high * n) == pytest.approx(
        (binom.ppf(tail, n, rate), binom.ppf(1 - tail, n, rate)), abs=1e-6
    )


@pytest.mark.parametrize(
    ("n", "rate", "low", "high"),
    [
        (10_000, 0.05, 0.0430, 0.0573),
        (2_000, 0.05, 0.0345, 0.0665),
        (100_000, 0.001, 0.00069, 0.00134),
        (10_000, 0.8, 0.787, 0.813),
    ],
)
def test_binomial_bounds__of_the_calibration__are_the_documented_ones(
    n: int, rate: float, low: float, high: float
) -> None:
    found = binomial_bounds(n, rate)
    assert (found.low, found.high) == pytest.approx(
        (low, high), abs=10 ** -(5 if rate < 0.01 else 3 if rate > 0.5 else 4) * 0.51
    )
    assert found.holds(rate) and found.holds(low + 1e-3 * rate) and not found.holds(high * 1.05)
    assert upper_bound(n, rate) == found.high


def test_binomial_bounds__of_rates_zero_and_one_and_of_billions__stay_numbers() -> None:
    assert (binomial_bounds(100, 0.0).low, binomial_bounds(100, 0.0).high) == (0.0, 0.0)
    assert (binomial_bounds(100, 1.0).low, binomial_bounds(100, 1.0).high) == (1.0, 1.0)
    wide = binomial_bounds(10**9, 0.5)
    assert wide.low == pytest.approx(0.5 - 3.2905 * math.sqrt(0.25 / 10**9), abs=1e-8)


def test_ks_uniform__of_nothing__cannot_say() -> None:
    assert (ks_uniform([]).d, ks_uniform([]).p) == (None, None)


@pytest.mark.parametrize("p", [[1.5], [-0.1], [math.nan, 0.5]])
def test_ks_uniform__of_what_is_no_probability__is_refused(p: list[float]) -> None:
    with pytest.raises(ImpossibleTotals):
        ks_uniform(p)


@pytest.mark.parametrize(
    "asked", [(0, 0.5, 0.9), (10, 1.5, 0.9), (10, 0.5, 1.0), (10, math.nan, 0.9)]
)
def test_binomial_bounds__of_an_impossible_plan__are_refused(
    asked: tuple[int, float, float],
) -> None:
    with pytest.raises(ImpossiblePlan):
        binomial_bounds(*asked)
