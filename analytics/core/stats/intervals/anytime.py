"""Intervals one may watch at any time: the normal-mixture confidence sequence.

Question: which effects are compatible with all data so far, if one may look whenever one likes?
The interval covers the true effect at all times together with probability 1 − α. Assumes the
estimate is asymptotically normal (hence not below 100 units). ``se`` is the standard error of the
estimate, ``n`` all units behind it; ``n_star`` is the n at which the interval is to be tightest.
Reference: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021 (v7), equations 134 and 161.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.core.stats.arms.comparison import Interval, checked_level
from experiments.core.figures import positive_p

FEWEST_UNITS = 100
ALARM_N_STAR = 5000
"""The sample size alarms are tuned to."""


@dataclass(frozen=True, slots=True)
class RunningSequence:
    """Running intersection of the intervals so far and the running minimum of p."""

    interval: Interval | None
    p: float | None
    effect_changed: bool
    """The intersection was empty: the effect changed over time, and ``interval`` is the current one
    alone.
    """


def rho(alpha: float, n_star: float) -> float:
    """The mixture's scale that makes the two-sided interval tightest near n_star units."""
    log = math.log(checked_level(alpha))
    return math.sqrt((-2 * log + math.log(1 - 2 * log)) / n_star)


def half_width(se: float, n: float, alpha: float, n_star: float) -> float:
    """Half-width of the two-sided sequence: se·√n·√{2(nρ²+1)/(n²ρ²)·ln(√(nρ²+1)/α)}."""
    nr2 = n * rho(alpha, n_star) ** 2
    return se * math.sqrt(2 * (nr2 + 1) / nr2 * (0.5 * math.log1p(nr2) - math.log(alpha)))


def one_sided_width(se: float, n: float, alpha: float, n_star: float) -> float:
    """Distance from the estimate to its one-sided bound at level α."""
    nr2 = n * rho(2 * alpha, n_star) ** 2
    return se * math.sqrt(2 * (nr2 + 1) / nr2 * math.log1p(math.sqrt(nr2 + 1) / (2 * alpha)))


def interval(estimate: float, se: float, n: int, alpha: float, n_star: float) -> Interval | None:
    """The two-sided sequence's present interval; None below 100 units or without a standard
    error.
    """
    if n < FEWEST_UNITS or not se > 0:
        return None
    half = half_width(se, n, alpha, n_star)
    return Interval(estimate - half, estimate + half, 1 - alpha)


def p_value(estimate: float, se: float, n: int, alpha: float, n_star: float) -> float | None:
    """Always-valid p against 0, with the mixture tuned at α; None as for ``interval``."""
    if n < FEWEST_UNITS or not se > 0:
        return None
    return positive_p(math.exp(min(0.0, -log_ratio(estimate, se, n, alpha, n_star))))


def log_ratio(estimate: float, se: float, n: float, alpha: float, n_star: float) -> float:
    """ln of the mixed likelihood ratio against 0, however few the units; se above 0. The interval
    leaves 0 out where it exceeds ln(1/α).
    """
    nr2 = n * rho(alpha, n_star) ** 2
    return 0.5 * (estimate / se) ** 2 * nr2 / (nr2 + 1) - 0.5 * math.log1p(nr2)


def upper_p_value(estimate: float, se: float, n: int, alpha: float, n_star: float) -> float | None:
    """Always-valid one-sided p against "estimate ≤ 0", with the mixture tuned at α."""
    if n < FEWEST_UNITS or not se > 0:
        return None
    if estimate <= 0:
        return 1.0
    nr2 = n * rho(2 * alpha, n_star) ** 2
    exponent = 0.5 * (estimate / se) ** 2 * nr2 / (nr2 + 1)
    log_p = (
        0.5 * math.log1p(nr2)
        - math.log(2)
        - (exponent if exponent > 700 else math.log(math.expm1(exponent)))
    )
    return positive_p(min(1.0, math.exp(min(0.0, log_p))))


def running(intervals: Sequence[Interval], ps: Sequence[float]) -> RunningSequence:
    """Fold a history of intervals and p-values into what may be shown now."""
    if not intervals:
        return RunningSequence(None, None, False)
    low, high = max(i.low for i in intervals), min(i.high for i in intervals)
    changed = low > high
    shown = intervals[-1] if changed else Interval(low, high, intervals[-1].level)
    return RunningSequence(shown, min(ps) if ps else None, changed)
