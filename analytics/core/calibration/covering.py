"""Do 95 % intervals hold the truth 95 times in 100, and does the past take out as much variance as
it should?
"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration import simulate
from analytics.core.calibration.check import Check, Sums
from analytics.core.calibration.limits import Around, Binomial, Stated, rate
from analytics.core.calibration.simulate import (
    Counts,
    Latencies,
    Requests,
    Rng,
    Values,
    totals_of_pairs,
)
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.cuped import Covaried, compare_adjusted
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.quantile import (
    Histogram,
    QuantileTotals,
    compare_quantiles,
    from_passes,
    quantile_hat,
)
from analytics.core.stats.arms.ratio import compare_ratios

LEVEL = 0.95
P95 = 0.95
CORRELATION, EFFECT = 0.6, 0.2
BUCKETS = 500
"""An arm's share of a layer at an even split."""


def holds(found: Comparison, truth: float) -> bool:
    """Whether the interval of the difference holds the true one; no interval holds nothing."""
    return found.ci is not None and found.ci.holds(truth)


def holds_lift(found: Comparison, truth: float) -> bool:
    """The same for the relative change."""
    return found.lift_ci is not None and found.lift_ci.holds(truth)


def covered_rates(rng: Rng, sims: int, n: int) -> int:
    """Intervals of a difference of two rates that hold it."""
    drawn = rng.binomial(n, (0.1, 0.13), size=(sims, 2)).tolist()
    return sum(
        holds(compare_proportions(Totals.of_rate(c, n), Totals.of_rate(t, n)), 0.03)
        for c, t in drawn
    )


def covered_lifts(rng: Rng, sims: int, n: int) -> int:
    """Fieller intervals of the lift of a skewed mean that hold it."""
    drawn = simulate.skewed(rng, sims, n)
    drawn[:, 1] *= 1.2
    return sum(
        holds_lift(compare_means(simulate.totals_of(c), simulate.totals_of(t)), 0.2)
        for c, t in drawn
    )


def covered_ratios(rng: Rng, sims: int, users: int) -> int:
    """Intervals of a difference of errors per request that hold it."""
    arms = ((_ratio_arm(rng, users, 0.05), _ratio_arm(rng, users, 0.07)) for _ in range(sims))
    return sum(holds(compare_ratios(control, treatment), 0.02) for control, treatment in arms)


def _ratio_arm(rng: Rng, users: int, error_rate: float) -> UnitMoments:
    return simulate.moments_so_far(*Requests().drawn(rng, (1, users), error_rate))[-1]


def covered_adjusted(rng: Rng, sims: int, n: int, remembered: float = 0.9) -> int:
    """CUPED intervals that hold the effect; a tenth of the units has no past."""
    return sum(holds(compare_adjusted(*_arms(rng, n, remembered)), EFFECT) for _ in range(sims))


def _arms(rng: Rng, n: int, remembered: float) -> tuple[Covaried, Covaried]:
    control, treatment = (_covaried(rng, n, remembered, effect) for effect in (0.0, EFFECT))
    return control, treatment


def _covaried(rng: Rng, n: int, remembered: float, effect: float) -> Covaried:
    y, x = simulate.remembered(rng, n, CORRELATION, effect)
    known = round(n * remembered)
    return Covaried(totals_of_pairs(y[:known], x[:known]), simulate.totals_of(y[known:]))


def adjusted_spread(rng: Rng, sims: int, n: int) -> Sums:
    """Σ and Σ² of the raw and of the adjusted difference, every unit with a past."""
    pairs = []
    for _ in range(sims):
        c, t = _arms(rng, n, 1.0)
        pairs.append(
            (compare_means(c.whole, t.whole).difference, compare_adjusted(c, t).difference)
        )
    found = np.array(pairs, dtype=float)
    return np.concatenate([found.sum(axis=0), (found**2).sum(axis=0)])


def variance_ratio(sums: Sums, sims: int) -> float:
    """Variance of the adjusted difference over that of the raw one."""
    raw, adjusted = sums[2:] - sums[:2] ** 2 / sims
    return float(adjusted / raw)


def covered_quantiles(rng: Rng, sims: int, users: int, clustered: bool) -> int:
    """Intervals of a difference of p95 latencies that hold it (none); ``clustered``: between
    buckets, as we do.
    """
    arms = (
        (_latency_arm(rng, users, clustered), _latency_arm(rng, users, clustered))
        for _ in range(sims)
    )
    return sum(holds(compare_quantiles(control, treatment), 0.0) for control, treatment in arms)


def _latency_arm(rng: Rng, users: int, clustered: bool) -> QuantileTotals:
    milliseconds, who = Latencies().drawn(rng, users)
    return two_passes(milliseconds, who % BUCKETS if clustered else np.arange(len(who)))


def two_passes(milliseconds: Values, clusters: Counts) -> QuantileTotals:
    """What a store does: a histogram of 1 ms bins gives q̂, then each cluster's rows at or below it
    are counted.
    """
    bins, counts = np.unique(np.floor(milliseconds), return_counts=True)
    histogram = Histogram(tuple((bins + 0.5).tolist()), tuple(counts.tolist()), 0, 1.0)
    hat = quantile_hat(histogram, P95)
    below = np.bincount(
        clusters[milliseconds <= (hat or 0.0)], minlength=int(clusters.max()) + 1
    ).astype(np.float64)
    rows = np.bincount(clusters).astype(np.float64)
    there = rows > 0
    return from_passes(histogram, P95, totals_of_pairs(below[there], rows[there]))


COVERS = Stated(0.9335, 0.9655, 2_000, LEVEL)

CHECKS = (
    Check(
        "cover-rate", "Newcombe's interval holds the true difference of rates", "95 %", rate(LEVEL),
        partial(covered_rates, n=800), sims=10_000, quick=1_000, piece=5_000,
    ),
    Check(
        "cover-lift", "Fieller's interval holds the true lift of a skewed mean", "95 %", COVERS,
        partial(covered_lifts, n=2_000), sims=2_000, quick=500, piece=500,
    ),
    Check(
        "cover-ratio", "the interval of errors per request holds the truth, users with many requests each", "95 %", COVERS,
        partial(covered_ratios, users=1_000), sims=2_000, quick=500, piece=500,
    ),
    Check(
        "cover-cuped", "the CUPED interval holds the effect, a tenth of the units without a past", "95 %", COVERS,
        partial(covered_adjusted, n=1_000), sims=2_000, quick=500, piece=500,
    ),
    Check(
        "cuped-variance", "variance left by CUPED at a correlation of .6: 1 − ρ²", "0.64", Around(1 - CORRELATION**2, 0.13, 2_000),
        partial(adjusted_spread, n=500), sims=2_000, quick=500, piece=500, read=variance_ratio,
    ),
    Check(
        "cover-p95", "the interval of p95 latency holds the truth, many requests a user", "95 %", Stated(0.93, 0.966, 2_000, LEVEL),
        partial(covered_quantiles, users=500, clustered=True), sims=2_000, quick=200, piece=100,
    ),
    Check(
        "cover-p95-rows", "danger: the same as if requests were independent", "72–79 %", Binomial(0.72, 0.79),
        partial(covered_quantiles, users=500, clustered=False), sims=2_000, quick=200, piece=100,
    ),
)  # fmt: skip
