"""What every kind of comparison promises alike: more units say more, intervals say what tests say,
brute force says the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats import srm
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.core.stats.arms.cuped import Covaried, compare_adjusted
from analytics.core.stats.arms.mean import compare_means, fieller, welch_t
from analytics.core.stats.arms.poisson import Rate, compare_rates
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.quantile import Histogram, QuantileTotals, compare_quantiles, of_rows
from analytics.core.stats.arms.ratio import compare_ratios
from analytics.core.stats.exploring.poststratification import Stratum, post_stratify
from analytics.core.stats.intervals import anytime

Arm = Any
"""What a kind's comparison takes: totals of one sort or another."""
Compare = Callable[..., Comparison]


def _rows(seed: int, effect: float) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(250, 600))
    x = rng.normal(50, 8, n)
    return {
        "x": x,
        "y": x * 0.5 + rng.normal(0, 6, n) + effect,
        "d": rng.poisson(4, n) + 1.0,
        "yes": rng.random(n) < 0.3 + effect / 40,
    }


def _mean(r: dict[str, Any], times: int = 1) -> Totals:
    return reduce(add, [Totals.of_values(r["y"])] * times)


def _proportion(r: dict[str, Any], times: int = 1) -> Totals:
    return Totals.of_rate(int(r["yes"].sum()) * times, len(r["yes"]) * times)


def _ratio(r: dict[str, Any], times: int = 1) -> UnitMoments:
    return reduce(add, [UnitMoments.of_rows(y=r["y"], d=r["d"])] * times)


def _covaried(r: dict[str, Any], times: int = 1) -> Covaried:
    return Covaried(reduce(add, [Totals.of_values(r["y"], r["x"])] * times))


def _rate(r: dict[str, Any], times: int = 1) -> Rate:
    return Rate(int(r["yes"].sum()) * times, float(r["d"].sum()) * times, len(r["yes"]) * times)


def _quantile(r: dict[str, Any], times: int = 1) -> QuantileTotals:
    buckets = np.concatenate([np.arange(len(r["y"])) % 60 + 60 * k for k in range(times)])
    return of_rows(np.tile(r["y"], times).tolist(), buckets.tolist(), 0.5)


KINDS: dict[str, tuple[Compare, Callable[..., Arm]]] = {
    "mean": (compare_means, _mean),
    "proportion": (compare_proportions, _proportion),
    "ratio": (compare_ratios, _ratio),
    "CUPED": (compare_adjusted, _covaried),
    "rate": (compare_rates, _rate),
    "quantile": (compare_quantiles, _quantile),
}
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)
SEED, EFFECT = st.integers(0, 10**6), st.floats(-3, 3)


def _width(ci: Interval | None) -> float:
    assert ci is not None
    return ci.high - ci.low


@ALL_KINDS
@settings(max_examples=25, deadline=None)
@given(SEED, EFFECT, st.integers(2, 5))
def test_compare__the_same_rows_several_times__says_the_same_more_surely(
    kind: str, seed: int, effect: float, times: int
) -> None:
    compare, arm = KINDS[kind]
    c, t = _rows(seed, 0.0), _rows(seed + 1, effect)
    once, often = compare(arm(c), arm(t)), compare(arm(c, times), arm(t, times))
    assert once.difference is not None and once.p is not None and often.p is not None
    assert often.difference == pytest.approx(once.difference, abs=1e-9)
    assert _width(often.ci) < _width(once.ci)
    assert often.p <= once.p * (1 + 1e-9) or once.method != often.method
    assert often.se is not None and once.se is not None
    # Quantiles take their density from a bracket that narrows with the rows, so their error falls
    # by about √times only.
    assert often.se == pytest.approx(once.se / math.sqrt(times), rel=0.01) or (
        kind == "quantile" and often.se < once.se
    )


