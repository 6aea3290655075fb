"""Exact tests of a 2×2 table, for tables too small for a score test.

Barnard's test conditions on the arm sizes only and has more power; Fisher's conditions on the
number of events too. Both are two-sided.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LARGEST_BARNARD = 40_000
"""Largest product of arm sizes for Barnard's test: it lists every table, and slows down beyond
this.
"""
SAME_PROBABILITY = 1 + 1e-7
"""Tables this much likelier than the observed one still count as no likelier (rounding)."""


@lru_cache(maxsize=4096)
def barnard_p(x_c: int, n_c: int, x_t: int, n_t: int) -> float | None:
    """Two-sided Barnard p (pooled-variance statistic); None for tables it cannot list or that hold
    no variation.
    """
    if n_c * n_t > LARGEST_BARNARD or not 0 < x_c + x_t < n_c + n_t:
        return None
    from scipy.stats import barnard_exact  # here: 30 MB and a second, which few need

    return min(1.0, float(barnard_exact([[x_t, x_c], [n_t - x_t, n_c - x_c]]).pvalue))


def fisher_p(x_c: int, n_c: int, x_t: int, n_t: int) -> float | None:
    """Two-sided Fisher p: the probability of all tables no likelier than the observed one, margins
    fixed.

    Built from ratios of neighbouring tables, so it holds for 10¹² units with few events, where
    factorials cancel. None without variation, or where a listing would take more than 10⁷ tables.
    """
    listed = _tables(x_c, n_c, x_t, n_t)
    if listed is None:
        return None
    low, weights = listed
    chosen = weights <= weights[x_t - low] * SAME_PROBABILITY
    return min(1.0, math.fsum(weights[chosen]) / math.fsum(weights))


def fisher_lower_p(x_c: int, n_c: int, x_t: int, n_t: int) -> float | None:
    """One-sided Fisher p that treatment's rate is lower: P(X ≤ x_T), margins fixed; None as for
    ``fisher_p``.
    """
    listed = _tables(x_c, n_c, x_t, n_t)
    if listed is None:
        return None
    low, weights = listed
    return min(1.0, math.fsum(weights[: x_t - low + 1]) / math.fsum(weights))


def _tables(x_c: int, n_c: int, x_t: int, n_t: int) -> tuple[int, NDArray[np.float64]] | None:
    """(fewest events treatment could have, weight of every table from there on), or None."""
    events = x_c + x_t
    low, high = max(0, events - n_c), min(n_t, events)
    if not 0 < events < n_c + n_t or high - low > 10_000_000:
        return None
    k = np.arange(low, high, dtype=float)
    steps = np.log((events - k) * (n_t - k)) - np.log((k + 1) * (n_c - events + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights: NDArray[np.float64] = np.exp(logs - logs.max())
    return low, weights
