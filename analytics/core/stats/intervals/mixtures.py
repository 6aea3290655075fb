"""Other always-valid bounds, for reconciling with tools that use them. Ours is ``anytime``; nothing
here decides.

All are mixtures: a nonnegative supermartingale that starts at 1 under the hypothesis, so that the
chance to ever reach 1/α is at most α (Ville 1939). Each function gives its logarithm, or the bound
at which it reaches ln(1/α). ``s`` is the sum of centred observations so far, ``v`` its variance so
far; mixtures are tuned to be tightest when the variance is ``v_opt`` at level ``alpha_opt``. 1/exp
of a running maximum is an always-valid p. References: Robbins 1970; Johari, Koomen, Pekelis and
Walsh 2017 (mSPRT); Howard, Ramdas, McAuliffe and Sekhon 2021 (normal, gamma–Poisson and
beta–binomial mixtures); Lindon, Ham, Tingley and Bojinov 2022 (linear models).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import betaln, erfcx, gammaincc, gammaln, log_ndtr, xlogy

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.roots import brentq
from analytics.core.stats.arms.comparison import Interval, checked_level

SMALLEST_TAIL = 1e-290
"""Gamma tails below this have lost digits, or all."""
LARGE_SHAPE = 100.0
"""From here on Stirling's series is exact to the last digit."""
MOST_UNITS = 1e13
"""Beyond, a float hardly tells all but one of n from all."""
LOG_SMALLEST = -700.0
"""ln of the smallest rate that a float tells from 0."""


def tuning(v_opt: float, alpha: float) -> float:
    """The prior's weight ρ, in units of variance, that makes a two-sided normal mixture tightest at
    v_opt.

    A closed form next to the best one (Howard et al. 2021): the bound is within a thousandth of the
    tightest at α ≤ .05.
    """
    log = -2 * math.log(checked_level(alpha))
    return _positive("v_opt", v_opt) / (log + math.log1p(log))


def normal_log_mixture(s: float, v: float, v_opt: float, alpha_opt: float = 0.05) -> float:
    """mSPRT: ln of the likelihood ratio mixed over N(0, 1/ρ) effects of either sign."""
    rho, total = _weights(v, v_opt, alpha_opt)
    return -0.5 * math.log1p(v / rho) + _finite("s", s) / total * s / 2


def one_sided_normal_log_mixture(
    s: float, v: float, v_opt: float, alpha_opt: float = 0.05
) -> float:
    """The same over positive effects alone, against "not above 0"."""
    rho, total = _weights(v, v_opt, _doubled(alpha_opt))
    z = _finite("s", s) / math.sqrt(total)
    # Below 0 the square and ln Φ cancel; erfcx is their product.
    tilt = (
        math.log(float(erfcx(-z / math.sqrt(2))))
        if z < 0
        else z * z / 2 + math.log(2) + float(log_ndtr(z))
    )
    return -0.5 * math.log1p(v / rho) + tilt


def normal_bound(v: float, v_opt: float, alpha: float = 0.05, alpha_opt: float = 0.05) -> float:
    """|s| beyond this at any time refutes "mean 0" at level alpha."""
    rho, total = _weights(v, v_opt, alpha_opt)
    return math.sqrt(total * (math.log1p(v / rho) - 2 * math.log(checked_level(alpha))))


def one_sided_normal_bound(
    v: float, v_opt: float, alpha: float = 0.05, alpha_opt: float = 0.05
) -> float:
    """s above this at any time refutes "mean not above 0" at level alpha."""
    goal = -math.log(checked_level(alpha))
    rho, total = _weights(v, v_opt, _doubled(alpha_opt))
    # Above 0 the one-sided mixture has 2Φ ≥ 1 over the two-sided one of the same ρ, whose bound is
    # therefore no lower.
    high = math.sqrt(total * (math.log1p(v / rho) + 2 * goal))
    return _crossing(lambda s: one_sided_normal_log_mixture(s, v, v_opt, alpha_opt) - goal, high)


def gamma_poisson_log_mixture(
    s: float, v: float, v_opt: float, c: float, alpha_opt: float = 0.05
) -> float:
    """For sums whose upper tail is a Poisson's with jumps of size c: ln of exp(λs − v(e^{cλ} − cλ −
    1)/c²) mixed over λ > 0.
    """
    rho, total = _weights(v, v_opt, _doubled(alpha_opt))
    size = _positive("c", c) ** 2
    return _log_tail(total / size, c * _finite("s", s) / total) - _log_tail(rho / size, 0.0)


def gamma_poisson_bound(
    v: float, v_opt: float, c: float, alpha: float = 0.05, alpha_opt: float = 0.05
) -> float:
    """s above this at any time refutes the hypothesis at level alpha."""
    goal = -math.log(checked_level(alpha))
    high = one_sided_normal_bound(v, v_opt, alpha, alpha_opt) + _positive("c", c)
    while gamma_poisson_log_mixture(high, v, v_opt, c, alpha_opt) < goal:
        high *= 2
    return _crossing(lambda s: gamma_poisson_log_mixture(s, v, v_opt, c, alpha_opt) - goal, high)


