"""What would another tool print from the same counts of a rate?

Textbook tests and intervals for teams that tie an old dashboard to this one; ``proportion`` has
those that we show. Wald and logarithmic intervals miss their level for rare events and small arms,
Yates' correction is too cautious, and none of it decides anything here. None where a formula has no
value. References: Wald 1943; Agresti and Caffo 2000; Katz et al. 1978; Yates 1934; Woolf 1957 (G);
Clopper and Pearson 1934; Brown, Cai and DasGupta 2001 (Jeffreys, Agresti–Coull); Boschloo 1970.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, chdtrc, xlogy

from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.arms.exact import LARGEST_BARNARD
from analytics.core.stats.arms.normal import two_sided_p, upper_quantile
from experiments.core.figures import positive_p


@dataclass(frozen=True, slots=True)
class ZTest:
    """z = difference/se with its two-sided p and the Wald interval."""

    difference: float
    se: float
    z: float
    p: float
    ci: Interval


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A statistic that is nearly χ², with one degree of freedom for each arm but one, and its p."""

    statistic: float
    p: float


def unpooled_z(x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05) -> ZTest | None:
    """p_T − p_C over √(p_T·q_T/n_T + p_C·q_C/n_C); ours pools the variance, which keeps the level
    when rates are small.
    """
    z = upper_quantile(checked_level(alpha) / 2)
    if min(n_c, n_t) == 0:
        return None
    rate_c, rate_t = x_c / n_c, x_t / n_t
    se = math.sqrt(rate_c * (1 - rate_c) / n_c + rate_t * (1 - rate_t) / n_t)
    if not se > 0:
        return None
    difference = rate_t - rate_c
    return ZTest(
        difference,
        se,
        difference / se,
        two_sided_p(difference / se),
        _around(difference, z * se, alpha),
    )


def wald_difference(x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05) -> Interval | None:
    """p_T − p_C ± z·(unpooled s.e.); of no width, so None, when no arm's answers vary."""
    found = unpooled_z(x_c, n_c, x_t, n_t, alpha)
    return None if found is None else found.ci


def agresti_caffo(x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05) -> Interval:
    """Wald's interval after one yes and one no were added to each arm; cut at −1 and 1."""
    rate_c, rate_t = (x_c + 1) / (n_c + 2), (x_t + 1) / (n_t + 2)
    se = math.sqrt(rate_c * (1 - rate_c) / (n_c + 2) + rate_t * (1 - rate_t) / (n_t + 2))
    wide = _around(rate_t - rate_c, upper_quantile(checked_level(alpha) / 2) * se, alpha)
    return Interval(max(-1.0, wide.low), min(1.0, wide.high), wide.level)


def log_ratio(
    x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05, *, added: float = 0.0
) -> Interval | None:
    """Katz' interval for p_T/p_C from the logarithm; ``added`` = ½ adds half a yes to each arm
    (Walter). None for zero counts.
    """
    z = upper_quantile(checked_level(alpha) / 2)
    c, t, m_c, m_t = x_c + added, x_t + added, n_c + added, n_t + added
    if min(c, t) <= 0:
        return None
    # 1/x − 1/n, written so that nothing cancels when nearly every unit said yes.
    se = math.sqrt((m_c - c) / (c * m_c) + (m_t - t) / (t * m_t))
    centre = math.log(t / m_t) - math.log(c / m_c)
    return Interval(math.exp(centre - z * se), math.exp(centre + z * se), 1 - alpha)


