"""Uneven arms: Welch's own degrees of freedom, and skewed values of a small arm."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import ttest_ind

from analytics.core.deciding.guardrails import (
    GuardrailPlan,
    GuardrailReading,
    Harm,
    Margin,
    harm,
    judge,
)
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.core.stats import power
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.arms.normal import two_sided_p
from analytics.core.stats.arms.uneven import are_even, uneven_t
from analytics.core.stats.exploring.poststratification import Stratum, post_stratify
from analytics.core.stats.power import Guard

COST = GuardrailPlan("cost", "mean", "decrease", Margin("relative", 0.2))
Draw = Callable[[np.random.Generator, int], np.ndarray]


def totals(values: np.ndarray) -> Totals:
    return Totals.of_values(values.tolist())


@pytest.mark.parametrize(
    ("n_control", "n_treatment"), [(380, 20), (20, 380), (50, 950), (300, 250), (15, 12)]
)
def test_look__at_means_of_any_sizes__has_the_p_of_scipys_welch_test(
    n_control: int, n_treatment: int
) -> None:
    rng = np.random.default_rng(n_control)
    control, treatment = rng.normal(10, 3, n_control), rng.normal(12, 4, n_treatment)
    score = kind_of("mean").looked(totals(control), totals(treatment))
    assert score is not None
    assert score.z is not None
    assert two_sided_p(score.z) == pytest.approx(
        float(ttest_ind(treatment, control, equal_var=False).pvalue), rel=1e-6
    )


def test_look__at_ratios_of_uneven_arms__has_welchs_degrees_of_freedom() -> None:
    rng = np.random.default_rng(3)

    def arm(n: int) -> tuple[UnitMoments, np.ndarray]:
        requests = 1 + rng.poisson(5, n)
        errors = rng.binomial(requests, 0.2)
        ratio = errors.sum() / requests.sum()
        few = 1 + 3 * requests.var(ddof=1) / requests.mean() ** 2 / n if n < 200 else 1.0
        linear = ratio + (errors - ratio * requests) / requests.mean() * np.sqrt(few)
        return UnitMoments.of_rows(y=errors.tolist(), d=requests.tolist()), linear

    (control, linear_c), (treatment, linear_t) = arm(380), arm(20)
    score = kind_of("ratio").looked(control, treatment)
    assert score is not None
    assert score.z is not None
    assert two_sided_p(score.z) == pytest.approx(
        float(ttest_ind(linear_t, linear_c, equal_var=False).pvalue), rel=1e-6
    )


def test_post_stratify__one_stratum_of_uneven_arms__has_the_p_of_scipys_welch_test() -> None:
    rng = np.random.default_rng(4)
    control, treatment = rng.normal(10, 3, 380), rng.normal(12, 4, 20)
    found = post_stratify(
        [Stratum("all", totals(control), totals(treatment))], shares="known"
    ).comparison
    assert found.p == pytest.approx(
        float(ttest_ind(treatment, control, equal_var=False).pvalue), rel=1e-6
    )


def test_uneven_t__even_arms__is_welchs() -> None:
    rng = np.random.default_rng(5)
    control, treatment = totals(rng.lognormal(size=100)), totals(rng.lognormal(size=120))
    assert are_even(100, 120)
    assert uneven_t(control, treatment, 1.2) == welch_t(control, treatment, 1.2)


@pytest.mark.parametrize(
    ("factor", "shift"), [(1.0, 0.0), (1.2, 0.0), (1.0, 0.5), (1.0, -0.5), (0.8, 0.0)]
)
def test_uneven_t__many_units_without_skew__agrees_with_welch(factor: float, shift: float) -> None:
    """With enough units both scales tell the same of an effect near the edge."""
    rng = np.random.default_rng(6)
    edge = factor * 10 + shift
    control, treatment = (
        totals(rng.normal(10, 2, 5_000)),
        totals(edge / 10 * rng.normal(10, 2, 45_000) + 0.02),
    )
    plain, found = (
        welch_t(control, treatment, factor, shift),
        uneven_t(control, treatment, factor, shift),
    )
    assert plain is not None
    assert found is not None
    assert found.difference == plain.difference
    assert found.t == pytest.approx(plain.t, rel=0.06, abs=0.05)
    assert found.difference / found.se == pytest.approx(found.t)


def test_uneven_t__small_arm_without_any_event__takes_the_spread_of_the_large_one() -> None:
    control, treatment = Totals.of_values([0.0] * 30), Totals.of_values([0.0] * 500 + [1.0] * 70)
    plain, found = welch_t(control, treatment), uneven_t(control, treatment)
    assert plain is not None
    assert found is not None
    assert plain.t > 8  # the plain error of an arm without events is 0
    assert 1 < found.t < 3


def lognormal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.lognormal(0.0, 1.5, n)


def alarms(seen: list[Harm]) -> tuple[bool, bool]:
    verdicts = [judge([GuardrailReading(COST, "b", one)])[0] for one in seen]
    return any(v.worsening for v in verdicts), any(v.breach for v in verdicts)


def by_day(rng: np.random.Generator, per_day: int, scale: float, days: int = 10) -> list[Observed]:
    drawn = scale * rng.lognormal(0.0, 1.5, (days, per_day))
    sums, squares = drawn.sum(axis=1).cumsum(), (drawn**2).sum(axis=1).cumsum()
    return [
        Totals(per_day * (k + 1), float(a), float(b))
        for k, (a, b) in enumerate(zip(sums, squares, strict=True))
    ]


@pytest.mark.parametrize(
    ("per_day", "scale", "place"), [((20, 180), 1.0, 0), ((10, 190), 1.2, 1), ((190, 10), 1.2, 1)]
)
def test_alarm__skewed_cost_in_uneven_arms__errs_at_most_one_and_a_half_times_its_level(
    per_day: tuple[int, int], scale: float, place: int
) -> None:
    """Ten daily readings of 300 harmless experiments (or at the margin); .0375 and its 99.9 %
    bound.
    """
    rng, found, sims = np.random.default_rng(7), 0, 300
    for _ in range(sims):
        arms = by_day(rng, per_day[0], 1.0), by_day(rng, per_day[1], scale)
        found += alarms([harm(COST, c, t) for c, t in zip(*arms, strict=True)])[place]
    assert found / sims <= 0.0375 + 3.3 * math.sqrt(0.0375 * 0.9625 / sims)


def test_alarm__true_harm_of_half_again_in_uneven_arms__is_still_found() -> None:
    rng, found = np.random.default_rng(8), 0
    for _ in range(60):
        control, treatment = rng.lognormal(0, 1, (10, 60)), 1.5 * rng.lognormal(0, 1, (10, 540))
        found += alarms([harm(COST, totals(control.ravel()), totals(treatment.ravel()))])[1]
    assert found / 60 > 0.7


@pytest.mark.parametrize(
    ("guard", "margin", "ratio"),
    [
        (Guard(baseline=10.0, sd=15.0, relative=True), 0.2, 0.25),
        (Guard(baseline=10.0, sd=15.0, relative=True), 0.2, 4.0),
        (Guard(baseline=10.0, sd=15.0), 4.0, 0.25),
        (Guard(baseline=10.0, sd=15.0, relative=True, better="increase"), 0.2, 0.25),
    ],
)
def test_safe_sample__mean_in_uneven_arms__has_its_power_by_the_verdict(
    guard: Guard, margin: float, ratio: float
) -> None:
    size = power.safe_sample(guard, margin, ratio=ratio)
    plan = GuardrailPlan(
        "cost", "mean", guard.better, Margin("relative" if guard.relative else "money", margin)
    )
    rng, critical = np.random.default_rng(9), float(ndtri(0.05))
    shape = (10.0 / 15.0) ** 2
    found = 0
    for _ in range(600):
        arms = (totals(rng.gamma(shape, 10.0 / shape, n)) for n in (size.control, size.treatment))
        z = harm(plan, *arms).z
        found += z is not None and z < critical
    assert 0.86 <= found / 600 <= 0.95
