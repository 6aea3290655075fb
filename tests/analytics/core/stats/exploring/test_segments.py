"""Segments: agreement with statsmodels' meta-analysis, properties, the size of Q, and segments that
cannot say.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.exploring.segments import compare_segments, heterogeneity

EFFECTS = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 4)), min_size=2, max_size=9)


def test_heterogeneity__two_effects_by_hand__is_a_z_squared() -> None:
    # (3 − 1)²/(1 + 1) = 2 on one degree of freedom; τ² = (2 − 1)/(2 − 2/2) = 1.
    found = heterogeneity([1.0, 3.0], [1.0, 1.0])
    assert (found.q, found.df, found.tau2, found.i2) == pytest.approx((2.0, 1, 1.0, 0.5))
    assert (found.fixed, found.fixed_se, found.random, found.random_se) == pytest.approx(
        (2.0, math.sqrt(0.5), 2.0, 1.0)
    )
    assert found.p == pytest.approx(0.157299, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(EFFECTS)
def test_heterogeneity__any_effects__agrees_with_statsmodels(
    effects: list[tuple[float, float]],
) -> None:
    d, v = (np.array(x) for x in zip(*effects, strict=True))
    ours, cut = (
        heterogeneity(d.tolist(), v.tolist(), cut_at_zero=False),
        heterogeneity(d.tolist(), v.tolist()),
    )
    assume(
        ours.q is not None
        and ours.q > 1e-6
        and ours.tau2 is not None
        and ours.tau2 > 1e-3 - v.min()
    )  # theirs divides by 0 below
    theirs = combine_effects(d, v, method_re="dl")
    assert (ours.q, ours.fixed, ours.fixed_se) == pytest.approx(
        (theirs.q, theirs.mean_effect_fe, theirs.sd_eff_w_fe), abs=1e-9
    )
    wanted = (theirs.tau2, theirs.i2, theirs.mean_effect_re, theirs.sd_eff_w_re)
    assert (ours.tau2, ours.i2, ours.random, ours.random_se) == pytest.approx(
        wanted, rel=1e-6, abs=1e-9
    )
    assert (cut.tau2, cut.i2) == (max(0.0, ours.tau2 or 0.0), max(0.0, ours.i2 or 0.0))


def test_heterogeneity__less_spread_than_noise__pools_as_if_all_were_the_same() -> None:
    found = heterogeneity([1.0, 1.1, 0.9], [1.0, 2.0, 3.0])
    assert (found.tau2, found.i2) == (0.0, 0.0)
    assert (found.random, found.random_se) == pytest.approx((found.fixed, found.fixed_se))


@settings(max_examples=40, deadline=None)
@given(EFFECTS, st.floats(1e-6, 1e6), st.floats(-10, 10))
def test_heterogeneity__effects_scaled_and_shifted__keeps_p(
    effects: list[tuple[float, float]], scale: float, shift: float
) -> None:
    plain = heterogeneity([d for d, _ in effects], [v for _, v in effects])
    moved = heterogeneity(
        [scale * (d + shift) for d, _ in effects], [scale * scale * v for _, v in effects]
    )
    assert moved.p == pytest.approx(plain.p, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("variance", [1e-300, 1e300])
def test_heterogeneity__tiny_and_huge_variances__stay_numbers(variance: float) -> None:
    found = heterogeneity([0.0, math.sqrt(variance)], [variance, variance])
    assert found.q == pytest.approx(0.5)
    assert found.tau2 == 0.0


def test_segments__an_effect_in_one_of_them__is_found_and_told_apart() -> None:
    same = (Totals.of_rate(1_000, 10_000), Totals.of_rate(1_010, 10_000))
    better = (Totals.of_rate(1_000, 10_000), Totals.of_rate(1_300, 10_000))
    found = compare_segments(
        {"web": same, "ios": better, "android": same}, compare=compare_proportions
    )
    assert [s.key for s in found.segments] == ["web", "ios", "android"]
    assert [s.adjusted_p is not None and s.adjusted_p < 0.001 for s in found.segments] == [
        False,
        True,
        False,
    ]
    assert found.heterogeneity.p is not None and found.heterogeneity.p < 1e-4


def test_segments__one_without_units__stays_listed_and_counts_among_those_asked() -> None:
    effect = (Totals.of_values(range(40)), Totals.of_values(range(4, 44)))
    found = compare_segments({"a": effect, "b": (Totals(0, 0, 0), Totals(3, 1, 1)), "c": effect})
    assert found.left_out == ("b",)
    assert found.segments[1].comparison.reason is not None and found.segments[1].adjusted_p is None
    assert found.segments[0].adjusted_p == pytest.approx(
        1.5 * (found.segments[0].comparison.p or 0)
    )
    assert found.heterogeneity.q == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "segments", [{}, {"only": (Totals.of_values(range(20)), Totals.of_values(range(20)))}]
)
def test_segments__fewer_than_two__cannot_differ(
    segments: dict[str, tuple[Totals, Totals]],
) -> None:
    found = compare_segments(segments).heterogeneity
    assert found.q is None and found.p is None and found.reason is not None


@pytest.mark.parametrize(
    ("effects", "variances"),
    [([1.0, math.nan], [1, 1]), ([1.0, 2.0], [1, 0]), ([1.0], [1, 1]), ([1, 2], [1, math.inf])],
)
def test_heterogeneity__of_effects_that_cannot_be__is_refused(
    effects: list[float], variances: list[float]
) -> None:
    with pytest.raises(ImpossibleTotals):
        heterogeneity(effects, variances)


def test_cochran_q__the_same_effect_in_five_segments__rejects_one_in_twenty() -> None:
    rng = np.random.default_rng(11)
    v = np.array([0.5, 1.0, 1.5, 2.0, 4.0])
    found = [
        heterogeneity(d, v.tolist()).p
        for d in (0.3 + rng.normal(size=(4_000, 5)) * np.sqrt(v)).tolist()
    ]
    assert 0.039 < np.mean([p is not None and p < 0.05 for p in found]) < 0.0617
