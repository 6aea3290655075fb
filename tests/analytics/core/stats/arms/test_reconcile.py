"""What other tools print: agreement with scipy and statsmodels, with formulas by hand, and with
what is known of each tool.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats import multiplicity
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.exact import fisher_lower_p
from analytics.core.stats.arms.mean import compare_means, fieller
from analytics.core.stats.reconciling import reconcile, robust
from analytics.core.stats.reconciling import reconcile_rates as rates

Counts = tuple[int, int, int, int]
COUNTS: list[Counts] = [
    (750, 1000, 820, 1000),
    (9, 45, 12, 48),
    (36, 50, 39, 52),
    (540, 9000, 75, 1000),
    (3, 20, 9, 20),
]
P = st.lists(st.floats(0, 1), min_size=1, max_size=12)
RNG = np.random.default_rng(4)
X_C, X_T = RNG.normal(50, 10, 120), RNG.normal(50, 10, 90)
Y_C, Y_T = 0.5 * X_C + RNG.normal(0, 5, 120), 2 + 0.5 * X_T + RNG.normal(0, 8, 90)
CONTROL, TREATMENT = Totals.of_values(Y_C, X_C), Totals.of_values(Y_T, X_T)
CONSTANT = Totals.of_values([3.0] * 20, [1.0] * 20)


def _ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def test_student__from_totals__is_scipys_on_rows() -> None:
    found, theirs = reconcile.student(CONTROL, TREATMENT), scipy.stats.ttest_ind(Y_T, Y_C)
    assert found is not None
    assert (found.t, found.p, found.df) == pytest.approx(
        (theirs.statistic, theirs.pvalue, theirs.df)
    )
    assert _ends(found.ci) == pytest.approx(tuple(theirs.confidence_interval()))


def test_welch__from_totals__is_ours() -> None:
    found, ours = reconcile.welch(CONTROL, TREATMENT), compare_means(CONTROL, TREATMENT)
    assert found is not None
    assert [found.value, found.se, found.p] == pytest.approx([ours.difference, ours.se, ours.p])


@pytest.mark.parametrize("level", [25.0, -25.0])
def test_growthbook__lift__is_the_delta_methods_with_the_sign_of_the_difference(
    level: float,
) -> None:
    control, treatment = Totals.of_values(Y_C - 25 + level), Totals.of_values(Y_T - 25 + level)
    found = reconcile.growthbook_mean(control, treatment)
    assert found is not None and found.relative is not None and control.mean and treatment.mean
    assert found.relative.value == pytest.approx(
        (treatment.mean - control.mean) / abs(control.mean)
    )
    v_c, v_t = np.var(Y_C, ddof=1) / 120, np.var(Y_T, ddof=1) / 90
    assert found.relative.se == pytest.approx(
        math.sqrt(v_t + v_c * (treatment.mean / control.mean) ** 2) / abs(control.mean)
    )
    assert found.relative.df == found.absolute.df


def test_lifts__of_well_measured_means__agree_and_fieller_is_the_odd_one_only_when_they_are_not() -> (
    None
):
    many = [Totals(100 * t.n, 100 * t.sum_y, 100 * t.sum_y2) for t in (CONTROL, TREATMENT)]
    book, log = reconcile.growthbook_mean(many[0], many[1]), reconcile.log_lift(many[0], many[1])
    assert book is not None and book.relative is not None
    wanted = _ends(fieller(many[0], many[1]))
    assert _ends(book.relative.ci) == pytest.approx(wanted, abs=2e-4)
    assert _ends(log) == pytest.approx(wanted, abs=2e-4)


def test_log_lift__by_hand__is_the_exponential_of_the_logarithms_interval() -> None:
    # Means 2 and 3, s²/n = .04 and .09: the logarithms' variances are .01 each, so df = 2·19 and t
    # = 2.0244.
    control = Totals(20, 40.0, 80.0 + 19 * 0.8)
    treatment = Totals(20, 60.0, 180.0 + 19 * 1.8)
    half = 2.0243942 * math.sqrt(0.02)
    assert _ends(reconcile.log_lift(control, treatment)) == pytest.approx(
        (1.5 * math.exp(-half) - 1, 1.5 * math.exp(half) - 1)
    )
    assert reconcile.log_lift(Totals.of_values([-1.0, 0.5] * 9), treatment) is None


def test_cuped_of_other_tools__one_slope_for_all_units__is_the_regression_over_both_arms() -> None:
    slope = float(np.polyfit(np.concatenate([X_C, X_T]), np.concatenate([Y_C, Y_T]), 1)[0])
    book, tea = (
        reconcile.growthbook_cuped(CONTROL, TREATMENT),
        reconcile.tea_tasting_cuped(CONTROL, TREATMENT),
    )
    assert book is not None and tea is not None
    at = np.concatenate([X_C, X_T]).mean()
    by_rows = scipy.stats.ttest_ind(Y_T - slope * X_T, Y_C - slope * X_C, equal_var=False)
    assert reconcile.common_slope(CONTROL, TREATMENT) == pytest.approx(slope)
    assert [book.absolute.t, tea.absolute.t] == pytest.approx([by_rows.statistic] * 2)
    assert [book.absolute.p, tea.absolute.p] == pytest.approx([by_rows.pvalue] * 2)
    assert (tea.control, tea.treatment) == pytest.approx(
        (Y_C.mean() - slope * (X_C.mean() - at), Y_T.mean() - slope * (X_T.mean() - at))
    )


def test_cuped_of_other_tools__constant_covariate__is_no_cuped() -> None:
    control, treatment = Totals.of_values(Y_C, [1.0] * 120), Totals.of_values(Y_T, [1.0] * 90)
    assert reconcile.growthbook_cuped(control, treatment) == reconcile.growthbook_mean(
        control, treatment
    )
    assert reconcile.tea_tasting_cuped(control, treatment) == reconcile.tea_tasting_mean(
        control, treatment
    )
    assert reconcile.within_arm_slope(control, treatment) is None
    assert reconcile.even_slope(control, treatment) is None


def test_slopes__of_arms_with_different_means__within_arms_is_the_analysis_of_covariance() -> None:
    arms, y, x = [0.0] * 120 + [1.0] * 90, [*Y_C, *Y_T], [*X_C, *X_T]
    design = sm.add_constant(np.column_stack([arms, x]))
    theirs = sm.OLS(y, design).fit().params
    theta = reconcile.within_arm_slope(CONTROL, TREATMENT)
    assert theta == pytest.approx(theirs[2])
    ancova = robust.ancova_effect(arms, y, x)
    assert ancova is not None and ancova.value == pytest.approx(theirs[1])


def test_ratio_cuped_of_other_tools__history_that_says_nothing__is_the_plain_ratio() -> None:
    y, d = [float(k % 3) for k in range(60)], [float(1 + k % 4) for k in range(60)]
    control = UnitMoments.of_rows(y=y, d=d, y0=[0.0] * 60, d0=[1.0] * 60)
    treatment = UnitMoments.of_rows(y=y[1:], d=d[:-1], y0=[0.0] * 59, d0=[1.0] * 59)
    book, plain = (
        reconcile.growthbook_ratio_cuped(control, treatment),
        reconcile.growthbook_ratio(control, treatment),
    )
    tea, simple = (
        reconcile.tea_tasting_ratio_cuped(control, treatment),
        reconcile.tea_tasting_ratio(control, treatment),
    )
    assert book is not None and plain is not None and tea is not None and simple is not None
    assert book.absolute.t == pytest.approx(plain.absolute.t)
    assert tea.absolute.p == pytest.approx(simple.absolute.p)


@pytest.mark.parametrize("arm", [NOTHING, Totals.of_values([1.0]), Totals.of_values([3.0] * 20)])
def test_other_tools__without_units_or_spread__say_nothing(arm: Totals) -> None:
    for tool in (
        reconcile.student,
        reconcile.welch,
        reconcile.growthbook_mean,
        reconcile.tea_tasting_mean,
    ):
        assert tool(arm, arm) is None
    assert reconcile.growthbook_rate(0, 20, 0, 20) is None
    assert reconcile.growthbook_cuped(CONSTANT, CONSTANT) is None
    empty = UnitMoments.of_rows(y=[0.0] * 12, d=[0.0] * 12, y0=[0.0] * 12, d0=[0.0] * 12)
    assert reconcile.growthbook_ratio(empty, empty) is None
    assert reconcile.growthbook_ratio_cuped(empty, empty) is None
    assert reconcile.tea_tasting_ratio_cuped(empty, empty) is None


def test_growthbook__control_mean_of_zero__has_a_difference_and_no_lift() -> None:
    found = reconcile.growthbook_mean(Totals.of_values([-1.0, 1.0] * 10), TREATMENT)
    assert found is not None and found.relative is None
    rate = reconcile.growthbook_rate(0, 50, 5, 50)
    assert rate is not None and rate.relative is None


@pytest.mark.parametrize("counts", COUNTS)
def test_chi_squares__of_a_table__are_scipys(counts: Counts) -> None:
    x_c, n_c, x_t, n_t = counts
    table = [[x_c, n_c - x_c], [x_t, n_t - x_t]]
    yates, g = rates.yates_chi2(*counts), rates.g_test(*counts)
    theirs = (
        scipy.stats.chi2_contingency(table),
        scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood"),
    )
    plain, its = (
        rates.pearson_chi2([(x_c, n_c), (x_t, n_t)]),
        scipy.stats.chi2_contingency(table, correction=False),
    )
    assert plain is not None and (plain.statistic, plain.p) == pytest.approx(
        (its.statistic, its.pvalue)
    )
    assert yates is not None and g is not None
    assert (yates.statistic, yates.p) == pytest.approx((theirs[0].statistic, theirs[0].pvalue))
    assert (g.statistic, g.p) == pytest.approx((theirs[1].statistic, theirs[1].pvalue))


def test_pearson__expected_cells_below_one__still_has_its_statistic_where_the_display_cannot_say() -> (
    None
):
    arms = [(1, 4), (0, 3), (2, 5)]
    found = rates.pearson_chi2([*arms, (0, 0)])
    theirs = scipy.stats.chi2_contingency([[x, n - x] for x, n in arms], correction=False)
    assert found is not None and (found.statistic, found.p) == pytest.approx(
        (theirs.statistic, theirs.pvalue)
    )
    assert rates.pearson_chi2([(0, 5), (0, 9)]) is None and rates.pearson_chi2([(1, 5)]) is None


@pytest.mark.parametrize("counts", COUNTS)
def test_intervals_of_two_rates__are_statsmodels(counts: Counts) -> None:
    x_c, n_c, x_t, n_t = counts

    def theirs(compare: str, method: str) -> tuple[float, float]:
        low, high = confint_proportions_2indep(
            x_t, n_t, x_c, n_c, compare=compare, method=method, alpha=0.1
        )
        return float(low), float(high)

    assert _ends(rates.wald_difference(*counts, 0.1)) == pytest.approx(theirs("diff", "wald"))
    assert _ends(rates.agresti_caffo(*counts, 0.1)) == pytest.approx(
        theirs("diff", "agresti-caffo")
    )
    assert _ends(rates.log_ratio(*counts, 0.1)) == pytest.approx(theirs("ratio", "log"))
    assert _ends(rates.log_ratio(*counts, 0.1, added=0.5)) == pytest.approx(
        theirs("ratio", "log-adjusted")
    )


@pytest.mark.parametrize("method", ["normal", "agresti_coull", "beta", "jeffreys"])
@pytest.mark.parametrize(("x", "n"), [(0, 10), (1, 10), (10, 10), (12, 48), (75, 1000)])
def test_intervals_of_one_rate__are_their_definitions(method: str, x: int, n: int) -> None:
    ours: dict[str, Callable[[int, int, float], Interval | None]] = {
        "normal": rates.wald_rate,
        "agresti_coull": rates.agresti_coull,
        "beta": rates.clopper_pearson,
        "jeffreys": rates.jeffreys,
    }
    wanted = _one_rate_by_hand(method, x, n)
    assert _ends(ours[method](x, n, 0.1)) == pytest.approx(wanted, abs=1e-9)
    assert ours[method](0, 0, 0.1) is None


def _one_rate_by_hand(method: str, x: int, n: int) -> tuple[float, float]:
    """Ends at 90 %, by scipy's distributions and the textbook's formulas."""
    z, beta = float(scipy.stats.norm.ppf(0.95)), scipy.stats.beta
    if method == "jeffreys":
        return float(beta.ppf(0.05, x + 0.5, n - x + 0.5)), float(
            beta.ppf(0.95, x + 0.5, n - x + 0.5)
        )
    if method == "beta":
        low = float(beta.ppf(0.05, x, n - x + 1)) if x else 0.0
        return low, float(beta.ppf(0.95, x + 1, n - x)) if x < n else 1.0
    size, yes = (n, float(x)) if method == "normal" else (n + z * z, x + z * z / 2)
    half = z * (yes / size * (1 - yes / size) / size) ** 0.5
    return max(0.0, yes / size - half), min(1.0, yes / size + half)


@pytest.mark.parametrize("counts", [(9, 20, 3, 20), (3, 20, 9, 20), (0, 12, 5, 15), (7, 9, 1, 30)])
def test_exact_tests__of_small_tables__are_scipys(counts: Counts) -> None:
    x_c, n_c, x_t, n_t = counts
    table = np.array([[x_t, x_c], [n_t - x_t, n_c - x_c]])
    assert fisher_lower_p(*counts) == pytest.approx(scipy.stats.fisher_exact(table, "less").pvalue)
    assert rates.boschloo_p(*counts) == pytest.approx(scipy.stats.boschloo_exact(table).pvalue)


def test_rates__hostile_counts__give_nothing_or_numbers() -> None:
    hostile = [
        (0, 0, 0, 0),
        (0, 0, 5, 10),
        (0, 10, 0, 10),
        (10, 10, 10, 10),
        (0, 10, 10, 10),
        (1, 10**12, 5, 10**12),
    ]
    for counts in [*hostile, (10**12 - 1, 10**12, 10**12 - 9, 10**12)]:
        numbers: list[float] = []
        z, chi, g = rates.unpooled_z(*counts), rates.yates_chi2(*counts), rates.g_test(*counts)
        numbers += [z.z, z.p] if z else []
        numbers += [chi.statistic, chi.p] if chi else []
        numbers += [g.statistic, g.p] if g else []
        for interval in (
            rates.agresti_caffo(*counts),
            rates.log_ratio(*counts),
            rates.log_ratio(*counts, added=0.5),
        ):
            numbers += [interval.low, interval.high] if interval else []
        numbers += [
            p for p in (fisher_lower_p(*counts), rates.boschloo_p(*counts)) if p is not None
        ]
        assert all(math.isfinite(v) for v in numbers), counts
    assert rates.unpooled_z(0, 10, 10, 10) is None
    assert rates.yates_chi2(0, 10, 0, 10) is None
    assert rates.log_ratio(0, 10, 5, 10) is None


def test_unpooled_z__swapped_arms__turns_the_sign_only() -> None:
    here, there = rates.unpooled_z(9, 45, 12, 48), rates.unpooled_z(12, 48, 9, 45)
    assert here is not None and there is not None
    assert (there.z, there.p, there.ci.low) == pytest.approx((-here.z, here.p, -here.ci.high))


ADJUSTMENTS: dict[str, Callable[[multiplicity.Probabilities], list[float | None]]] = {
    "bonferroni": multiplicity.bonferroni,
    "sidak": multiplicity.sidak,
    "holm-sidak": multiplicity.holm_sidak,
    "holm": multiplicity.holm,
    "simes-hochberg": multiplicity.hochberg,
    "hommel": multiplicity.hommel,
    "fdr_bh": multiplicity.benjamini_hochberg,
    "fdr_by": multiplicity.benjamini_yekutieli,
}


def _simes(p: Sequence[float]) -> float:
    return min(len(p) * q / rank for rank, q in enumerate(sorted(p), 1))


def _closed(p: list[float], test: Callable[[Sequence[float]], float]) -> list[float]:
    """The closed testing principle itself: the largest p of all tests of sets that hold the
    hypothesis.
    """
    every = [
        held
        for size in range(1, len(p) + 1)
        for held in itertools.combinations(range(len(p)), size)
    ]
    return [
        min(1.0, max(test([p[i] for i in held]) for held in every if k in held))
        for k in range(len(p))
    ]


def _by_definition(method: str, p: list[float]) -> list[float]:
    m = len(p)
    if method == "hommel":
        return _closed(p, _simes)
    if method == "holm":
        return _closed(p, lambda some: len(some) * min(some))
    if method == "holm-sidak":
        return _closed(
            p,
            lambda some: -math.expm1(len(some) * math.log1p(-min(some))) if min(some) < 1 else 1.0,
        )
    if method == "bonferroni":
        return [min(1.0, m * q) for q in p]
    if method == "sidak":
        return [-math.expm1(m * math.log1p(-q)) if q < 1 else 1.0 for q in p]
    dear = sum(1 / k for k in range(1, m + 1)) if method == "fdr_by" else 1.0
    ranked = sorted(p)
    cost = [(m - k) if method == "simes-hochberg" else dear * m / (k + 1) for k in range(m)]
    stepped = [min(1.0, *(ranked[j] * cost[j] for j in range(k, m))) for k in range(m)]
    return [stepped[max(k for k in range(m) if ranked[k] == q)] for q in p]


@pytest.mark.parametrize("method", sorted(ADJUSTMENTS))
@settings(max_examples=20, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_adjusted_p__any_p__is_that_of_its_definition(method: str, p: list[float]) -> None:
    """Not by statsmodels, which computes some of them for us: by closed tests of all subsets, and
    by the steps written out.
    """
    assert ADJUSTMENTS[method](p) == pytest.approx(_by_definition(method, p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("p", [[0.001, 0.04, 0.03, 0.5, 0.03], [0.0, 1.0, 0.2]])
def test_holm__some_p__is_statsmodels(p: list[float]) -> None:
    assert multiplicity.holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())


@pytest.mark.parametrize("method", ADJUSTMENTS)
def test_adjusted_p__of_a_hypothesis_that_cannot_say__stays_unsaid_and_counts(method: str) -> None:
    found, wanted = ADJUSTMENTS[method]([0.01, None, 0.2]), ADJUSTMENTS[method]([0.01, 1.0, 0.2])
    assert found == [wanted[0], None, wanted[2]]
    assert ADJUSTMENTS[method]([]) == []
    assert ADJUSTMENTS[method]([None, None]) == [None, None]


@given(P)
def test_adjusted_p__from_the_boldest_to_the_most_careful__never_falls(p: list[float]) -> None:
    ladder = [
        multiplicity.hommel(p),
        multiplicity.hochberg(p),
        multiplicity.holm(p),
        multiplicity.bonferroni(p),
    ]
    for bold, careful in itertools.pairwise(ladder):
        assert all(
            a is not None and b is not None and a <= b + 1e-12
            for a, b in zip(bold, careful, strict=True)
        )


def test_robust__lin_and_ancova_from_rows__are_the_sandwich_written_out() -> None:
    arms, y, x = [0.0] * 120 + [1.0] * 90, [*Y_C, *Y_T], [*X_C, *X_T]
    t, centred = np.array(arms), np.array(x) - np.mean(x)
    designs = {
        robust.lin_effect(arms, y, x): [t, centred, t * centred],
        robust.ancova_effect(arms, y, x): [t, centred],
    }
    for found, columns in designs.items():
        design = np.column_stack([np.ones(len(arms)), *columns])
        bread = np.linalg.inv(design.T @ design)
        left = np.array(y) - design @ (bread @ design.T @ np.array(y))
        leverage = np.einsum("ij,jk,ik->i", design, bread, design)
        meat = design.T @ (design * (left**2 / (1 - leverage))[:, None])
        se = float(np.sqrt((bread @ meat @ bread)[1, 1]))
        assert found is not None
        assert (found.value, found.se, found.df) == pytest.approx(
            ((bread @ design.T @ np.array(y))[1], se, len(arms) - design.shape[1]), rel=1e-8
        )
        assert found.p == pytest.approx(
            float(2 * scipy.stats.t.sf(abs(found.value / se), found.df)), rel=1e-8
        )


def test_robust__without_a_unique_line__says_nothing_and_bad_rows_are_refused() -> None:
    assert robust.ancova_effect([0.0, 1.0, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0], [5.0] * 4) is None
    assert robust.ancova_effect([0.0, 1.0], [1.0, 2.0], [1.0, 3.0]) is None
    assert (
        robust.ancova_effect(
            [0.0] * 5 + [1.0], [1.0, 2.0, 4.0, 3.0, 5.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        )
        is None
    )
    with pytest.raises(ImpossibleTotals, match="0 or 1"):
        robust.lin_effect([0.0, 2.0], [1.0, 2.0], [1.0, 3.0])
    with pytest.raises(ImpossibleTotals, match="found 1, 2 and 2"):
        robust.lin_effect([0.0], [1.0, 2.0], [1.0, 3.0])