def rate_sequence(
    x: int, n: int, alpha: float = 0.05, n_opt: float = 1000.0, alpha_opt: float = 0.05
) -> Interval | None:
    """An always-valid interval of one rate that is exact for few units: all p the beta–binomial
    mixture does not refute.

    Its prior is Beta(pm, (1 − p)m) around each p, with the m that suits n_opt units. None without
    units.
    """
    if not 0 <= x <= n <= MOST_UNITS:
        raise ImpossibleTotals(
            f"of n ≤ {MOST_UNITS:g} units between 0 and n are yes, found {x} of {n}"
        )
    goal = -math.log(checked_level(alpha))
    weight = max(tuning(n_opt, alpha_opt) - 1, 1e-3)
    if n == 0:
        return None
    return Interval(
        _lowest_rate(x, n, weight, goal), 1 - _lowest_rate(n - x, n, weight, goal), 1 - alpha
    )


def _lowest_rate(x: int, n: int, weight: float, goal: float) -> float:
    """The smallest rate not refuted, sought on a log scale; 0 where even the tiniest is not: x = 0
    and often x = 1.
    """

    def excess(log_p: float) -> float:
        p, q = math.exp(log_p), -math.expm1(log_p)
        mixed = float(betaln(p * weight + x, q * weight + (n - x)) - betaln(p * weight, q * weight))
        return mixed - x * log_p - float(xlogy(n - x, q)) - goal

    if x == 0 or excess(LOG_SMALLEST) <= 0:
        return 0.0
    seen = math.log(x / n) if 2 * x < n else min(math.log1p((x - n) / n), -1e-3 / MOST_UNITS)
    return math.exp(brentq(excess, LOG_SMALLEST, seen, xtol=1e-13, rtol=1e-14, maxiter=1000))


def linear_model_log_mixture(t2: float, df: float, phi: float, z2: float) -> float:
    """For a coefficient of a linear model with its t² on df degrees of freedom: ln of the Bayes
    factor against 0.

    ``z2`` is the regressor's sum of squares left over by the other regressors, ``phi`` the prior's
    precision in the same units.
    """
    r = _positive("phi", phi) / (phi + _positive("z2", z2))
    scaled = _not_negative("t2", t2) / _positive("df", df)
    return 0.5 * math.log(r) + 0.5 * (df + 1) * (math.log1p(scaled) - math.log1p(r * scaled))


def _weights(v: float, v_opt: float, alpha: float) -> tuple[float, float]:
    """The prior's weight ρ, and v + ρ."""
    rho = tuning(v_opt, alpha)
    return rho, _not_negative("v", v) + rho


def _doubled(alpha_opt: float) -> float:
    """A one-sided mixture is tuned like a two-sided one at twice the level."""
    if not 0 < alpha_opt < 0.5:
        raise ImpossiblePlan(
            f"a one-sided mixture's alpha_opt lies between 0 and 1/2, found {alpha_opt!r}"
        )
    return 2 * alpha_opt


def _crossing(excess: Callable[[float], float], high: float) -> float:
    return float(brentq(excess, 0.0, high, xtol=1e-12, rtol=1e-14))


def _log_tail(rate: float, u: float) -> float:
    """ln ∫₁^∞ w^{shape − 1}·e^{−rate·(w − 1)} dw, shape = rate·(1 + u): a gamma tail, without its
    large terms that cancel.
    """
    shape = rate * (1 + u)
    upper = float(gammaincc(shape, rate)) if shape > 0 else 0.0
    if upper < SMALLEST_TAIL:
        from scipy.integrate import quad  # here: it takes megabytes, and few tails are that small

        fall = 1 - rate * u
        area = quad(
            lambda y: math.exp((shape - 1) * math.log1p(y / fall) - rate * y / fall),
            0,
            math.inf,
            epsabs=0,
            epsrel=1e-11,
        )[0]
        return math.log(area / fall)
    if shape < LARGE_SHAPE:
        return rate + float(gammaln(shape)) + math.log(upper) - shape * math.log(rate)
    stirling = 0.5 * math.log(2 * math.pi / shape) + 1 / (12 * shape) - 1 / (360 * shape**3)
    return rate * _entropy(u) + stirling + math.log(upper)


def _entropy(u: float) -> float:
    """(1 + u)·ln(1 + u) − u, by its series where the terms cancel."""
    if abs(u) > 0.01:
        return (1 + u) * math.log1p(u) - u
    return math.fsum((-u) ** k / (k * (k - 1)) for k in range(2, 10))


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ImpossibleTotals(f"{name} is finite, found {value!r}")
    return value


def _not_negative(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ImpossibleTotals(f"{name} is finite and not below 0, found {value!r}")
    return value


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ImpossiblePlan(f"{name} is finite and above 0, found {value!r}")
    return value
