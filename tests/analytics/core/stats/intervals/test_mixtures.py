"""Other always-valid bounds: by brute-force integration, properties, error rates under constant
watching, and hostile numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, binom, binomtest, norm

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats.intervals import mixtures

VARIANCES = st.floats(0, 1e8)
TUNED = st.floats(1e-2, 1e8)
LEVELS = st.floats(1e-6, 0.45)
SIMS, STEPS, ALPHA = 2_000, 400, 0.05


# ---------------------------------------------------------------- what the mixtures are


@pytest.mark.parametrize(
    ("s", "v", "v_opt"),
    [(30.0, 100.0, 100.0), (-3.0, 10.0, 40.0), (0.0, 5.0, 1.0), (12.0, 0.0, 50.0)],
)
def test_normal_mixtures__by_integration__are_likelihood_ratios_mixed_over_effects(
    s: float, v: float, v_opt: float
) -> None:
    def mixed(alpha: float, low: float) -> float:
        far = 12 / math.sqrt(mixtures.tuning(v_opt, alpha))

        def density(effect: float) -> float:
            return math.exp(effect * s - effect**2 * v / 2) * float(
                norm.pdf(effect, scale=far / 12)
            )

        return math.log(quad(density, low * far, far, limit=500)[0])

    assert mixtures.normal_log_mixture(s, v, v_opt) == pytest.approx(
        mixed(0.05, -1.0), rel=1e-6, abs=1e-6
    )
    assert mixtures.one_sided_normal_log_mixture(s, v, v_opt) == pytest.approx(
        math.log(2) + mixed(0.1, 0.0), rel=1e-6, abs=1e-6
    )


@pytest.mark.parametrize(
    ("s", "v", "c"),
    [
        (25.0, 100.0, 1.0),
        (5.0, 0.0, 2.0),
        (-20.0, 100.0, 0.5),
        (-140.0, 100.0, 1.0),
        (40.0, 60.0, 7.0),
    ],
)
def test_gamma_poisson__by_integration__is_the_ratio_mixed_over_positive_effects(
    s: float, v: float, c: float
) -> None:
    rho = mixtures.tuning(200.0, 0.1)

    def area(sum_: float, variance: float) -> float:
        """Over λ > 0, the prior being the same exponential of ρ alone."""

        def density(effect: float) -> float:
            return math.exp(
                effect * sum_ - (variance + rho) * (math.expm1(c * effect) - c * effect) / c**2
            )

        return quad(density, 0, 5, epsabs=0, epsrel=1e-11, limit=500)[0]

    assert mixtures.gamma_poisson_log_mixture(s, v, 200.0, c) == pytest.approx(
        math.log(area(s, v) / area(0, 0)), rel=1e-8
    )


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_gamma_poisson__jumps_of_next_to_nothing__is_the_one_sided_normal(size: float) -> None:
    for s in (-30.0, 0.0, 25.0):
        normal = mixtures.one_sided_normal_log_mixture(s, 100.0, 200.0)
        assert mixtures.gamma_poisson_log_mixture(s, 100.0, 200.0, size) == pytest.approx(
            normal, abs=3 * size
        )


@pytest.mark.parametrize(("x", "n"), [(40, 400), (1, 9), (0, 30), (30, 30), (3, 4)])
def test_rate_sequence__by_integration__ends_where_the_mixture_refutes(x: int, n: int) -> None:
    found, weight = mixtures.rate_sequence(x, n), mixtures.tuning(1000.0, 0.05) - 1
    assert found is not None
    for edge in (found.low, found.high):
        if 0 < edge < 1:
            prior = beta(edge * weight, (1 - edge) * weight)
            mixed = quad(
                lambda p, prior=prior: binom.pmf(x, n, p) * prior.pdf(p), 0, 1, epsabs=0, limit=500
            )[0]
            assert mixed / binom.pmf(x, n, edge) == pytest.approx(20, rel=1e-4)


def test_linear_model_log_mixture__many_degrees_of_freedom__is_the_normal_mixture_of_z() -> None:
    # Given z² = 9 over a regressor's sum of squares 25 and a prior of precision 4: s = z·√25, v =
    # 25, ρ = 4.
    v_opt = 4 / mixtures.tuning(1.0, 0.05)
    assert mixtures.linear_model_log_mixture(9.0, 1e9, 4.0, 25.0) == pytest.approx(
        mixtures.normal_log_mixture(3 * 5.0, 25.0, v_opt), rel=1e-6
    )


# ---------------------------------------------------------------- properties


@given(VARIANCES, TUNED, LEVELS, LEVELS)
def test_bounds__always__lie_where_the_mixture_reaches_one_over_alpha(
    v: float, v_opt: float, alpha: float, alpha_opt: float
) -> None:
    goal, given_ = pytest.approx(math.log(1 / alpha), rel=1e-6), (v, v_opt, alpha, alpha_opt)
    assert mixtures.normal_log_mixture(mixtures.normal_bound(*given_), v, v_opt, alpha_opt) == goal
    assert (
        mixtures.one_sided_normal_log_mixture(
            mixtures.one_sided_normal_bound(*given_), v, v_opt, alpha_opt
        )
        == goal
    )


@settings(deadline=None)
@given(st.floats(0, 1e12), st.floats(1e-2, 1e12), st.floats(1e-3, 1e3), LEVELS, LEVELS)
def test_gamma_poisson_bound__always__lies_there_too(
    v: float, v_opt: float, c: float, alpha: float, alpha_opt: float
) -> None:
    bound = mixtures.gamma_poisson_bound(v, v_opt, c, alpha, alpha_opt)
    assert mixtures.gamma_poisson_log_mixture(bound, v, v_opt, c, alpha_opt) == pytest.approx(
        math.log(1 / alpha), rel=1e-5
    )


@given(VARIANCES, TUNED, LEVELS, st.floats(1e-6, 0.2))
def test_one_sided_bound__always__lies_between_the_two_sided_ones_at_twice_and_once_its_level(
    v: float, v_opt: float, alpha: float, alpha_opt: float
) -> None:
    one_sided = mixtures.one_sided_normal_bound(v, v_opt, alpha, alpha_opt)
    assert mixtures.normal_bound(v, v_opt, 2 * alpha, 2 * alpha_opt) <= one_sided * (1 + 1e-9)
    assert one_sided <= mixtures.normal_bound(v, v_opt, alpha, 2 * alpha_opt) * (1 + 1e-9)


@given(st.floats(-1e4, 1e4), st.floats(0, 1e3), VARIANCES, TUNED, st.floats(0.1, 10))
def test_mixtures__a_larger_sum__is_never_weaker_evidence(
    s: float, more: float, v: float, v_opt: float, c: float
) -> None:
    one_sided: list[Callable[[float], float]] = [
        lambda s: mixtures.one_sided_normal_log_mixture(s, v, v_opt),
        lambda s: mixtures.gamma_poisson_log_mixture(s, v, v_opt, c),
        lambda s: mixtures.normal_log_mixture(abs(s), v, v_opt) if s > 0 else -math.inf,
    ]
    for log_mixture in one_sided:
        low, high = log_mixture(s), log_mixture(s + more)
        assert high >= low or high == pytest.approx(low, rel=1e-9, abs=1e-9)
    assert mixtures.normal_log_mixture(s, v, v_opt) == mixtures.normal_log_mixture(-s, v, v_opt)


@given(VARIANCES, st.floats(1, 1e3), TUNED, LEVELS)
def test_bounds__more_variance_or_a_stricter_level__is_never_nearer(
    v: float, more: float, v_opt: float, alpha: float
) -> None:
    for bound in (mixtures.normal_bound, mixtures.one_sided_normal_bound):
        here = bound(v, v_opt, alpha)
        assert bound(v + more, v_opt, alpha) >= here * (1 - 1e-9)
        assert bound(v, v_opt, alpha / 2) > here


@given(st.floats(0.1, 1e6), st.floats(1e-2, 1e2), st.floats(1e-6, 0.05))
def test_normal_bound__at_the_variance_it_is_tuned_to__is_as_tight_as_any(
    v: float, elsewhere: float, alpha: float
) -> None:
    assert (
        mixtures.normal_bound(v, v, alpha, alpha)
        <= mixtures.normal_bound(v, v * elsewhere, alpha, alpha) * 1.001
    )


@settings(deadline=None)
@given(st.integers(1, 10**6), st.data(), st.floats(1e-4, 0.5), st.floats(1, 1e6))
def test_rate_sequence__any_counts__holds_the_rate_and_mirrors(
    n: int, data: st.DataObject, alpha: float, n_opt: float
) -> None:
    x = data.draw(st.integers(0, n))
    found, mirrored = (
        mixtures.rate_sequence(x, n, alpha, n_opt),
        mixtures.rate_sequence(n - x, n, alpha, n_opt),
    )
    assert found is not None and mirrored is not None
    assert found.holds(x / n) and 0 <= found.low < found.high <= 1
    assert mirrored.low == pytest.approx(1 - found.high, abs=1e-12)
    stricter = mixtures.rate_sequence(x, n, alpha / 2, n_opt)
    assert stricter is not None and stricter.low <= found.low and found.high <= stricter.high


# ---------------------------------------------------------------- watched all the time


def _not_above(crossed: int, level: float) -> None:
    assert binomtest(crossed, SIMS, level, alternative="greater").pvalue > 1e-3, crossed / SIMS


def _ever(paths: np.ndarray, bound: Callable[[float], float], variance: float) -> int:
    """Paths of sums that at any step lie above the bound."""
    bounds = np.array([bound(variance * k) for k in range(1, paths.shape[1] + 1)])
    return int((paths > bounds).any(axis=1).sum())


def test_normal_bounds__no_effect__are_ever_crossed_by_alpha_at_most() -> None:
    sums = np.random.default_rng(1).normal(size=(SIMS, STEPS)).cumsum(axis=1)
    two_sided = _ever(np.abs(sums), lambda v: mixtures.normal_bound(v, 50.0), 1.0)
    one_sided = _ever(sums, lambda v: mixtures.one_sided_normal_bound(v, 50.0), 1.0)
    for crossed in (two_sided, one_sided):
        _not_above(crossed, ALPHA)
        assert crossed > 0.005 * SIMS  # a bound nobody crosses would pass too
    # The fixed bound, looked at all the time, is what this is against.
    assert _ever(np.abs(sums), lambda v: 1.96 * math.sqrt(v), 1.0) > 0.3 * SIMS


def test_gamma_poisson_bound__rare_events__is_ever_crossed_by_alpha_at_most() -> None:
    rate = 0.05
    sums = (np.random.default_rng(2).poisson(rate, size=(SIMS, STEPS)) - rate).cumsum(axis=1)
    crossed = _ever(sums, lambda v: mixtures.gamma_poisson_bound(v, 5.0, 1.0), rate)
    _not_above(crossed, ALPHA)
    assert crossed > 0.005 * SIMS


@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_rate_sequence__watched_all_the_time__misses_the_rate_by_alpha_at_most(rate: float) -> None:
    steps = 120
    outside = np.zeros((steps + 1, steps + 1), dtype=bool)
    for n in range(1, steps + 1):
        for x in range(n + 1):
            found = mixtures.rate_sequence(x, n, 0.2, 50.0)
            outside[n, x] = found is None or not found.holds(rate)
    yes = (np.random.default_rng(3).random((SIMS, steps)) < rate).cumsum(axis=1)
    missed = int(outside[np.arange(1, steps + 1), yes].any(axis=1).sum())
    _not_above(missed, 0.2)
    assert missed > 0


# ---------------------------------------------------------------- hostile numbers


@pytest.mark.parametrize("hostile", [math.nan, math.inf, -math.inf, -1.0])
def test_mixtures__numbers_that_cannot_be__are_refused(hostile: float) -> None:
    calls: list[Callable[[], object]] = [
        lambda: mixtures.tuning(hostile, 0.05),
        lambda: mixtures.normal_log_mixture(1.0, hostile, 1.0),
        lambda: mixtures.one_sided_normal_log_mixture(1.0, hostile, 1.0),
        lambda: mixtures.normal_bound(hostile, 1.0),
        lambda: mixtures.one_sided_normal_bound(1.0, hostile),
        lambda: mixtures.one_sided_normal_bound(1.0, 1.0, hostile),
        lambda: mixtures.one_sided_normal_bound(1.0, 1.0, 0.05, hostile),
        lambda: mixtures.gamma_poisson_log_mixture(1.0, 1.0, 1.0, hostile),
        lambda: mixtures.gamma_poisson_bound(hostile, 1.0, 1.0),
        lambda: mixtures.linear_model_log_mixture(hostile, 10.0, 1.0, 1.0),
        lambda: mixtures.linear_model_log_mixture(1.0, hostile, 1.0, 1.0),
        lambda: mixtures.linear_model_log_mixture(1.0, 10.0, hostile, 1.0),
        lambda: mixtures.linear_model_log_mixture(1.0, 10.0, 1.0, hostile),
    ]
    for call in calls:
        with pytest.raises((ImpossiblePlan, ImpossibleTotals), match="found"):
            call()
    if not math.isfinite(hostile):
        for log_mixture in (mixtures.normal_log_mixture, mixtures.one_sided_normal_log_mixture):
            with pytest.raises(ImpossibleTotals, match="s is finite"):
                log_mixture(hostile, 1.0, 1.0)


@pytest.mark.parametrize(("x", "n"), [(-1, 5), (6, 5), (0, -1), (1, 10**14)])
def test_rate_sequence__counts_that_cannot_be__are_refused(x: int, n: int) -> None:
    with pytest.raises(ImpossibleTotals, match="found"):
        mixtures.rate_sequence(x, n)


def test_rate_sequence__a_level_that_is_none__is_refused_even_without_units() -> None:
    with pytest.raises(ImpossiblePlan, match="alpha"):
        mixtures.rate_sequence(0, 0, 1.5)


def test_one_sided__tuned_at_half_or_more__is_refused_in_its_own_words() -> None:
    with pytest.raises(ImpossiblePlan, match=r"between 0 and 1/2, found 0\.6"):
        mixtures.one_sided_normal_log_mixture(1.0, 1.0, 1.0, 0.6)


def test_rate_sequence__no_units__cannot_say() -> None:
    assert mixtures.rate_sequence(0, 0) is None


@pytest.mark.parametrize("n", [1, 10, 10**6, 10**12])
def test_rate_sequence__none_one_and_all__end_at_the_edge(n: int) -> None:
    none, one, most, all_ = (mixtures.rate_sequence(x, n) for x in (0, 1, n - 1, n))
    assert none is not None and one is not None and most is not None and all_ is not None
    # One yes is compatible with any tiny rate: the mixture's own rate falls with it.
    assert none.low == one.low == 0 and most.high == all_.high == 1
    assert none.high <= one.high and most.low <= all_.low
    assert all_.low == pytest.approx(1 - none.high, abs=1e-15)


def test_rate_sequence__a_trillion_units__is_still_about_the_rate() -> None:
    few, half = mixtures.rate_sequence(3, 10**12), mixtures.rate_sequence(5 * 10**11, 10**12)
    assert few is not None and half is not None
    assert 0 < few.low < 3e-12 < few.high < 1e-10
    # Far beyond n_opt: √{p(1 − p)/n·(ln(1 + n/ρ) − 2 ln α)}.
    wide = math.sqrt(
        0.25 / 1e12 * (math.log(1e12 / mixtures.tuning(1000.0, 0.05)) + 2 * math.log(20))
    )
    assert half.high - 0.5 == pytest.approx(wide, rel=1e-3)


def test_log_mixtures__extreme_sums__stay_finite() -> None:
    for s in (-1e12, -1e6, 1e6, 1e12):
        for v in (0.0, 1.0, 1e12):
            assert math.isfinite(mixtures.normal_log_mixture(s, v, 1e3))
            assert math.isfinite(mixtures.one_sided_normal_log_mixture(s, v, 1e3))
            assert math.isfinite(mixtures.gamma_poisson_log_mixture(s, v, 1e3, 1.0))