def pearson_chi2(arms: Sequence[tuple[int, int]]) -> ChiSquare | None:
    """χ² of (yes, n) arms whatever the expected cells, where ``omnibus`` cannot say below 1; None
    without variation.
    """
    x, n = np.array([arm for arm in arms if arm[1]], dtype=float).reshape(-1, 2).T
    if len(n) < 2 or not 0 < x.sum() < n.sum():
        return None
    rate = x.sum() / n.sum()
    statistic = float(((x - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
    return ChiSquare(statistic, positive_p(float(chdtrc(len(n) - 1, statistic))))


def yates_chi2(x_c: int, n_c: int, x_t: int, n_t: int) -> ChiSquare | None:
    """Pearson's χ² with every |observed − expected| brought half a unit nearer; None without
    variation.
    """
    cells = _cells(x_c, n_c, x_t, n_t)
    if cells is None:
        return None
    observed, expected = cells
    distance = np.abs(observed - expected)
    statistic = float(((distance - np.minimum(0.5, distance)) ** 2 / expected).sum())
    return ChiSquare(statistic, positive_p(float(chdtrc(1, statistic))))


def g_test(x_c: int, n_c: int, x_t: int, n_t: int) -> ChiSquare | None:
    """Likelihood ratio, 2·Σ observed·ln(observed/expected); None without variation."""
    cells = _cells(x_c, n_c, x_t, n_t)
    if cells is None:
        return None
    observed, expected = cells
    statistic = max(0.0, 2 * float(xlogy(observed, observed / expected).sum()))
    return ChiSquare(statistic, positive_p(float(chdtrc(1, statistic))))


def wald_rate(x: int, n: int, alpha: float = 0.05) -> Interval | None:
    """p ± z·√(pq/n), cut at 0 and 1; None without units."""
    return _rate_interval(x, n, alpha, "normal")


def agresti_coull(x: int, n: int, alpha: float = 0.05) -> Interval | None:
    """Wald's interval after z²/2 yes and as many no were added; cut at 0 and 1; None without
    units.
    """
    return _rate_interval(x, n, alpha, "agresti_coull")


def clopper_pearson(x: int, n: int, alpha: float = 0.05) -> Interval | None:
    """The rates whose exact binomial tails hold α/2; wider than its level; None without units."""
    return _rate_interval(x, n, alpha, "beta")


def jeffreys(x: int, n: int, alpha: float = 0.05) -> Interval | None:
    """Equal-tailed posterior interval under Beta(½, ½); None without units."""
    tail = checked_level(alpha) / 2
    if n == 0:
        return None
    # Written out: statsmodels replaces an end of this one by 0 or 1 where nobody or everybody
    # answered yes.
    return Interval(
        float(betaincinv(x + 0.5, n - x + 0.5, tail)),
        float(betaincinv(x + 0.5, n - x + 0.5, 1 - tail)),
        1 - alpha,
    )


def _rate_interval(x: int, n: int, alpha: float, method: str) -> Interval | None:
    from statsmodels.stats.proportion import (
        proportion_confint,
    )  # here, so that nothing that serves loads it

    checked_level(alpha)
    if n == 0:
        return None
    low, high = proportion_confint(x, n, alpha=alpha, method=method)
    return _cut(Interval(float(low), float(high), 1 - alpha))


def boschloo_p(x_c: int, n_c: int, x_t: int, n_t: int) -> float | None:
    """Two-sided Boschloo p: Fisher's p as the statistic of an unconditional test; None for tables
    Barnard's cannot list either.
    """
    if n_c * n_t > LARGEST_BARNARD or not 0 < x_c + x_t < n_c + n_t or min(n_c, n_t) == 0:
        return None
    from scipy.stats import boschloo_exact  # here: 30 MB and a second, which few need

    return min(1.0, float(boschloo_exact([[x_t, x_c], [n_t - x_t, n_c - x_c]]).pvalue))


def _cells(
    x_c: int, n_c: int, x_t: int, n_t: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(observed, expected) of the 2 × 2 table; None with an empty margin."""
    yes, n = x_c + x_t, n_c + n_t
    if min(n_c, n_t) == 0 or not 0 < yes < n:
        return None
    observed = np.array([[x_c, n_c - x_c], [x_t, n_t - x_t]], dtype=float)
    expected = (
        np.outer(np.array([n_c, n_t], dtype=float), np.array([yes, n - yes], dtype=float)) / n
    )
    return observed, expected


def _around(centre: float, half: float, alpha: float) -> Interval:
    return Interval(centre - half, centre + half, 1 - alpha)


def _cut(wide: Interval) -> Interval:
    return Interval(max(0.0, wide.low), min(1.0, wide.high), wide.level)
