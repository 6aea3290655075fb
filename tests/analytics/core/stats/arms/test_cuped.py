"""CUPED from totals: against regressions on rows, what leaves it unchanged, and totals meant to
break it.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import stdtrit

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.cuped import (
    Covaried,
    adjust,
    adjusted_t,
    compare_adjusted,
    linearised_with_history,
    pooled_rho2,
    variance_reduction,
)
from analytics.core.stats.arms.mean import compare_means, welch_t
from analytics.core.stats.arms.ratio import compare_ratios, of_few

Column = NDArray[np.float64]
Rows = list[tuple[float, float]]
VALUE = st.floats(-100, 100).map(lambda v: round(v, 2))
ROWS = st.lists(st.tuples(VALUE, VALUE), min_size=12, max_size=40)


def _arm(y: Column, x: Column, without: Column | None = None) -> Covaried:
    return Covaried(
        Totals.of_values(y, x), NOTHING if without is None else Totals.of_values(without)
    )


def _of(rows: Rows) -> Covaried:
    y, x = zip(*rows, strict=True)
    return Covaried(Totals.of_values(y, x))


def _experiment(
    seed: int, n: int, slope_t: float = 0.6, effect: float = 2.0
) -> tuple[Column, Column, Column, Column]:
    """(y_C, x_C, y_T, x_T): y = 20 + .6·(x − 50) + noise in control."""
    rng = np.random.default_rng(seed)
    x_c, x_t = rng.normal(50, 10, n), rng.normal(50, 10, n + n // 3)
    y_c = 20 + 0.6 * (x_c - 50) + rng.normal(0, 4, len(x_c))
    return y_c, x_c, 20 + effect + slope_t * (x_t - 50) + rng.normal(0, 6, len(x_t)), x_t


def _hc2(y_c: Column, x_c: Column, y_t: Column, x_t: Column) -> tuple[float, float]:
    """Lin's effect and its HC2 error by statsmodels on rows."""
    y, x = np.concatenate([y_c, y_t]), np.concatenate([x_c, x_t])
    t, centred = np.repeat([0.0, 1.0], [len(y_c), len(y_t)]), x - x.mean()
    found = sm.OLS(y, np.column_stack([np.ones_like(t), t, centred, t * centred])).fit(
        cov_type="HC2"
    )
    return float(found.params[1]), float(found.bse[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [200, 1000])
def test_adjusted__from_totals__agrees_with_a_robust_regression_on_rows(seed: int, n: int) -> None:
    y_c, x_c, y_t, x_t = _experiment(seed, n)
    found = adjusted_t(_arm(y_c, x_c), _arm(y_t, x_t))
    effect, se = _hc2(y_c, x_c, y_t, x_t)
    assert found is not None
    assert found.difference == pytest.approx(effect, rel=1e-9)
    assert found.se == pytest.approx(se, rel=5e-3)


def test_adjusted__straight_lines_by_numpy__has_the_variance_of_the_formula() -> None:
    y_c, x_c, y_t, x_t = _experiment(7, 30, slope_t=1.4)
    x = np.concatenate([x_c, x_t])
    variance, slopes, means = 0.0, [], []
    for y_a, x_a in ((y_c, x_c), (y_t, x_t)):
        (slope, level), n = np.polyfit(x_a, y_a, 1), len(y_a)
        rss, s_xx = ((y_a - level - slope * x_a) ** 2).sum(), ((x_a - x_a.mean()) ** 2).sum()
        variance += rss / (n - 2) * (1 / n + (x.mean() - x_a.mean()) ** 2 / s_xx)
        slopes.append(slope)
        means.append(level + slope * x.mean())
    variance += (slopes[1] - slopes[0]) ** 2 * x.var(ddof=1) / len(x)
    c = compare_adjusted(_arm(y_c, x_c), _arm(y_t, x_t))
    assert c.method == "CUPED (Lin)"
    assert c.se == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert (c.control_mean, c.treatment_mean) == pytest.approx((means[0], means[1]))
    assert c.difference == pytest.approx((c.treatment_mean or 0) - (c.control_mean or 0))


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, VALUE)
def test_adjusted__covariate_the_same_everywhere__is_welch(
    a: Rows, b: Rows, constant: float
) -> None:
    control, treatment = (_of([(y, constant) for y, _ in rows]) for rows in (a, b))
    found, wanted = (
        compare_adjusted(control, treatment),
        compare_means(control.whole, treatment.whole),
    )
    for field in fields(wanted):
        if field.name != "notes":
            assert getattr(found, field.name) == getattr(wanted, field.name)
    assert found.method == "Welch"
    assert found.notes == ("no CUPED: the covariate is constant within an arm",)
    assert adjusted_t(control, treatment, 1.1, 0.2) == welch_t(
        control.whole, treatment.whole, 1.1, 0.2
    )
    assert variance_reduction(control, treatment) in (0.0, None)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_adjusted__arms_swapped__turns_the_sign_only(a: Rows, b: Rows) -> None:
    here, there = compare_adjusted(_of(a), _of(b)), compare_adjusted(_of(b), _of(a))
    assume(here.p is not None)
    assert [there.p, there.se, there.df] == pytest.approx([here.p, here.se, here.df])
    assert there.difference == pytest.approx(-(here.difference or 0.0))
    assert (there.control_mean, there.treatment_mean) == (here.treatment_mean, here.control_mean)