@ALL_KINDS
@settings(max_examples=25, deadline=None)
@given(SEED, EFFECT)
def test_compare__arms_swapped__turns_the_difference_and_keeps_p(
    kind: str, seed: int, effect: float
) -> None:
    compare, arm = KINDS[kind]
    c, t = arm(_rows(seed, 0.0)), arm(_rows(seed + 1, effect))
    here, there = compare(c, t), compare(t, c)
    assert here.difference is not None and there.difference == pytest.approx(
        -here.difference, abs=1e-9
    )
    assert there.p == pytest.approx(here.p, rel=1e-6) and there.se == pytest.approx(
        here.se, rel=1e-9
    )
    assert here.ci is not None and there.ci is not None
    assert (there.ci.low, there.ci.high) == pytest.approx(
        (-here.ci.high, -here.ci.low), rel=1e-9, abs=1e-9
    )


EXACT = pytest.mark.parametrize("kind", ["mean", "ratio", "CUPED", "quantile"])


@EXACT
@settings(max_examples=25, deadline=None)
@given(SEED, EFFECT, st.sampled_from([0.5, 0.9, 0.999, 1.001, 1.1, 2.0]))
def test_interval__at_a_level_beside_p__holds_zero_exactly_when_the_test_does_not_reject(
    kind: str, seed: int, effect: float, beside: float
) -> None:
    compare, arm = KINDS[kind]
    arms = arm(_rows(seed, 0.0)), arm(_rows(seed + 1, effect))
    p = compare(*arms).p
    assume(p is not None and 1e-12 < p < 0.4)
    found = compare(*arms, alpha=p * beside)
    assert found.ci is not None and found.ci.holds(0.0) == (beside < 1)


@pytest.mark.parametrize("kind", ["mean", "ratio"])
@settings(max_examples=25, deadline=None)
@given(SEED, EFFECT, st.sampled_from([0.9, 0.999, 1.001, 1.1]))
def test_fieller__at_a_level_beside_p__holds_no_change_exactly_when_the_test_does_not_reject(
    kind: str, seed: int, effect: float, beside: float
) -> None:
    compare, arm = KINDS[kind]
    arms = arm(_rows(seed, 0.0)), arm(_rows(seed + 1, effect))
    p = compare(*arms).p
    assume(p is not None and 1e-12 < p < 0.4)
    found = compare(*arms, alpha=p * beside)
    assert found.lift_ci is not None and found.lift_ci.holds(0.0) == (beside < 1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(200, 10**6),
    st.integers(200, 10**6),
    st.floats(0.05, 0.95),
    st.floats(0.8, 1.2),
    st.sampled_from([0.9, 0.99, 1.01, 1.1]),
)
def test_koopman__at_a_level_beside_the_score_p__holds_no_change_exactly_when_it_does_not_reject(
    n_c: int, n_t: int, rate: float, factor: float, beside: float
) -> None:
    c, t = (
        Totals.of_rate(round(rate * n_c), n_c),
        Totals.of_rate(min(n_t, round(rate * factor * n_t)), n_t),
    )
    p = compare_proportions(c, t).score_p
    assume(p is not None and 1e-9 < p < 0.8)
    found = compare_proportions(c, t, alpha=p * beside).lift_ci
    assert found is not None and found.holds(0.0) == (beside < 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(500, 10**6), st.integers(500, 10**6), st.floats(0.05, 0.95), st.floats(0.8, 1.2))
def test_newcombe__beside_the_score_test__says_the_same_but_on_the_edge(
    n_c: int, n_t: int, rate: float, factor: float
) -> None:
    found = compare_proportions(
        Totals.of_rate(round(rate * n_c), n_c),
        Totals.of_rate(min(n_t, round(rate * factor * n_t)), n_t),
    )
    assume(found.method == "score")
    assert found.ci is not None and found.p is not None
    assert found.ci.holds(0.0) if found.p > 0.07 else not found.ci.holds(0.0) or found.p > 0.035


