"""Sizes, power and smallest effects: tables, hand computations, other people's formulas, and
simulation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtri
from scipy.stats import chi, norm, t
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import (
    power_proportions_2indep,
    samplesize_proportions_2indep_onetail,
)

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats import power
from analytics.core.stats.sequential.group_sequential import boundaries, inflation

Z = float(ndtri(0.975) + ndtri(0.8))
RATES = st.floats(0.01, 0.99)


@pytest.mark.parametrize(
    ("base", "expected", "per_arm"),
    [(0.75, 0.80, 1094), (0.2, 0.21, 25_583), (0.2, 0.22, 6510), (0.2, 0.24, 1683)],
)
def test_proportion_sample__rates_of_the_printed_tables__are_the_right_ones(
    base: float, expected: float, per_arm: int
) -> None:
    found = power.proportion_sample(base, expected)
    assert (found.control, found.treatment, found.total) == (per_arm, per_arm, 2 * per_arm)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
@pytest.mark.parametrize(("base", "expected"), [(0.02, 0.023), (0.75, 0.8), (0.6, 0.5)])
def test_proportions__unequal_arms__agree_with_statsmodels(
    base: float, expected: float, ratio: float
) -> None:
    n = samplesize_proportions_2indep_onetail(
        base - expected, expected, 0.9, ratio=ratio, alpha=0.01
    )
    assert power.proportion_sample(
        base, expected, power=0.9, alpha=0.01, ratio=ratio
    ).exact_control == pytest.approx(n)
    theirs = power_proportions_2indep(
        base - expected, expected, 700, ratio=ratio, alpha=0.01, return_results=False
    )
    assert power.proportion_power(
        base, expected, 700, alpha=0.01, ratio=ratio, wrong_way=True
    ) == pytest.approx(theirs)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_means__normal_and_t__agree_with_statsmodels(ratio: float) -> None:
    given_: dict[str, Any] = {"alpha": 0.01, "power": 0.9, "ratio": ratio}
    normal = NormalIndPower().solve_power(0.2, alpha=0.01, power=0.9, ratio=ratio)
    student = TTestIndPower().solve_power(0.2, alpha=0.01, power=0.9, ratio=ratio)
    assert power.mean_sample(5.0, 1.0, **given_).exact_control == pytest.approx(normal, rel=1e-6)
    assert power.student_sample(5.0, 1.0, **given_).exact_control == pytest.approx(
        student, rel=1e-6
    )
    theirs = TTestIndPower().power(0.2, 60, 0.01, ratio)
    assert power.student_power(
        5.0, 1.0, 60, alpha=0.01, ratio=ratio, wrong_way=True
    ) == pytest.approx(theirs)


def test_mean_sample__by_hand__is_two_variances_times_z_squared_over_the_effect_squared() -> None:
    assert power.mean_sample(10.0, 1.0).exact_control == pytest.approx(2 * 100 * Z**2)
    assert power.mean_sample(10.0, -1.0, ratio=2.0).exact_control == pytest.approx(1.5 * 100 * Z**2)
    assert power.mean_sample(10.0, 1.0, hypotheses=3).exact_control == pytest.approx(
        200 * float(ndtri(1 - 0.05 / 6) + ndtri(0.8)) ** 2
    )


def test_proportion_sample__covariate_clusters_and_looks__multiply_it() -> None:
    plain = power.proportion_sample(0.2, 0.22).exact_control
    given_: dict[str, Any] = {
        "correlation": 0.6,
        "design_effect": power.design_effect(5, 0.1),
        "looks": 14,
    }
    assert power.design_effect(5, 0.1) == pytest.approx(1.4)
    assert power.proportion_sample(0.2, 0.22, **given_).exact_control == pytest.approx(
        plain * 0.64 * 1.4 * inflation(14)
    )


@given(RATES, RATES, st.floats(0.2, 5), st.integers(1, 4))
def test_proportion_power__at_its_own_sample__is_the_power_asked_for(
    base: float, expected: float, ratio: float, arms: int
) -> None:
    if abs(base - expected) < 0.005:
        return
    n = power.proportion_sample(
        base, expected, power=0.9, ratio=ratio, hypotheses=arms
    ).exact_control
    assert power.proportion_power(base, expected, n, ratio=ratio, hypotheses=arms) == pytest.approx(
        0.9, abs=1e-9
    )


@given(st.floats(0.05, 0.95), st.floats(200, 1e7), st.sampled_from(["increase", "decrease"]))
def test_proportion_mde__put_back_as_effect__asks_for_the_same_size(
    base: float, n: float, direction: str
) -> None:
    mde = power.proportion_mde(base, n, direction=direction, correlation=0.3)
    if mde is None:
        return
    sign = 1 if direction == "increase" else -1
    assert power.proportion_sample(
        base, base + sign * mde, correlation=0.3
    ).exact_control == pytest.approx(n, rel=1e-6)


@given(st.floats(0.1, 100), st.floats(20, 1e8), st.integers(1, 3))
def test_mean_mde__put_back_as_effect__asks_for_the_same_size(
    sd: float, n: float, looks: int
) -> None:
    mde = power.mean_mde(sd, n, looks=looks, ratio=0.5)
    assert power.mean_sample(sd, mde, looks=looks, ratio=0.5).exact_control == pytest.approx(n)


@pytest.mark.parametrize(("n", "direction"), [(3, "increase"), (2, "decrease")])
def test_proportion_mde__too_few_units__cannot_say(n: float, direction: str) -> None:
    assert (
        power.proportion_mde(0.9 if direction == "increase" else 0.05, n, direction=direction)
        is None
    )


def test_power__with_looks__is_the_chance_at_any_of_them() -> None:
    n = power.mean_sample(1.0, 0.1, looks=8).exact_control
    assert power.mean_power(1.0, 0.1, n, looks=8) == pytest.approx(0.8, abs=1e-6)
    assert power.mean_power(1.0, 0.1, n) > 0.81


@given(st.floats(0.05, 1.0), st.floats(10, 1e5), st.floats(1.01, 3))
def test_mean_power__more_units_or_a_larger_effect__is_never_lower(
    effect: float, n: float, more: float
) -> None:
    here = power.mean_power(1.0, effect, n)
    assert power.mean_power(1.0, effect, n * more) >= here
    assert power.mean_power(1.0, effect * more, n) >= here
    assert (
        power.mean_sample(1.0, effect * more).exact_control
        < power.mean_sample(1.0, effect).exact_control
    )


def test_student_sample__always__asks_for_more_than_the_normal_formula_and_meets_its_power() -> (
    None
):
    for effect in (0.1, 0.5, 2.0, 8.0):
        n = power.student_sample(1.0, effect).exact_control
        assert n > power.mean_sample(1.0, effect).exact_control
        assert power.student_power(1.0, effect, n) == pytest.approx(0.8, abs=1e-6)
        assert power.student_mde(1.0, n) == pytest.approx(effect, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "alpha", "wanted", "ratio"),
    [(5000, 0.05, 0.8, 1.0), (5000, 0.01, 0.9, 0.25), (4, 0.05, 0.8, 1.0), (30, 0.1, 0.5, 3.0)],
)
def test_student_mde__integrated_over_the_standard_deviation__has_its_power(
    n: int, alpha: float, wanted: float, ratio: float
) -> None:
    """Given s/σ, which is a χ's, t is beyond its critical value as often as a normal is beyond that
    many s.
    """
    df = n * (1 + ratio) - 2
    critical, se = float(t.isf(alpha / 2, df)), math.sqrt((1 + 1 / ratio) / n)
    shift = power.student_mde(1.0, n, alpha=alpha, power=wanted, ratio=ratio) / se

    def density(s: float) -> float:
        return float(norm.sf(critical * s - shift) * chi.pdf(s * math.sqrt(df), df) * math.sqrt(df))

    width = 1 / math.sqrt(2 * df)
    found, _ = quad(density, max(0.0, 1 - 12 * width), 1 + 12 * width, epsabs=1e-13, points=[1.0])
    assert found == pytest.approx(wanted, abs=1e-9)


def test_arcsine_sample__75_to_80__is_the_table_of_other_calculators() -> None:
    assert power.arcsine_sample(0.75, 0.8).exact_control == pytest.approx(1091.896, rel=1e-5)
    assert power.unpooled_sample(0.75, 0.8).exact_control == pytest.approx(
        Z**2 * (0.75 * 0.25 + 0.8 * 0.2) / 0.05**2
    )


def test_ratio_sd__by_hand__is_the_linearised_values_spread() -> None:
    y, d = [1.0, 0.0, 3.0, 2.0], [2.0, 1.0, 4.0, 1.0]
    ratio, mean = 6 / 8, 2.0
    by_hand = np.std([(a - ratio * b) / mean for a, b in zip(y, d, strict=True)], ddof=1)
    assert power.ratio_sd(UnitMoments.of_rows(y=y, d=d)) == pytest.approx(by_hand)
    assert power.ratio_sd(UnitMoments.of_rows(y=[1.0, 1.0], d=[0.0, 0.0])) is None


def test_quantile_sd__of_a_normal__is_the_textbooks() -> None:
    """The median of n normal values has the standard error 1.2533·σ/√n."""
    assert power.quantile_sd(0.5, 1 / math.sqrt(2 * math.pi)) == pytest.approx(
        math.sqrt(math.pi / 2)
    )
    assert power.quantile_sd(0.5, 0.4, design_effect=4.0) == pytest.approx(
        2 * power.quantile_sd(0.5, 0.4)
    )
    assert power.density_between(-0.67449, 0.67449, 0.5) == pytest.approx(0.3707, abs=1e-3)
    assert power.sd_from_se(0.2, 400) == pytest.approx(4.0)


def test_correlation__of_totals__is_pearsons() -> None:
    y, x = [1.0, 4.0, 2.0, 5.0], [0.0, 3.0, 1.0, 1.0]
    assert power.correlation(Totals.of_values(y, x)) == pytest.approx(
        float(np.corrcoef(y, x)[0, 1])
    )
    assert power.correlation(Totals.of_values(y, [1.0] * 4)) is None
    assert power.correlation(Totals.of_values(y)) is None


def test_mid_experiment__half_way__says_what_is_missing_and_what_it_would_find_now() -> None:
    """A target worth 1.4008 standard errors (half of 2.8016) has power .288 and needs four times
    the units: three times as many again.
    """
    found = power.mid_experiment(1.0, Z / 2)
    assert found is not None
    assert found.missing == pytest.approx(3.0)
    assert found.more_units(10_000) == 30_000
    assert found.power == pytest.approx(0.2884, abs=5e-4)


def test_mid_experiment__enough_or_no_error_yet__asks_for_nothing_or_cannot_say() -> None:
    enough = power.mid_experiment(0.1, 1.0)
    assert enough is not None
    assert enough.missing == 0
    assert power.mid_experiment(0.0, 1.0) is None


@pytest.mark.parametrize(
    ("total", "per_day", "days", "weeks", "by"),
    [(1000, 100.0, 18, 3, "sample"), (10, 100.0, 9, 2, "sample")],
)
def test_duration__enrolment_window_and_grace__in_whole_weeks(
    total: int, per_day: float, days: int, weeks: int, by: str
) -> None:
    found = power.duration(total, per_day, window_days=7)
    assert found is not None
    assert (found.days, found.weeks, found.bound_by) == (days, weeks, by)


def test_duration__shorter_than_the_clock__is_the_clocks() -> None:
    assert power.duration(10, 100.0, clock_weeks=2) == power.Duration(2, 2, "clock")
    assert power.duration(10, 0.0) is None


def test_matured_units__weeks_that_a_duration_asks_for__are_enough() -> None:
    found = power.duration(12_345, 321.0, window_days=3)
    assert found is not None
    assert power.matured_units(found.weeks, 321.0, window_days=3) >= 12_345
    assert power.matured_units(found.weeks - 1, 321.0, window_days=3) < 12_345
    assert power.matured_units(1, 100.0, window_days=14) == 0


@pytest.mark.parametrize(
    "field",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"power": 0.04},
        {"power": 1.0},
        {"ratio": 0.0},
        {"hypotheses": 0},
    ],
)
def test_terms__impossible__are_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ImpossiblePlan):
        power.mean_sample(1.0, 0.1, **field)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: power.mean_sample(0.0, 1.0),
        lambda: power.mean_sample(math.nan, 1.0),
        lambda: power.mean_sample(1.0, 0.0),
        lambda: power.mean_power(1.0, 0.1, 0),
        lambda: power.proportion_sample(0.2, 0.2),
        lambda: power.proportion_sample(0.0, 0.2),
        lambda: power.proportion_sample(0.9, 1.1),
        lambda: power.proportion_mde(1.0, 100),
        lambda: power.mean_sample(1.0, 0.1, correlation=1.0),
        lambda: power.mean_sample(1.0, 0.1, design_effect=0.0),
        lambda: power.mean_sample(1.0, 0.1, looks=0),
        lambda: power.student_sample(1.0, 0.1, looks=2),
        lambda: power.student_power(1.0, 0.1, 1),
        lambda: power.quantile_sd(95, 0.1),
        lambda: power.density_between(1.0, 1.0, 0.5),
        lambda: power.sd_from_se(0.0, 10),
        lambda: power.design_effect(0.5, 0.1),
        lambda: power.mid_experiment(1.0, 0.0),
        lambda: power.duration(10, math.nan),
    ],
)
def test_power__what_cannot_be__is_refused(wrong: Any) -> None:
    with pytest.raises(ImpossiblePlan):
        wrong()


SIMULATIONS = 10_000


def test_power_at_computed_n__proportions_simulated__is_what_was_asked() -> None:
    rng, n = np.random.default_rng(11), power.proportion_sample(0.2, 0.24).control
    c, t = rng.binomial(n, 0.2, SIMULATIONS) / n, rng.binomial(n, 0.24, SIMULATIONS) / n
    pooled = (c + t) / 2
    z = (t - c) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert 0.787 <= float((z > ndtri(0.975)).mean()) <= 0.813


def test_power_at_computed_n__means_with_14_looks_simulated__is_what_was_asked() -> None:
    rng, looks = np.random.default_rng(12), 14
    n = power.mean_sample(1.0, 0.2, looks=looks).exact_control
    step = n / looks
    shifts = rng.normal(0.2 * step, math.sqrt(2 * step), (SIMULATIONS, looks)).cumsum(axis=1)
    taken = step * np.arange(1, looks + 1)
    z = shifts / np.sqrt(2 * taken)
    bounds = np.array(boundaries([(k + 1) / looks for k in range(looks)], 0.05).z)
    assert 0.787 <= float((z >= bounds).any(axis=1).mean()) <= 0.813


def test_power_at_computed_n__ratio_of_clumped_requests_simulated__is_what_was_asked() -> None:
    """Users with 1 to 15 requests of which errors clump in a few; sized from one sample's
    linearised spread.
    """
    rng = np.random.default_rng(13)
    requests = rng.integers(1, 16, 40_000).astype(float)
    errors = rng.binomial(requests.astype(int), rng.beta(0.5, 4.5, 40_000)).astype(float)
    moments = UnitMoments.of_rows(y=errors.tolist(), d=requests.tolist())
    sd, effect = power.ratio_sd(moments), 0.01
    assert sd is not None
    n, runs = power.mean_sample(sd, effect).control, 1500
    pick = rng.integers(0, 40_000, (2, runs, n))
    arm_y, arm_d = errors[pick], requests[pick]
    ratio = arm_y.sum(axis=2) / arm_d.sum(axis=2)
    residual = arm_y - ratio[..., None] * arm_d
    variance = residual.var(axis=2, ddof=1) / (n * arm_d.mean(axis=2) ** 2)
    z = (ratio[1] + effect - ratio[0]) / np.sqrt(variance.sum(axis=0))
    assert 0.766 <= float((z > ndtri(0.975)).mean()) <= 0.834