@settings(max_examples=40, deadline=None)
@given(
    ROWS, ROWS, st.floats(0.01, 100), st.floats(-50, 50), st.floats(0.01, 100), st.floats(-50, 50)
)
def test_adjusted__metric_or_covariate_in_other_units__keeps_its_t(
    a: Rows, b: Rows, per_y: float, up: float, per_x: float, along: float
) -> None:
    plain = adjusted_t(_of(a), _of(b))
    assume(
        plain is not None
        and plain.se > 1e-2
        and min(np.std([x for _, x in rows]) for rows in (a, b)) > 0.1
    )
    control, treatment = (
        _of([(per_y * y + up, per_x * x + along) for y, x in rows]) for rows in (a, b)
    )
    moved = adjusted_t(control, treatment)
    assert plain is not None and moved is not None
    assert (moved.t, moved.df) == pytest.approx((plain.t, plain.df), rel=1e-5, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, st.data())
def test_adjusted__from_any_partition__is_that_of_the_whole(
    a: Rows, b: Rows, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(a) - 1))
    whole, parts = adjusted_t(_of(a), _of(b)), adjusted_t(_of(a[:cut]) + _of(a[cut:]), _of(b))
    assume(whole is not None and whole.se > 1e-2)
    assert whole is not None and parts is not None
    assert (parts.difference, parts.se, parts.df) == pytest.approx(
        (whole.difference, whole.se, whole.df), rel=1e-6
    )


def test_adjusted_t__factor_and_shift__are_taken_from_the_adjusted_means() -> None:
    y_c, x_c, y_t, x_t = _experiment(3, 100)
    control, treatment = _arm(y_c, x_c), _arm(y_t, x_t)
    adjusted, notes = adjust(control, treatment)
    found = adjusted_t(control, treatment, factor=1.15, shift=0.5)
    assert adjusted is not None and found is not None and notes == ()
    v_c, v_t, v_ct = adjusted.covariance()
    assert found.difference == pytest.approx(
        adjusted.treatment_mean - 1.15 * adjusted.control_mean - 0.5
    )
    assert found.se**2 == pytest.approx(v_t - 2 * 1.15 * v_ct + 1.15**2 * v_c)


def test_covariance__over_many_experiments__is_that_of_the_adjusted_means() -> None:
    """Slopes differ between the arms, so that what they share – the covariate's mean – shows."""
    means, claimed = [], []
    for seed in range(1500):
        y_c, x_c, y_t, x_t = _experiment(seed, 40, slope_t=1.5)
        adjusted, _ = adjust(_arm(y_c, x_c), _arm(y_t, x_t))
        assert adjusted is not None
        means.append((adjusted.control_mean, adjusted.treatment_mean))
        claimed.append(adjusted.covariance())
    seen = np.cov(np.array(means).T)
    assert np.mean(claimed, axis=0) == pytest.approx([seen[0, 0], seen[1, 1], seen[0, 1]], rel=0.12)


