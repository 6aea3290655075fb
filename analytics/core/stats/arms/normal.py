"""The normal scale: tails that do not vanish, quantiles, and t statistics carried over to z."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri, ndtri_exp, stdtr

from experiments.core.figures import positive_p


def quantile(q: float) -> float:
    """Φ⁻¹(q)."""
    return float(ndtri(q))


def upper_quantile(tail: float) -> float:
    """Φ⁻¹(1 − tail), exact for tails far below 10⁻¹⁶."""
    return float(-ndtri(tail))


def two_sided_p(z: float) -> float:
    """P(|Z| ≥ |z|) from the tail; never below 1e-300."""
    return positive_p(float(2 * ndtr(-abs(z))))


def two_sided_t_p(t: float, df: float) -> float:
    """P(|T| ≥ |t|) on df degrees of freedom, from the tail; never below 1e-300."""
    return positive_p(float(2 * stdtr(df, -abs(t))))


def t_as_z(t: float, df: float) -> float:
    """The z with the same tail probability as t on df degrees of freedom, sign kept.

    Looks compare z with boundaries for normal statistics; a t taken for a z would cross too often
    with few units. Where the t tail is too small for a float, z keeps growing with t, capped by
    the tail of the smallest float.
    """
    tail = float(stdtr(df, -abs(t)))
    z = -float(ndtri(tail)) if tail > 0 else -float(ndtri_exp(math.log(5e-324)))
    return math.copysign(min(z, abs(t)), t)
