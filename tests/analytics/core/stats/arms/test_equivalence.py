"""Equivalence and non-inferiority: agreement with statsmodels where it is right, duality with
intervals, refusals.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import test_proportions_2indep
from statsmodels.stats.weightstats import ttost_ind

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms import equivalence
from analytics.core.stats.arms.mean import compare_means, fieller
from analytics.core.stats.arms.one_sided import EdgeTest

test_proportions_2indep.__test__ = False  # a function of statsmodels, not a test

RATE = st.integers(20, 3_000).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))
ROWS = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=10, max_size=40)


@settings(max_examples=40, deadline=None)
@given(RATE, RATE, st.floats(-0.2, 0.2), st.floats(0.6, 1.6))
def test_edges__any_rates__agree_with_statsmodels(
    one: tuple[int, int], other: tuple[int, int], edge: float, factor: float
) -> None:
    control, treatment = Totals.of_rate(*one), Totals.of_rate(*other)
    found = [
        (m, "diff", edge, equivalence.difference_edge(control, treatment, edge, m))
        for m in ("wald", "agresti-caffo")
    ]
    found += [
        (m, "ratio", factor, equivalence.ratio_edge(control, treatment, factor, m))
        for m in ("score", "log", "log-adjusted")
    ]
    for method, compare, value, ours in found:
        for side, p in (("larger", ours.p_above), ("smaller", ours.p_below)):
            theirs = test_proportions_2indep(
                *other, *one, value=value, method=method, compare=compare, alternative=side
            )
            assert p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-10), method


def test_equivalent_rates__half_against_fifty_two_percent__is_not_proven_within_five_points() -> (
    None
):
    # Equal sizes and a mean rate near .5: the restricted variance is nearly p̄q̄·2/n, so z ≈
    # −.03/√(.51·.49/500).
    found = equivalence.equivalent_rates(
        Totals.of_rate(500, 1_000), Totals.of_rate(520, 1_000), -0.05, 0.05
    )
    assert found.p == found.p_under_high == pytest.approx(0.0896, abs=1e-4)
    assert found.equivalent is False
    assert found.p_over_low == pytest.approx(0.00086, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, st.floats(1.0, 400.0))
def test_equivalent_means__from_totals__agrees_with_statsmodels_and_the_ninety_percent_interval(
    a: list[float], b: list[float], margin: float
) -> None:
    control, treatment = Totals.of_values(a), Totals.of_values(b)
    ninety = compare_means(control, treatment, 0.1)
    assume(ninety.ci is not None and (ninety.se or 0) > 1e-3)
    ours = equivalence.equivalent_means(control, treatment, -margin, margin)
    assert ours.p == pytest.approx(
        ttost_ind(b, a, -margin, margin, usevar="unequal")[0], rel=1e-6, abs=1e-12
    )
    assert ninety.ci is not None and ours.p is not None
    assume(abs(ours.p - 0.05) > 1e-9)
    assert ours.equivalent == equivalence.mean_ci_within(ninety.ci, -margin, margin)


def test_equivalent_mean_ratio__its_edges_at_fiellers_limits__is_just_proven() -> None:
    control, treatment = Totals(4_000, 40_000.0, 620_000.0), Totals(4_000, 41_000.0, 640_000.0)
    limits = fieller(control, treatment, 0.1)
    assert limits is not None
    found = equivalence.equivalent_mean_ratio(control, treatment, 1 + limits.low, 1 + limits.high)
    # Fieller's degrees of freedom are those of the plain difference, hence not exactly .05.
    assert found.p == pytest.approx(0.05, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(RATE, RATE, st.floats(0.01, 0.3))
def test_equivalent_rates__arms_swapped__says_the_same(
    one: tuple[int, int], other: tuple[int, int], edge: float
) -> None:
    a, b = Totals.of_rate(*one), Totals.of_rate(*other)
    here, there = (
        equivalence.equivalent_rates(a, b, -edge, edge),
        equivalence.equivalent_rates(b, a, -edge, edge),
    )
    assert here.p == pytest.approx(there.p, rel=1e-6, abs=1e-12)
    wider = equivalence.equivalent_rates(a, b, -edge - 0.05, edge + 0.05)
    assert (wider.p or 0) <= (here.p or 0) + 1e-12


def test_equivalent_rate_ratio__inside_and_outside__is_told_apart() -> None:
    control, treatment = Totals.of_rate(10_000, 100_000), Totals.of_rate(10_100, 100_000)
    assert equivalence.equivalent_rate_ratio(control, treatment, 0.9, 1.1).equivalent is True
    assert equivalence.equivalent_rate_ratio(control, treatment, 0.99, 1.01).equivalent is False


def test_equivalence__of_a_small_sample_without_a_difference__is_not_proven() -> None:
    same = Totals.of_rate(10, 50)
    found = equivalence.equivalent_rates(same, same, -0.05, 0.05)
    assert found.equivalent is False and found.p is not None and found.p > 0.2


def test_non_inferior_rates__harm_below_half_of_control__is_proven_with_its_bound() -> None:
    # se = √(.02·.98/10⁴ + .024·.976/10⁴) = .0020742; z = (.004 − .01)/se = −2.893
    found = equivalence.non_inferior_rates(
        Totals.of_rate(200, 10_000), Totals.of_rate(240, 10_000), 0.5, "decrease", relative=True
    )
    assert found.p == pytest.approx(0.00191003, rel=1e-5)
    assert found.low == -math.inf
    assert found.high == pytest.approx(0.0074118, rel=1e-5)


def test_non_inferior_rates__better_turned_round__mirrors() -> None:
    bad = equivalence.non_inferior_rates(
        Totals.of_rate(200, 1_000), Totals.of_rate(240, 1_000), 0.05, "decrease"
    )
    good = equivalence.non_inferior_rates(
        Totals.of_rate(800, 1_000), Totals.of_rate(760, 1_000), 0.05, "increase"
    )
    assert good.p == pytest.approx(bad.p)
    assert good.low == pytest.approx(-(bad.high or 0))
    assert good.high == math.inf


NONE, ALL = Totals.of_rate(0, 100), Totals.of_rate(100, 100)


@pytest.mark.parametrize(
    "found",
    [
        equivalence.difference_edge(Totals(0, 0, 0), ALL, 0.0),
        equivalence.difference_edge(NONE, NONE, 0.0, "wald"),
        equivalence.ratio_edge(NONE, ALL, 1.1, "log"),
        equivalence.ratio_edge(ALL, ALL, 1.0, "log"),
        equivalence.ratio_edge(NONE, NONE, 1.1),
        equivalence.mean_edge(Totals(12, 12.0, 12.0), Totals(12, 12.0, 12.0)),
        equivalence.mean_edge(Totals(1, 2.0, 4.0), Totals(12, 12.0, 12.0)),
    ],
)
def test_edges__of_totals_that_say_nothing__cannot_say(found: EdgeTest) -> None:
    assert found.p_above is None and found.p_below is None and found.statistic is None
    assert found.reason


def test_equivalence__of_totals_that_say_nothing__cannot_say() -> None:
    assert equivalence.equivalent_means(Totals(1, 1, 1), Totals(1, 1, 1), -1, 1).equivalent is None
    assert (
        equivalence.equivalent_mean_ratio(Totals(20, -20, 40), Totals(20, 20, 40), 0.9, 1.1).reason
        is not None
    )
    assert equivalence.non_inferior_rates(NONE, ALL, 0.5, "decrease", relative=True).p is None
    assert equivalence.non_inferior_rates(ALL, ALL, 0.5, "decrease").p is None
    assert equivalence.non_inferior_rates(Totals(0, 0, 0), ALL, 0.5, "decrease").difference is None


def test_equivalence__of_trillions__stays_a_number() -> None:
    n = 10**12
    found = equivalence.equivalent_rates(
        Totals.of_rate(n // 2, n), Totals.of_rate(n // 2 + 10**6, n), -1e-4, 1e-4
    )
    assert found.equivalent is True


@pytest.mark.parametrize("edges", [(0.1, -0.1), (0.0, 0.0), (math.nan, 1.0), (-math.inf, 1.0)])
def test_equivalence__of_edges_that_hold_nothing__is_refused(edges: tuple[float, float]) -> None:
    with pytest.raises(ImpossiblePlan):
        equivalence.equivalent_rates(NONE, ALL, *edges)


def test_margins__that_allow_nothing__are_refused() -> None:
    with pytest.raises(ImpossiblePlan):
        equivalence.non_inferior_rates(NONE, ALL, 0.0, "decrease")
    with pytest.raises(ImpossiblePlan):
        equivalence.ratio_edge(NONE, ALL, -1.0)
    with pytest.raises(ImpossiblePlan):
        equivalence.mean_edge(NONE, ALL, math.nan)
