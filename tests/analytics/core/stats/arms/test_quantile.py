"""Quantiles over clustered rows: small goldens, brute force, hostile totals, and coverage with
repeated users.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtrit

from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.quantile import (
    BRACKET,
    Histogram,
    QuantileTotals,
    clustered_sd,
    compare_quantiles,
    from_passes,
    of_rows,
    order_interval,
    quantile_hat,
    quantile_t,
)

ROWS = st.lists(st.integers(0, 400).map(float), min_size=1, max_size=120)
LEVEL = st.sampled_from([0.05, 0.5, 0.75, 0.9, 0.95])


def requests(
    seed: int, users: int = 700, buckets: int = 300, alike: float = 0.45
) -> tuple[np.ndarray, np.ndarray]:
    """Latencies of users with many requests each, some users slower than others, and each request's
    bucket.
    """
    rng = np.random.default_rng(seed)
    counts = 1 + rng.poisson(rng.gamma(1.0, 6.0, users))
    speed = np.repeat(rng.normal(0, alike, users), counts)
    return np.exp(6 + speed + rng.normal(0, 0.5, counts.sum())), np.repeat(
        rng.integers(0, buckets, users), counts
    )


def arm(seed: int, level: float = 0.95, factor: float = 1.0, **how: float) -> QuantileTotals:
    values, buckets = requests(seed, **how)
    return of_rows(values * factor, buckets, level)


@given(ROWS, LEVEL)
def test_histogram__any_rows__gives_the_smallest_value_with_the_share_at_or_below(
    rows: list[float], level: float
) -> None:
    bins, counts = np.unique(rows, return_counts=True)
    found = Histogram(tuple(bins), tuple(counts)).quantile(level)
    assert found == np.quantile(rows, level, method="inverted_cdf")


@given(ROWS, ROWS, LEVEL)
def test_histogram__of_two_parts__adds_up_to_the_whole(
    one: list[float], other: list[float], level: float
) -> None:
    def histogram(rows: list[float]) -> Histogram:
        inside = [v for v in rows if v <= 300]
        bins, counts = np.unique(inside, return_counts=True)
        return Histogram(tuple(bins), tuple(counts), len(rows) - len(inside))

    assert histogram(one) + histogram(other) == histogram(one + other)
    assert (histogram(one) + histogram(other)).quantile(level) == histogram(one + other).quantile(
        level
    )


def test_histogram__share_a_little_above_a_whole_row_in_floats__is_that_row() -> None:
    assert 0.55 * 100 > 55
    assert Histogram(tuple(range(1, 101)), (1,) * 100).quantile(0.55) == 55.0


def test_histogram__percentiles_of_two_servers__are_not_averaged() -> None:
    fast, slow = Histogram((10.0, 20.0), (990, 10)), Histogram((100.0, 2000.0), (8, 2))
    assert (fast + slow).quantile(0.95) == 10.0
    assert (fast.quantile(0.95), slow.quantile(0.95)) == (10.0, 2000.0)


def test_histogram__bins_with_a_width__place_a_quantile_inside_its_bin() -> None:
    histogram = Histogram((1.0, 2.0, 3.0), (10, 20, 10), width=1.0)
    assert histogram.quantiles([0.25, 0.5, 0.75]) == [1.5, 2.0, 2.5]


def test_histogram__overflow__has_no_value() -> None:
    histogram = Histogram((1.0, 2.0), (50, 40), beyond=10)
    assert histogram.quantiles([0.9, 0.91, 0.0, 1.0]) == [2.0, None, None, None]
    assert Histogram((), ()).quantile(0.5) is None


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ((2.0, 1.0), (1, 1)),
        ((1.0, math.nan), (1, 1)),
        ((1.0,), (1, 2)),
        ((1.0,), (-1,)),
        ((1.0,), (1.5,)),
    ],
)
def test_histogram__that_no_rows_have__is_refused(
    values: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    with pytest.raises(ImpossibleTotals):
        Histogram(values, counts)
    with pytest.raises(ImpossibleTotals, match="do not add"):
        Histogram((1.0,), (1,)) + Histogram((1.0,), (1,), width=1.0)


def test_share__four_buckets__has_the_delta_error_by_hand() -> None:
    # rows 4, 2, 2, 2 with 2, 2, 1, 1 below: share .6, residuals −.4, .8, −.2, −.2, squares .88;
    # √(.88·4/3)/10
    clusters = Totals.of_values([2, 2, 1, 1], [4, 2, 2, 2])
    assert clustered_sd(clusters) == pytest.approx(math.sqrt(0.88 * 4 / 3) / 10, rel=1e-12)


def test_share__rows_on_their_own__have_the_binomial_error() -> None:
    clusters = Totals.of_values([1.0] * 60 + [0.0] * 40, [1.0] * 100)
    assert clustered_sd(clusters) == pytest.approx(math.sqrt(0.6 * 0.4 / 99), rel=1e-12)


def test_passes__brute_force_over_buckets__agree() -> None:
    values, buckets = requests(3)
    found = of_rows(values, buckets, 0.95)
    hat = np.quantile(values, 0.95, method="inverted_cdf")
    keys = np.unique(buckets)
    x, y = (
        np.array([(buckets == k).sum() for k in keys]),
        np.array([(values[buckets == k] <= hat).sum() for k in keys]),
    )
    share = y.sum() / x.sum()
    cov = np.cov(y, x)
    sd = math.sqrt(
        (cov[0, 0] - 2 * share * cov[0, 1] + share**2 * cov[1, 1]) / (len(keys) * x.mean() ** 2)
    )
    ends = np.quantile(values, [0.95 - BRACKET * sd, 0.95 + BRACKET * sd], method="inverted_cdf")
    assert (found.value, found.low, found.high) == (hat, *ends)
    assert found.share_sd == pytest.approx(sd, rel=1e-9)
    assert found.sd == pytest.approx((ends[1] - ends[0]) / (2 * BRACKET), rel=1e-12)


def test_passes__of_two_stores_cuts__are_refused() -> None:
    histogram = Histogram((1.0, 2.0), (50, 50))
    assert quantile_hat(histogram, 0.5) == 1.0
    with pytest.raises(ImpossibleTotals, match="both passes count the same rows"):
        from_passes(histogram, 0.5, Totals.of_values([25, 20], [50, 49]))


def test_compare__a_real_slowdown__is_seen_with_its_lift() -> None:
    found = compare_quantiles(arm(5, users=3000), arm(6, users=3000, factor=1.3))
    assert found.method == "quantile, clustered by bucket" and found.reason is None
    assert found.p is not None and found.p < 1e-4
    assert found.lift is not None and found.lift_ci is not None and found.lift_ci.holds(0.3)
    assert (
        found.ci is not None and found.difference is not None and found.ci.holds(found.difference)
    )


def test_compare__arms_swapped_scaled_or_shifted__follow() -> None:
    (values, buckets), (others, theirs) = requests(1), requests(2)
    found = compare_quantiles(of_rows(values, buckets, 0.9), of_rows(others, theirs, 0.9))
    swapped = compare_quantiles(of_rows(others, theirs, 0.9), of_rows(values, buckets, 0.9))
    scaled = compare_quantiles(of_rows(values * 8, buckets, 0.9), of_rows(others * 8, theirs, 0.9))
    shifted = compare_quantiles(
        of_rows(values + 64, buckets, 0.9), of_rows(others + 64, theirs, 0.9)
    )
    assert found.difference is not None and found.se is not None
    assert (swapped.difference, swapped.p, swapped.df) == pytest.approx(
        (-found.difference, found.p, found.df)
    )
    assert (scaled.difference, scaled.se, scaled.p) == pytest.approx(
        (8 * found.difference, 8 * found.se, found.p)
    )
    assert (shifted.difference, shifted.se, shifted.p) == pytest.approx(
        (found.difference, found.se, found.p)
    )


def test_compare__interval_and_test__agree_at_the_p_value() -> None:
    control, treatment = arm(1), arm(2)
    p = compare_quantiles(control, treatment).p
    assert p is not None
    touching = compare_quantiles(control, treatment, alpha=p).ci
    assert touching is not None and min(abs(touching.low), abs(touching.high)) == pytest.approx(
        0, abs=1e-6
    )


def test_t__degrees_of_freedom__are_those_of_the_buckets() -> None:
    control = arm(1, buckets=40)
    found = quantile_t(control, control)
    assert found is not None and found.df == pytest.approx(2 * (control.clusters.n - 1))
    unequal = quantile_t(arm(1, buckets=12), arm(2, buckets=300))
    assert unequal is not None and 11 <= unequal.df < 11 + 299


def test_t__margin_or_factor__moves_the_difference_only_as_far() -> None:
    control, treatment = arm(1), arm(2)
    plain, beyond, factored = (
        quantile_t(control, treatment, *how) for how in ((), (1.0, 500.0), (1.15,))
    )
    assert (
        plain is not None
        and beyond is not None
        and factored is not None
        and control.value is not None
    )
    assert beyond.difference == pytest.approx(plain.difference - 500) and beyond.se == plain.se
    assert (
        factored.difference == pytest.approx(plain.difference - 0.15 * control.value)
        and factored.se > plain.se
    )


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (arm(1, buckets=9), "rows in 9 buckets; below 10"),
        (of_rows(list(range(199)), None, 0.95), "199 rows; a quantile of 0.95 needs 200"),
        (
            of_rows([1.0] * 900 + [math.inf] * 100, None, 0.95),
            "overflow bin, with 100 of 1000 rows",
        ),
        (of_rows([*range(951), *[math.inf] * 49], None, 0.95), "too near the edge"),
        (of_rows([], None, 0.95), "0 buckets"),
    ],
)
def test_compare__what_cannot_be_said__has_its_reason(control: QuantileTotals, reason: str) -> None:
    found = compare_quantiles(control, arm(2))
    assert found.reason is not None and reason in found.reason
    assert (found.p, found.difference, found.ci, found.lift) == (None, None, None, None)
    assert quantile_t(control, arm(2)) is None


def test_compare__every_row_alike__has_no_error_to_speak_of() -> None:
    flat = of_rows([120.0] * 1000, list(range(50)) * 20, 0.95)
    assert (
        compare_quantiles(flat, flat).reason
        == "no spread around the quantile in either arm: a standard error cannot be estimated"
    )


def test_compare__a_billion_rows__is_no_trouble() -> None:
    histogram = Histogram(tuple(range(1, 1001)), tuple([10**9] * 1000), width=1.0)
    rows, below = 10**12 / 500, 0.95 * 10**12 / 500
    clusters = Totals.of_values([below + d for d in (-1e6, 1e6) * 250], [rows] * 500)
    found = from_passes(histogram, 0.95, clusters)
    assert found.value == pytest.approx(950.5) and found.sd is not None and 0 < found.sd < 0.1
    assert compare_quantiles(found, found).p == 1.0


def test_totals__of_two_levels__are_not_compared() -> None:
    with pytest.raises(ImpossiblePlan, match="one level"):
        compare_quantiles(arm(1, 0.95), arm(2, 0.9))
    with pytest.raises(ImpossiblePlan, match="not 95"):
        arm(1, 95)


def test_totals__stored_and_read_back__are_the_same() -> None:
    totals = arm(1)
    assert restored(plain(totals), QuantileTotals) == totals


@pytest.mark.parametrize("wrong", [{"value": math.nan}, {"low": 9e9}, {"n": -1}, {"beyond": 10**9}])
def test_totals__that_contradict_themselves__are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ImpossibleTotals):
        replace(arm(1), **wrong)


def test_rows__not_a_number__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="found NaN"):
        of_rows([1.0, math.nan], None, 0.5)
    assert NOTHING.n == of_rows([], None, 0.5).clusters.n


@given(
    st.integers(0, 10**6),
    st.integers(0, 150),
    st.integers(1, 40),
    st.integers(1, 60),
    LEVEL,
    st.sampled_from([0.001, 0.05, 0.5]),
)
def test_compare__any_rows__is_a_whole_answer_or_a_reason(
    seed: int, n: int, buckets: int, apart: int, level: float, alpha: float
) -> None:
    rng = np.random.default_rng(seed)
    one, two = (
        of_rows(rng.integers(0, apart, n), rng.integers(0, buckets, n), level, limit=50.0)
        for _ in range(2)
    )
    found = compare_quantiles(one, two, alpha)
    numbers = [found.difference, found.p, found.z, found.se, found.df]
    assert (
        all(v is None for v in numbers)
        if found.reason
        else all(v is not None and math.isfinite(v) for v in numbers)
    )
    assert (quantile_t(one, two) is None) == (found.reason is not None)
    assert (
        found.p is None
        or found.ci is None
        or (found.p < alpha) == (not found.ci.holds(0.0))
        or found.p == pytest.approx(alpha)
    )


@given(ROWS, LEVEL, st.sampled_from([0.5, 0.9, 0.99]))
def test_order_interval__any_sample__is_scipys(
    rows: list[float], level: float, confidence: float
) -> None:
    theirs = stats.quantile_test(rows, q=0, p=level).confidence_interval(confidence)
    mine = order_interval(rows, level, confidence)
    for found, end in zip(mine, (theirs.low, theirs.high), strict=True):
        assert math.isnan(end) if found is None else found == end


@pytest.mark.slow
def test_coverage__repeated_users__is_kept_between_buckets_and_lost_between_rows() -> None:
    sims, held, independent = 600, 0, 0
    for k in range(sims):
        (values, buckets), (others, theirs) = requests(2 * k), requests(2 * k + 1)
        held += covers(of_rows(values, buckets, 0.95), of_rows(others, theirs, 0.95))
        independent += k % 3 == 0 and covers(
            of_rows(values, None, 0.95), of_rows(others, None, 0.95)
        )
    assert 0.93 <= held / sims <= 0.966
    assert 0.72 <= independent / (sims / 3) <= 0.79


def covers(control: QuantileTotals, treatment: QuantileTotals) -> bool:
    """Whether a 95 % interval of the difference holds the true difference of identical arms."""
    found = quantile_t(control, treatment)
    assert found is not None
    return bool(abs(found.t) <= stdtrit(found.df, 0.975))
