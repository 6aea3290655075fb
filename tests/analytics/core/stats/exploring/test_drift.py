"""Drift: PSI by hand, thresholds at their edges, chance, Kolmogorov–Smirnov beside it and without a
voice.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats.exploring.drift import (
    bin_edges,
    binned,
    find_drift,
    ks_binned,
    ks_two_sample,
    psi,
    verdict_of,
)

COUNTS = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=2, max_size=12)


def test_psi__halves_against_a_quarter__is_the_hand_computed_one() -> None:
    # (.25 − .5)·ln(.25/.5) + (.75 − .5)·ln(.75/.5) = .25·ln 3
    assert psi([500, 500], [25, 75]) == pytest.approx(0.25 * math.log(3))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0999, "green"), (0.1, "yellow"), (0.2499, "yellow"), (0.25, "red"), (9.0, "red")],
)
def test_verdict__at_its_edges__is_the_documented_one(value: float, verdict: str) -> None:
    assert verdict_of(value) == verdict


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.integers(2, 9))
def test_psi__sides_swapped_or_enlarged__is_the_same_and_never_negative(
    counts: list[tuple[int, int]], k: int
) -> None:
    b, c = zip(*counts, strict=True)
    assert psi(b, c) == pytest.approx(psi(c, b))
    assert psi(b, [k * v for v in c]) == pytest.approx(psi(b, c))
    assert psi(b, c) >= 0 and psi(b, b) == 0


def test_psi__a_bin_empty_on_one_side__adds_half_a_unit_to_all() -> None:
    found = find_drift([1_000, 1_000, 0, 0], [1_000, 900, 100, 0])
    assert found.smoothed
    assert found.psi == pytest.approx(psi([2_001, 2_001, 1], [2_001, 1_801, 201]))
    assert not find_drift([10, 10, 0], [10, 10, 0]).smoothed


def test_drift__with_few_units__cannot_say_although_the_index_is_large() -> None:
    found = find_drift([3] * 10, [0, 6] * 5)
    assert found.psi is not None and found.psi > 0.25
    assert found.verdict is None and found.reason is not None


def test_noise__without_any_drift__is_exceeded_one_time_in_twenty() -> None:
    rng = np.random.default_rng(8)
    rows = [
        (rng.multinomial(2_000, [0.1] * 10), rng.multinomial(3_000, [0.1] * 10))
        for _ in range(3_000)
    ]
    found = [find_drift(b, c) for b, c in rows]
    over = [f.psi is not None and f.noise is not None and f.psi > f.noise for f in found]
    assert 0.0375 < np.mean(over) < 0.0637
    assert {f.verdict for f in found} == {"green"}


def test_drift__a_million_units_hardly_shifted__is_green_although_its_p_is_tiny() -> None:
    rng = np.random.default_rng(4)
    before, after = rng.normal(size=500_000), rng.normal(0.02, 1.0, 500_000)
    edges = bin_edges(before)
    found = find_drift(binned(before, edges), binned(after, edges))
    assert found.verdict == "green"
    assert found.ks is not None and found.ks.p < 1e-10


def test_drift__a_model_that_changed__is_red() -> None:
    rng = np.random.default_rng(4)
    before, after = rng.normal(size=5_000), rng.normal(0.6, 1.0, 5_000)
    edges = bin_edges(before)
    assert find_drift(binned(before, edges), binned(after, edges)).verdict == "red"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=200),
    st.lists(st.integers(0, 9), min_size=1, max_size=200),
)
def test_ks__of_values_and_of_histograms__agrees_with_scipy(
    one: list[int], other: list[int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = ks_2samp(one, other)
    ours, coarse = (
        ks_two_sample(one, other),
        ks_binned(np.bincount(one, minlength=10), np.bincount(other, minlength=10)),
    )
    assert ours is not None and coarse is not None
    assert (ours.d, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert coarse.d == pytest.approx(theirs.statistic)


def test_ks__of_nearly_the_same_few_values__is_certain_and_silent() -> None:
    found = ks_two_sample([0.0] * 5, [0.0] * 4 + [1.0])
    assert found is not None and found.d == pytest.approx(0.2) and found.p > 0.999


def test_bins__of_a_baseline__hold_a_tenth_each_and_everything_beyond() -> None:
    baseline = np.arange(1.0, 1_001.0)
    edges = bin_edges(baseline)
    assert binned(baseline, edges) == (100,) * 10
    assert binned([-1e9, 1e9], edges) == (1, 0, 0, 0, 0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("values", [[0.0] * 95 + [1.0] * 5, [0.0] * 50 + [1.0] * 50, [7.0] * 10])
def test_bins__of_values_that_repeat__are_fewer_and_still_tell_them_apart(
    values: list[float],
) -> None:
    edges = bin_edges(values)
    counts = binned(values, edges)
    assert sum(counts) == len(values) and len(edges) == len(set(edges))
    assert sum(c > 0 for c in counts) == len(set(values))


@pytest.mark.parametrize(("b", "c"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])])
def test_drift__without_units__cannot_say(b: list[int], c: list[int]) -> None:
    found = find_drift(b, c)
    assert (
        found.psi is None
        and found.verdict is None
        and found.reason is not None
        and found.ks is None
    )
    assert ks_two_sample(b, []) is None


def test_drift__of_trillions__stays_a_number() -> None:
    found = find_drift([10**12, 10**12], [10**12, 3 * 10**12])
    assert found.psi == pytest.approx(0.25 * math.log(3))
    assert found.verdict == "red"


@pytest.mark.parametrize("counts", [[1.5, 2], [-1, 2], [math.nan, 2], [math.inf, 2], [1, 2, 3]])
def test_drift__of_histograms_that_cannot_be__is_refused(counts: list[float]) -> None:
    with pytest.raises(ImpossibleTotals):
        find_drift([1, 2], counts)


def test_psi__without_units_on_a_side__is_refused() -> None:
    with pytest.raises(ImpossibleTotals):
        psi([0, 0], [1, 2])


def test_bins__of_nothing_or_of_one__are_refused() -> None:
    with pytest.raises(ImpossibleTotals):
        bin_edges([])
    with pytest.raises(ImpossibleTotals):
        binned([math.nan], [1.0])
    with pytest.raises(ImpossiblePlan):
        bin_edges([1.0, 2.0], bins=1)
