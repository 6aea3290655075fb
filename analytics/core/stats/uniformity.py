"""Is the engine calibrated? P-values of experiments without an effect must be uniform, and error
rates near their target.

Two primitives for A/A replays and simulations: Kolmogorov–Smirnov's distance of p-values from
uniform, exact for any number of them, and the range in which a count of errors over n simulations
falls with 99.9 % probability if the true rate is the target. Assumes independent simulations;
continuous p-values (those of small tables come in steps, larger than uniform, and will look
non-uniform without being wrong). References: Kolmogorov 1933; Marsaglia, Tsang and Wang 2003;
Clopper and Pearson 1934 (the tails).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import checked_count
from experiments.core.figures import positive_p

CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True)
class Uniformity:
    """Distance of n p-values from uniform and its exact p; None without any p-value."""

    n: int
    d: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class RateRange:
    """Lowest and highest share of hits that a true rate explains."""

    low: float
    high: float
    confidence: float

    def holds(self, rate: float) -> bool:
        """Whether an observed rate lies inside, the ends included."""
        return self.low <= rate <= self.high


def ks_uniform(p_values: ArrayLike) -> Uniformity:
    """Two-sided Kolmogorov–Smirnov of p-values against uniform on 0–1."""
    p = np.asarray(p_values, dtype=float)
    if np.any(~((p >= 0) & (p <= 1))):
        raise ImpossibleTotals("p-values lie between 0 and 1, found others among them")
    if not p.size:
        return Uniformity(0, None, None)
    from scipy.stats import kstest  # here: 30 MB and a second, which few need

    found = kstest(p, "uniform", method="auto")
    return Uniformity(p.size, float(found.statistic), positive_p(float(found.pvalue)))


def binomial_bounds(n: int, rate: float, confidence: float = CONFIDENCE) -> RateRange:
    """Shares of n between the binomial quantiles at (1 − confidence)/2 in each tail; .05 over
    10,000: .0430–.0573.
    """
    n = checked_count(n)
    if not (0 <= rate <= 1 and 0 < confidence < 1) or n == 0:
        raise ImpossiblePlan(
            f"a range needs simulations, a rate in 0–1 and a confidence in (0, 1), found {n}, {rate!r}, {confidence!r}"
        )
    tail = (1 - confidence) / 2
    return RateRange(
        _binomial_quantile(tail, n, rate) / n, _binomial_quantile(1 - tail, n, rate) / n, confidence
    )


def upper_bound(n: int, rate: float, confidence: float = CONFIDENCE) -> float:
    """The highest share of n that a true rate of at most ``rate`` explains: "≤ .05 + bound" of
    one-sided promises.
    """
    return binomial_bounds(n, rate, confidence).high


def _binomial_quantile(q: float, n: int, rate: float) -> int:
    """The smallest count k with P(at most k) ≥ q, by halving."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if bdtr(middle, n, rate) >= q:
            high = middle
        else:
            low = middle + 1
    return low
