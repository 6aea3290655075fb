"""Did what a model is fed, or what it answers, shift since the baseline?

Population stability index over fixed bins: PSI = Σ (a_k − b_k)·ln(a_k/b_k) with the shares of
baseline and current; .1 and above is yellow, .25 and above red. Bins are the baseline's deciles and
never move. A bin that is empty on one side would make PSI infinite: then half a unit is added to
every bin of both sides (bins empty on both are dropped). With few units PSI is large by chance,
about χ²(bins − 1)·(1/n + 1/m): where chance alone reaches yellow one time in twenty, nothing is
said. Kolmogorov–Smirnov's D and p are reported beside it and never an alarm: with many units any
shift, however small, has a tiny p. References: Lewis 1994; Yurdakul and Naranjo 2020 (PSI's
distribution); Smirnov 1939.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, kolmogorov

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals

YELLOW_FROM = 0.1
RED_FROM = 0.25
BINS = 10
SMOOTHING = 0.5
"""Units added to every bin of both sides where a bin is empty on one of them."""
CHANCE = 0.05
"""How often chance alone may exceed ``Drift.noise``."""

DriftVerdict = Literal["green", "yellow", "red"]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KsTwoSample:
    """Largest distance between two distribution functions, and its p. Information, not an alarm."""

    d: float
    p: float


@dataclass(frozen=True, slots=True)
class Drift:
    """PSI of current against baseline; ``noise`` is what chance alone exceeds one time in twenty.

    ``verdict`` None: cannot say, for the ``reason``. ``smoothed``: bins empty on one side were met.
    """

    psi: float | None
    verdict: DriftVerdict | None
    noise: float | None
    n_baseline: int
    n_current: int
    smoothed: bool = False
    ks: KsTwoSample | None = None
    reason: str | None = None


def find_drift(baseline: ArrayLike, current: ArrayLike) -> Drift:
    """Compare two histograms over the same bins, given as units per bin (of a covariate or of
    embedding statistics).
    """
    b, c = _counts(baseline), _counts(current)
    if b.shape != c.shape:
        raise ImpossibleTotals(
            f"drift needs the same bins on both sides, found {b.size} and {c.size}"
        )
    n_b, n_c = int(b.sum()), int(c.sum())
    if not (n_b and n_c):
        return Drift(
            None,
            None,
            None,
            n_b,
            n_c,
            reason=f"no units in the {'current data' if n_b else 'baseline'}",
        )
    kept = (b + c) > 0
    smoothed = bool(np.any((b == 0) != (c == 0)))
    value, noise = psi(b, c), _noise(int(kept.sum()), n_b, n_c)
    verdict = None if noise >= YELLOW_FROM else verdict_of(value)
    reason = None if verdict is not None else f"too few units: chance alone would reach {noise:.2f}"
    return Drift(value, verdict, noise, n_b, n_c, smoothed, ks_binned(b, c), reason)


def psi(baseline: ArrayLike, current: ArrayLike) -> float:
    """The population stability index of two histograms; symmetric in them. Both need units."""
    b, c = _counts(baseline), _counts(current)
    if b.shape != c.shape or not (b.sum() and c.sum()):
        raise ImpossibleTotals("an index needs units on both sides, in the same bins")
    kept = (b + c) > 0
    b, c = b[kept], c[kept]
    if np.any(b == 0) or np.any(c == 0):
        b, c = b + SMOOTHING, c + SMOOTHING
    share_b, share_c = b / b.sum(), c / c.sum()
    return float(((share_c - share_b) * np.log(share_c / share_b)).sum())


def verdict_of(value: float) -> DriftVerdict:
    """Green below .1, red from .25."""
    return "red" if value >= RED_FROM else "yellow" if value >= YELLOW_FROM else "green"


def ks_two_sample(baseline: ArrayLike, current: ArrayLike) -> KsTwoSample | None:
    """D and p from values: exact up to 10,000 units a side, else asymptotic; None without
    values.
    """
    b, c = _values(baseline), _values(current)
    if not (b.size and c.size):
        return None
    with warnings.catch_warnings():
        # For the smallest distances scipy's exact p rounds to above 1; it then warns and takes the
        # asymptotic one, which is 1 too.
        warnings.simplefilter("ignore", RuntimeWarning)
        from scipy.stats import ks_2samp  # here: 30 MB and a second, which few need

        found = ks_2samp(b, c)
    return KsTwoSample(float(found.statistic), float(found.pvalue))


def ks_binned(baseline: ArrayLike, current: ArrayLike) -> KsTwoSample | None:
    """D and its asymptotic p from histograms: D inside a bin is not seen, so p is too large rather
    than too small.
    """
    b, c = _counts(baseline), _counts(current)
    if not (b.sum() and c.sum()):
        return None
    d = float(np.abs(np.cumsum(b) / b.sum() - np.cumsum(c) / c.sum()).max())
    return KsTwoSample(d, float(kolmogorov(d / np.sqrt(1 / b.sum() + 1 / c.sum()))))


def bin_edges(baseline: ArrayLike, bins: int = BINS) -> tuple[float, ...]:
    """Inner edges at the baseline's quantiles; fewer where values repeat. Stored with the
    baseline.
    """
    if bins < 2:
        raise ImpossiblePlan(f"drift needs at least two bins, found {bins}")
    values = _values(baseline)
    if not values.size:
        raise ImpossibleTotals("bins are made of a baseline, found no values")
    return edges_of(np.quantile(values, np.arange(1, bins) / bins), float(values.max()))


def edges_of(quantiles: ArrayLike, largest: float) -> tuple[float, ...]:
    """Inner edges from a baseline's quantiles and its largest value."""
    edges = np.unique(_values(quantiles))
    return tuple(edges[edges < largest].tolist()) or (largest,)


def binned(values: ArrayLike, edges: Sequence[float]) -> tuple[int, ...]:
    """Units per bin; bins are (−∞, e₁], (e₁, e₂], …, (e_k, ∞)."""
    places = np.searchsorted(np.asarray(edges, dtype=float), _values(values), side="left")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


def _noise(bins: int, n_baseline: int, n_current: int) -> float:
    return float(chdtri(bins - 1, CHANCE)) * (1 / n_baseline + 1 / n_current) if bins > 1 else 0.0


def _counts(histogram: ArrayLike) -> Array:
    counts = np.asarray(histogram, dtype=float)
    if (
        counts.ndim != 1
        or not np.all(np.isfinite(counts))
        or np.any(counts < 0)
        or np.any(counts != np.round(counts))
    ):
        raise ImpossibleTotals(f"a histogram holds whole numbers of units, found {counts.tolist()}")
    return counts


def _values(values: ArrayLike) -> Array:
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        raise ImpossibleTotals(
            "values must be finite and one a unit, found NaN, infinity or a table"
        )
    return found