def test_lift__its_ends__are_the_ratios_just_not_rejected() -> None:
    y_c, x_c, y_t, x_t = _experiment(11, 80, slope_t=1.2)
    adjusted, _ = adjust(_arm(y_c, x_c), _arm(y_t, x_t))
    c = compare_adjusted(_arm(y_c, x_c), _arm(y_t, x_t))
    assert (
        adjusted is not None and c.lift_ci is not None and c.df is not None and c.lift is not None
    )
    assert c.lift == pytest.approx((c.treatment_mean or 0) / (c.control_mean or 1) - 1)
    v_c, v_t, v_ct = adjusted.covariance()
    limit = -float(stdtrit(c.df, 0.025))
    for end in (c.lift_ci.low, c.lift_ci.high):
        r = 1 + end
        t = (adjusted.treatment_mean - r * adjusted.control_mean) / math.sqrt(
            v_t - 2 * r * v_ct + r * r * v_c
        )
        assert abs(t) == pytest.approx(limit, rel=1e-9)


@pytest.mark.parametrize("effect", [0.0, 4.0])
def test_adjusted__over_many_experiments__covers_difference_and_lift_as_often_as_it_says(
    effect: float,
) -> None:
    sims, held, lifted = 600, 0, 0
    for seed in range(sims):
        y_c, x_c, y_t, x_t = _experiment(seed, 60, slope_t=1.0, effect=effect)
        c = compare_adjusted(_arm(y_c, x_c), _arm(y_t, x_t))
        assert c.ci is not None and c.lift_ci is not None
        held += c.ci.holds(effect)
        lifted += c.lift_ci.holds(effect / 20)
    slack = 3.29 * math.sqrt(0.95 * 0.05 / sims)
    assert abs(held / sims - 0.95) < slack
    assert abs(lifted / sims - 0.95) < slack


def test_missing__of_many_units__is_a_stratum_weighed_by_its_share() -> None:
    y_c, x_c, y_t, x_t = _experiment(5, 90)
    rng = np.random.default_rng(5)
    new_c, new_t = rng.normal(12, 5, 40), rng.normal(15, 5, 30)
    known, both = (
        adjusted_t(_arm(y_c, x_c), _arm(y_t, x_t)),
        adjusted_t(_arm(y_c, x_c, new_c), _arm(y_t, x_t, new_t)),
    )
    plain, (adjusted, _) = (
        welch_t(Totals.of_values(new_c), Totals.of_values(new_t)),
        adjust(_arm(y_c, x_c), _arm(y_t, x_t)),
    )
    assert known is not None and both is not None and plain is not None and adjusted is not None
    n = len(y_c) + len(y_t) + 70
    w, v = 1 - 70 / n, 70 / n
    assert both.difference == pytest.approx(w * known.difference + v * plain.difference)
    between = (known.difference - plain.difference) ** 2 * w * v / n
    assert both.se**2 == pytest.approx(w**2 * known.se**2 + v**2 * plain.se**2 + between)
    assert compare_adjusted(_arm(y_c, x_c, new_c), _arm(y_t, x_t, new_t)).control_n == len(y_c) + 40


def test_missing__more_often_in_one_arm_by_chance__does_not_bias_the_difference() -> None:
    """Newcomers spend less; the arm that drew more of them is not worse for it."""
    rng = np.random.default_rng(1)
    x = rng.normal(50, 10, 400)
    y = 20 + 0.6 * (x - 50) + rng.normal(0, 1, 400)
    new = rng.normal(2, 1, 300)
    control, treatment = _arm(y[:200], x[:200], new[:200]), _arm(y[200:], x[200:], new[200:])
    raw, found = compare_means(control.whole, treatment.whole), compare_adjusted(control, treatment)
    assert raw.difference is not None and raw.difference > 2
    assert found.ci is not None and found.ci.holds(0.0)


