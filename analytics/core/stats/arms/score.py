"""Score tests of two proportions against any margin, and the interval that inverts them.

Question: is p_T − p_C above or below a margin, or p_T / p_C above or below a factor? Assumes one
independent yes/no trial a unit. The variance is taken at the rates nearest to the data on the edge
of the null hypothesis, so it does not vanish when an arm has no events.
References: Miettinen and Nurminen 1985; Farrington and Manning 1990; Koopman 1984.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import ndtri

from analytics.core.ground.roots import brentq
from analytics.core.stats.arms.comparison import Interval, checked_level

FURTHEST_RATIO = 1e12
"""Where the search for a ratio's upper limit ends; beyond it the limit is called unbounded."""


@dataclass(frozen=True, slots=True)
class MarginScore:
    """Estimate of (treatment − margin edge), its standard error on that edge, and z = estimate /
    se.
    """

    estimate: float
    se: float
    z: float | None


def difference_score(
    x_c: int, n_c: int, x_t: int, n_t: int, margin: float = 0.0, *, correction: bool = True
) -> MarginScore:
    """p_T − p_C − margin with its restricted standard error (Miettinen–Nurminen; ``correction``:
    N/(N−1)).
    """
    rate_c = difference_edge_rate(x_c, n_c, x_t, n_t, margin)
    rate_t = min(1.0, max(0.0, rate_c + margin))
    variance = rate_t * (1 - rate_t) / n_t + rate_c * (1 - rate_c) / n_c
    return _scored(x_t / n_t - x_c / n_c - margin, variance, n_c + n_t, correction)


def ratio_score(
    x_c: int, n_c: int, x_t: int, n_t: int, factor: float, *, correction: bool = True
) -> MarginScore:
    """p_T − factor·p_C with its restricted standard error (Koopman's statistic when ``correction``
    is off).
    """
    rate_c = ratio_edge_rate(x_c, n_c, x_t, n_t, factor)
    rate_t = min(1.0, factor * rate_c)
    variance = rate_t * (1 - rate_t) / n_t + factor**2 * rate_c * (1 - rate_c) / n_c
    return _scored(x_t / n_t - factor * (x_c / n_c), variance, n_c + n_t, correction)


def ratio_interval(
    x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05, *, correction: bool = False
) -> Interval | None:
    """Koopman's interval for p_T / p_C; None when control has no events (the ratio has no upper
    limit).
    """
    if x_c == 0 or n_c == 0 or n_t == 0:
        return None
    limit = float(-ndtri(checked_level(alpha) / 2))

    def z(log_factor: float) -> float:
        scored = ratio_score(x_c, n_c, x_t, n_t, math.exp(log_factor), correction=correction)
        return 0.0 if scored.z is None else scored.z

    centre = math.log(max(x_t, 0.01) / n_t) - math.log(x_c / n_c)
    low = 0.0 if x_t == 0 else _edge(lambda f: z(f) - limit, centre, -1.0)
    high = _edge(lambda f: z(f) + limit, centre, 1.0)
    return None if low is None or high is None else Interval(low, high, 1 - alpha)


def _edge(excess: Callable[[float], float], centre: float, way: float) -> float | None:
    step, far = 0.01, centre
    sign = -way  # z falls as the factor grows: positive excess below the lower limit, negative above the upper
    while sign * excess(far) < 0:
        far, step = far + way * step, step * 2
        if abs(far - centre) > math.log(FURTHEST_RATIO):
            return None
    return (
        math.exp(brentq(excess, centre, far, xtol=1e-12, rtol=1e-12))
        if far != centre
        else math.exp(centre)
    )


def _scored(estimate: float, variance: float, n: int, correction: bool) -> MarginScore:
    se = math.sqrt(max(variance, 0.0) * (n / (n - 1) if correction and n > 1 else 1.0))
    return MarginScore(estimate, se, estimate / se if se > 0 else None)


def ratio_edge_rate(x_c: float, n_c: float, x_t: float, n_t: float, factor: float) -> float:
    """Maximum-likelihood p_C given p_T = factor·p_C: the smaller root of a quadratic. Sizes may be
    shares of each other.
    """
    n = n_c + n_t
    share_t = n_t / n
    a, b, c = factor, -(factor * (share_t + x_c / n) + (1 - share_t) + x_t / n), (x_c + x_t) / n
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # The smaller root, written so that nothing cancels when events are rare.
    return min(2 * c / (-b + root), 1 / factor, 1.0)


def difference_edge_rate(x_c: float, n_c: float, x_t: float, n_t: float, margin: float) -> float:
    """Maximum-likelihood p_C given p_T = p_C + margin: the root of a cubic in closed form. Sizes
    may be shares of each other.
    """
    n = n_c + n_t
    if margin == 0:
        return (x_c + x_t) / n
    share_c, events = n_c / n, (x_c + x_t) / n
    l2 = (1 + share_c) * margin - 1 - events
    l1 = (share_c * margin - 1 - 2 * x_c / n) * margin + events
    l0 = x_c / n * margin * (1 - margin)
    return _cubic_root(l2, l1, l0, max(0.0, -margin), min(1.0, 1 - margin))


def _cubic_root(l2: float, l1: float, l0: float, low: float, high: float) -> float:
    q = l2**3 / 27 - l1 * l2 / 6 + l0 / 2
    p = math.copysign(math.sqrt(max(l2**2 / 9 - l1 / 3, 0.0)), q)
    cosine = min(1.0, max(-1.0, q / p**3)) if p else 0.0
    angle = (math.pi + math.acos(cosine)) / 3
    return min(high, max(low, 2 * p * math.cos(angle) - l2 / 3))