@settings(max_examples=60, deadline=None)
@given(st.floats(-10, 10), st.integers(100, 10**9), st.floats(0.001, 0.5), st.floats(100, 1e6))
def test_anytime__interval_and_p__agree(z: float, n: int, alpha: float, n_star: float) -> None:
    shown, p = anytime.interval(z, 1.0, n, alpha, n_star), anytime.p_value(z, 1.0, n, alpha, n_star)
    assert shown is not None and p is not None
    assume(abs(p - alpha) > 1e-9)
    assert shown.holds(0.0) == (p > alpha)


# ---------------------------------------------------------------- means: what the table leaves


VALUES = st.lists(st.floats(-100, 100).map(lambda v: round(v, 2)), min_size=10, max_size=40)


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES, st.floats(-1e4, 1e4).map(lambda v: round(v, 2)))
def test_mean__values_shifted__keeps_difference_interval_and_p(
    a: list[float], b: list[float], shift: float
) -> None:
    here = compare_means(Totals.of_values(a), Totals.of_values(b))
    there = compare_means(
        Totals.of_values(v + shift for v in a), Totals.of_values(v + shift for v in b)
    )
    assume(here.p is not None and (here.se or 0) > 0.1)
    assert here.ci is not None and there.ci is not None
    assert there.p == pytest.approx(here.p, rel=1e-4, abs=1e-9)
    assert (there.difference, there.ci.low, there.ci.high) == pytest.approx(
        (here.difference, here.ci.low, here.ci.high), abs=1e-4
    )


@settings(max_examples=80, deadline=None)
@given(VALUES, VALUES, st.floats(0.01, 0.3))
def test_fieller__by_brute_force__is_the_ratios_that_no_t_rejects(
    a: list[float], b: list[float], alpha: float
) -> None:
    """Every ratio on a grid is tried on rows; without an interval, far ratios must be as possible
    as near ones.
    """
    c, t = Totals.of_values(a), Totals.of_values(b)
    plain = welch_t(c, t)
    assume(plain is not None and c.variance and c.mean)
    assert plain is not None
    q = float(student.isf(alpha / 2, plain.df))
    x, y = np.array(a), np.array(b)
    found = fieller(c, t, alpha)

    def possible(ratio: float) -> bool:
        distance, error = (
            y.mean() - ratio * x.mean(),
            math.sqrt(y.var(ddof=1) / len(y) + ratio**2 * x.var(ddof=1) / len(x)),
        )
        return bool(abs(distance) <= q * error)

    if found is None:
        assert possible(1e9) and possible(-1e9)
        return
    wide = found.high - found.low
    assume(wide > 1e-6)
    for place in (-3.0, -0.5, -0.01, 0.01, 0.3, 0.5, 0.7, 0.99, 1.01, 1.5, 4.0):
        assert possible(1 + found.low + place * wide) == (0 < place < 1), place


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=20, max_size=60), st.floats(0.05, 0.95), SEED)
def test_quantile__by_brute_force__is_the_smallest_row_with_the_share_and_the_error_between_buckets(
    values: list[float], level: float, seed: int
) -> None:
    buckets = np.random.default_rng(seed).integers(0, 12, len(values))
    found = of_rows(values, buckets.tolist(), level)
    rows = np.array(values)
    hat = min(v for v in values if (rows <= v).mean() >= level - 1e-12)
    assert found.value == pytest.approx(hat)
    # The share ≤ q̂ is a ratio over buckets: rows below over rows, by the delta method.
    below = np.array(
        [(rows[buckets == k] <= hat).sum() for k in set(buckets.tolist())], dtype=float
    )
    n = np.array([(buckets == k).sum() for k in set(buckets.tolist())], dtype=float)
    assume(len(n) > 1 and found.share_sd is not None)
    spread = (below - below.sum() / n.sum() * n).var(ddof=1)
    assert found.share_sd == pytest.approx(
        math.sqrt(spread / len(n)) / n.mean(), rel=1e-6, abs=1e-9
    )