def test_missing__of_a_few_units__are_merged_at_the_mean_and_said_so() -> None:
    y_c, x_c, y_t, x_t = _experiment(6, 60)
    few = np.array([3.0, 5.0, 9.0])
    c = compare_adjusted(_arm(y_c, x_c, few), _arm(y_t, x_t))
    filled = np.concatenate([x_c, np.full(3, np.concatenate([x_c, x_t]).mean())])
    wanted = adjusted_t(_arm(np.concatenate([y_c, few]), filled), _arm(y_t, x_t))
    assert wanted is not None
    assert (c.difference, c.se) == pytest.approx((wanted.difference, wanted.se))
    assert c.notes == (
        "3 units without a covariate are too few for a stratum: they take the covariate's mean",
    )
    assert (c.control_n, c.treatment_n) == (63, 80)


def test_known__of_a_few_units__is_no_cuped_and_said_so() -> None:
    y_c, x_c, y_t, x_t = _experiment(6, 60)
    control, treatment = _arm(y_c[:9], x_c[:9], y_c[9:]), _arm(y_t, x_t)
    c = compare_adjusted(control, treatment)
    assert c.method == "Welch" and c.se == compare_means(control.whole, treatment.whole).se
    assert c.notes == ("no CUPED: fewer than 10 units of an arm have a covariate",)


def test_covariate__constant_in_one_arm__is_no_cuped() -> None:
    y_c, x_c, y_t, x_t = _experiment(6, 60)
    assert adjusted_t(_arm(y_c, np.full_like(x_c, 50.1)), _arm(y_t, x_t)) == welch_t(
        Totals.of_values(y_c), Totals.of_values(y_t)
    )


def test_metric__told_by_the_covariate_exactly__has_no_spread_and_no_p() -> None:
    x = np.arange(30.0)
    c = compare_adjusted(_arm(2 * x + 0.1, x), _arm(2 * x + 3.1, x))
    assert c.p is None and c.reason is not None and "no spread around the covariate" in c.reason
    assert (c.control_mean, c.treatment_mean) == pytest.approx((29.1, 32.1))


def test_variance_reduction__of_a_correlated_past__is_about_rho_squared() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1, 20_000)
    y = 0.7 * x + math.sqrt(1 - 0.49) * rng.normal(0, 1, 20_000)
    control, treatment = _arm(y[:8_000], x[:8_000]), _arm(y[8_000:], x[8_000:])
    assert variance_reduction(control, treatment) == pytest.approx(0.49, abs=0.015)
    assert pooled_rho2(control, treatment) == pytest.approx(0.49, abs=0.015)


def test_variance_reduction__of_noise__is_hardly_below_nothing() -> None:
    rng = np.random.default_rng(9)
    control, treatment = (_arm(rng.normal(0, 1, 300), rng.normal(0, 1, 300)) for _ in range(2))
    found = variance_reduction(control, treatment)
    assert found is not None and -0.02 < found < 0.02
    assert pooled_rho2(_arm(np.ones(20), np.arange(20.0)), treatment) is not None
    assert (
        pooled_rho2(_arm(np.ones(20), np.arange(20.0)), _arm(np.ones(20), np.arange(20.0))) is None
    )
    assert pooled_rho2(Covaried(NOTHING), Covaried(NOTHING)) is None


def _ratio_rows(seed: int, n: int) -> tuple[Column, Column, Column, Column]:
    """(y, d, y0, d0): a user's rate holds before and after."""
    rng = np.random.default_rng(seed)
    rate, busy = rng.beta(1, 9, n), rng.gamma(2, 6, n)
    d0, d = rng.poisson(busy) + 1, rng.poisson(busy) + 1
    y, y0 = rng.binomial(d, rate), rng.binomial(d0, rate)
    return y.astype(np.float64), d.astype(np.float64), y0.astype(np.float64), d0.astype(np.float64)