# ---------------------------------------------------------------- hostile totals of every kind


HOSTILE_MEANS = [
    Totals(0, 0, 0), Totals(1, 5, 25), Totals(2, 0, 0), Totals(50, 0, 0), Totals(50, 150, 450), Totals(50, -500, 6000),
    Totals(10**12, 3e12, 2e13), Totals(10**12, -3e12, 2e13), Totals(10**12, 1, 1), Totals(10**12, 1e-300, 1e-300),
    Totals(1000, 1e-150, 1e-300), Totals(1000, 1e150, 1e299), Totals(10**12, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize("control", HOSTILE_MEANS)
@pytest.mark.parametrize("treatment", HOSTILE_MEANS)
def test_every_kind_over_means__hostile_totals__gives_numbers_or_a_reason(
    control: Totals, treatment: Totals
) -> None:
    def covaried(totals: Totals) -> Covaried:
        return Covaried(
            Totals(
                totals.n, totals.sum_y, totals.sum_y2, totals.sum_y, totals.sum_y2, totals.sum_y2
            )
        )

    def ratio(totals: Totals) -> UnitMoments:
        return UnitMoments(
            totals.n,
            ("y", "d"),
            (totals.sum_y, float(totals.n)),
            (totals.sum_y2, totals.sum_y, float(totals.n)),
        )

    for found in (
        compare_means(control, treatment),
        compare_adjusted(covaried(control), covaried(treatment)),
        compare_ratios(ratio(control), ratio(treatment)),
        post_stratify(
            [Stratum("one", control, treatment), Stratum("two", treatment, control)]
        ).comparison,
    ):
        _assert_honest(found)


COUNTS = [
    (0, 0.0, 0),
    (0, 1.0, 1),
    (1, 1.0, 1),
    (0, 1e12, 10**12),
    (10**12, 1e12, 10**12),
    (1, 1e12, 10**12),
    (7, 1e-9, 5),
    (3, 200.0, 150),
]


@pytest.mark.parametrize("control", COUNTS)
@pytest.mark.parametrize("treatment", COUNTS)
def test_rates__hostile_counts__give_numbers_or_a_reason(
    control: tuple[int, float, int], treatment: tuple[int, float, int]
) -> None:
    _assert_honest(compare_rates(Rate(*control), Rate(*treatment)))


def _assert_honest(found: Comparison) -> None:
    assert (found.p is None) == (found.reason is not None)
    assert found.p is None or 0 <= found.p <= 1
    for field in fields(found):
        value = getattr(found, field.name)
        numbers = (
            [value.low, value.high]
            if isinstance(value, Interval)
            else [value]
            if isinstance(value, float)
            else []
        )
        assert all(math.isfinite(v) for v in numbers), field.name
    assert found.lift is None or (found.control_mean or 0) > 0
    for value, interval in ((found.difference, found.ci), (found.lift, found.lift_ci)):
        assert value is None or interval is None or interval.holds(value)


@pytest.mark.parametrize("hostile", [math.nan, math.inf, -math.inf])
def test_every_kind__nan_and_infinity__are_refused_at_the_door(hostile: float) -> None:
    made: list[Callable[[], object]] = [
        lambda: Totals(10, hostile, 1.0),
        lambda: Totals(10, 1.0, hostile),
        lambda: Totals(10, 1.0, 2.0, hostile, 1.0, 1.0),
        lambda: Totals.of_values([1.0, hostile]),
        lambda: UnitMoments.of_rows(y=[1.0, hostile], d=[1.0, 1.0]),
        lambda: Rate(1, hostile, 5),
        lambda: Histogram((1.0, hostile), (3, 4)),
        lambda: srm.check_shares([5, 5], [hostile, 1.0]),
        lambda: compare_means(NOTHING, NOTHING, hostile),
    ]
    for make in made:
        with pytest.raises((ImpossibleTotals, ImpossiblePlan)):
            make()