def test_ratio_with_history__from_moments__is_lin_on_linearised_rows() -> None:
    told, wanted = [], []
    for seed in (1, 2):
        y, d, y0, d0 = _ratio_rows(seed, 150)
        told.append(linearised_with_history(UnitMoments.of_rows(y=y, d=d, y0=y0, d0=d0)))
        now, past = y.sum() / d.sum(), y0.sum() / d0.sum()
        lines = _arm(now + (y - now * d) / d.mean(), past + (y0 - past * d0) / d0.mean())
        wanted.append(replace(lines, more=1 + 3 * (d.std(ddof=1) / d.mean()) ** 2 / 150))
    assert told[0] is not None and told[1] is not None
    found, by_rows = adjusted_t(told[0], told[1]), adjusted_t(wanted[0], wanted[1])
    assert found is not None and by_rows is not None
    assert (found.difference, found.se, found.df) == pytest.approx(
        (by_rows.difference, by_rows.se, by_rows.df), rel=1e-9
    )
    reduction = variance_reduction(told[0], told[1])
    assert reduction is not None and reduction > 0.2


def test_ratio_with_history__of_some_units__takes_the_ratio_of_all() -> None:
    y, d, y0, d0 = _ratio_rows(3, 150)
    told = linearised_with_history(
        UnitMoments.of_rows(y=y[:100], d=d[:100], y0=y0[:100], d0=d0[:100]),
        UnitMoments.of_rows(y=y[100:], d=d[100:]),
    )
    whole = of_few(UnitMoments.of_rows(y=y, d=d))
    assert told is not None and whole is not None
    assert (told.known.n, told.missing.n) == (100, 50)
    assert (told.whole.sum_y, told.whole.sum_y2) == pytest.approx(
        (whole.sum_y, whole.sum_y2), rel=1e-9
    )
    assert told.whole.variance == pytest.approx(whole.variance, rel=1e-9)


@pytest.mark.parametrize("n", [10, 20, 40, 80, 240])
def test_ratio_with_history__without_any_past__is_the_plain_ratio(n: int) -> None:
    arms = []
    for seed in (1, 2):
        y, d, _, _ = _ratio_rows(seed, n)
        arms.append(UnitMoments.of_rows(y=y, d=d, y0=np.zeros(n), d0=np.zeros(n)))
    told = [linearised_with_history(m) for m in arms]
    assert told[0] is not None and told[1] is not None
    found, plain = compare_adjusted(told[0], told[1]), compare_ratios(arms[0], arms[1])
    assert [found.difference, found.se, found.p] == pytest.approx(
        [plain.difference, plain.se, plain.p]
    )


@pytest.mark.parametrize("n", [20, 80])
def test_ratio_with_history__past_that_explains_nothing__hardly_moves_the_error(n: int) -> None:
    """Averaged over experiments: regression costs a degree of freedom, and gives back about as
    much.
    """
    errors = []
    for seed in range(60):
        rows = [
            (*_ratio_rows(seed, n)[:2], *_ratio_rows(1000 + seed, n)[2:]),
            (*_ratio_rows(2000 + seed, n)[:2], *_ratio_rows(3000 + seed, n)[2:]),
        ]
        arms = [UnitMoments.of_rows(y=y, d=d, y0=y0, d0=d0) for y, d, y0, d0 in rows]
        told = [linearised_with_history(m) for m in arms]
        assert told[0] is not None and told[1] is not None
        errors.append([compare_adjusted(told[0], told[1]).se, compare_ratios(arms[0], arms[1]).se])
    found, plain = np.mean(np.square(np.array(errors, dtype=float)), axis=0) ** 0.5
    assert found == pytest.approx(plain, rel=0.045)


def test_ratio_with_history__some_without_a_past__has_the_factor_in_both_strata() -> None:
    rows = [_ratio_rows(seed, 60) for seed in (4, 5)]
    told = []
    for y, d, y0, d0 in rows:
        known = UnitMoments.of_rows(y=y[:40], d=d[:40], y0=y0[:40], d0=d0[:40])
        told.append(linearised_with_history(known, UnitMoments.of_rows(y=y[40:], d=d[40:])))
    assert told[0] is not None and told[1] is not None
    adjusted, _ = adjust(told[0], told[1])
    bare, _ = adjust(replace(told[0], more=1.0), replace(told[1], more=1.0))
    assert adjusted is not None and bare is not None
    for arm, ours, theirs in (
        (told[0], adjusted.control_noise, bare.control_noise),
        (told[1], adjusted.treatment_noise, bare.treatment_noise),
    ):
        assert arm.more > 1.005
        assert [part.variance for part in ours] == pytest.approx(
            [arm.more * part.variance for part in theirs]
        )


def test_ratio_with_history__of_no_requests__is_nothing() -> None:
    nothing = UnitMoments.of_rows(y=[0.0] * 20, d=[0.0] * 20, y0=[1.0] * 20, d0=[1.0] * 20)
    assert linearised_with_history(nothing) is None


def test_covaried__of_two_ratios__do_not_add_up_once_linearised() -> None:
    y, d, y0, d0 = _ratio_rows(3, 50)
    one = linearised_with_history(UnitMoments.of_rows(y=y, d=d, y0=y0, d0=d0))
    other = linearised_with_history(UnitMoments.of_rows(y=y[:30], d=d[:30], y0=y0[:30], d0=d0[:30]))
    assert one is not None and other is not None
    with pytest.raises(ImpossibleTotals, match="before they are linearised"):
        one + other


def test_ratio_with_history__over_many_experiments__covers_as_often_as_it_says() -> None:
    sims, held = 500, 0
    for seed in range(sims):
        rows = [_ratio_rows(2 * seed + k, 150) for k in (0, 1)]
        told = [
            linearised_with_history(UnitMoments.of_rows(y=y, d=d, y0=y0, d0=d0))
            for y, d, y0, d0 in rows
        ]
        assert told[0] is not None and told[1] is not None
        c = compare_adjusted(told[0], told[1])
        assert c.ci is not None
        held += c.ci.holds(0.0)
    assert abs(held / sims - 0.95) < 3.29 * math.sqrt(0.95 * 0.05 / sims)


def test_covaried__with_units_but_no_covariate__is_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="Σx"):
        Covaried(Totals.of_values([1.0, 2.0]))


CONSTANT = np.full(20, 3.0)
HOSTILE = [
    Covaried(NOTHING),
    _arm(np.array([1.0]), np.array([1.0])),
    _arm(CONSTANT, CONSTANT),
    _arm(CONSTANT, np.arange(20.0)),
    _arm(np.arange(20.0), CONSTANT, np.arange(15.0)),
    _arm(-np.arange(20.0), np.arange(20.0) ** 2, CONSTANT),
    _arm(1e70 * np.arange(20.0) ** 2, 1e-70 * np.arange(20.0)),
    _arm(np.arange(20.0) ** 2, 1e9 + np.arange(20.0)),
    Covaried(NOTHING, Totals.of_values(range(30))),
    Covaried(Totals(10**12, 1e6, 1e6, 5e12, 3e13, 6e6), Totals(10**11, 2e5, 2e5)),
    Covaried(Totals(10**12, 5e11, 5e11, 5e12, 3e13, 3e12)),
]


@pytest.mark.parametrize("control", HOSTILE)
@pytest.mark.parametrize("treatment", HOSTILE)
def test_adjusted__hostile_totals__never_crash_and_never_fake(
    control: Covaried, treatment: Covaried
) -> None:
    c = compare_adjusted(control, treatment)
    assert (c.p is None) == (c.reason is not None)
    for field in fields(c):
        value = getattr(c, field.name)
        numbers = (
            [value.low, value.high]
            if isinstance(value, Interval)
            else [value]
            if isinstance(value, float)
            else []
        )
        assert all(math.isfinite(v) for v in numbers), field.name
    if c.ci is not None and c.difference is not None:
        assert c.ci.low <= c.difference <= c.ci.high
    if c.lift_ci is not None and c.lift is not None:
        assert c.lift_ci.low <= c.lift <= c.lift_ci.high
    reduction, rho2 = variance_reduction(control, treatment), pooled_rho2(control, treatment)
    assert reduction is None or reduction <= 1
    assert rho2 is None or 0 <= rho2 <= 1
