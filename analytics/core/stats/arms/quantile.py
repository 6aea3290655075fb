"""Did a quantile over rows (the p95 of request latency) differ, when users make many requests?

Units are spread over buckets, and a bucket's rows go together: rows of one user are alike, so the
variance is taken between buckets. At the quantile q̂ the share of rows ≤ q̂ is a ratio of bucket
sums, with the delta method's error; the quantiles at level ± z·error bracket q̂, and their distance
gives its standard error (Woodruff). Arms are compared by t with Satterthwaite's degrees of freedom
over buckets less one an arm, which never exceed buckets − arms and equal it for arms alike.
Percentiles are never averaged.

A store needs two passes: the arm's histogram gives q̂, then the counts ≤ q̂ per bucket give the
error. Cannot say below 10 buckets an arm, with fewer than 10 rows expected on either side of the
quantile, or where q̂ or its bracket lies in the overflow bin. References: Woodruff 1952; Deng,
Knoblich and Lu 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr, stdtrit

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals, checked_count
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.mean import WelchT
from analytics.core.stats.arms.normal import t_as_z, two_sided_t_p, upper_quantile
from analytics.core.stats.exploring.estimates import IndependentEstimate, contrast, lift_of

FEWEST_CLUSTERS = 10
"""Below this many buckets with rows an arm, the variance between buckets is not worth a test."""
FEWEST_BEYOND = 10
"""Rows expected on the rarer side of the quantile, below which it is one of the last few rows."""
BRACKET = upper_quantile(0.025)
"""The quantiles that give q̂'s standard error lie this many standard errors of the share from the
level.
"""
METHOD = "quantile, clustered by bucket"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Rows by value: rising bin values with their counts, and the rows beyond the last bin
    (overflow, +∞).

    ``width`` is the bins' width in the metric's unit when values are middles of bins (1 for 1 ms
    bins): a quantile then lies inside its bin in proportion. 0 for exact values: a quantile is one
    of them.
    """

    values: tuple[float, ...]
    counts: tuple[int, ...]
    beyond: int = 0
    width: float = 0.0

    def __post_init__(self) -> None:
        values, counts = np.asarray(self.values, dtype=float), np.asarray(self.counts)
        if (
            values.shape != counts.shape
            or not np.isfinite(values).all()
            or (np.diff(values) <= 0).any()
        ):
            raise ImpossibleTotals(
                f"a histogram has one count for each of finite, rising values, found {len(values)} and {len(counts)}"
            )
        if counts.size and (counts.dtype.kind not in "iu" or (counts < 0).any()):
            raise ImpossibleTotals(
                "a histogram's counts are whole numbers of rows and not negative"
            )
        if not (math.isfinite(self.width) and self.width >= 0):
            raise ImpossibleTotals(
                f"a bin's width is finite and not negative, found {self.width!r}"
            )
        object.__setattr__(self, "values", tuple(values.tolist()))
        object.__setattr__(self, "counts", tuple(counts.tolist()))
        object.__setattr__(self, "beyond", checked_count(self.beyond))

    def __add__(self, other: Histogram) -> Histogram:
        if self.width != other.width:
            raise ImpossibleTotals(
                f"histograms with bins of {self.width:g} and {other.width:g} do not add"
            )
        rows = dict(zip(self.values, self.counts, strict=True))
        for value, count in zip(other.values, other.counts, strict=True):
            rows[value] = rows.get(value, 0) + count
        values = sorted(rows)
        return Histogram(
            tuple(values), tuple(rows[v] for v in values), self.beyond + other.beyond, self.width
        )

    @property
    def n(self) -> int:
        """All rows, those beyond the last bin included."""
        return sum(self.counts) + self.beyond

    def quantile(self, level: float) -> float | None:
        """The smallest value with at least this share of the rows at or below it; see
        ``quantiles``.
        """
        return self.quantiles([level])[0]

    def quantiles(self, levels: Sequence[float]) -> list[float | None]:
        """One quantile a level; None without rows, in the overflow bin, and at levels not inside
        (0, 1).
        """
        sums, n = np.cumsum(np.asarray(self.counts, dtype=float)), self.n
        return [self._at(sums, level * n) if 0 < level < 1 else None for level in levels]

    def _at(self, sums: np.ndarray[tuple[int], np.dtype[np.float64]], rank: float) -> float | None:
        # .55 of 100 rows is the 55th, although .55·100 is a little more than 55 in floats
        i = int(np.searchsorted(sums, rank * (1 - 1e-12)))
        if i >= len(sums):
            return None
        inside = (rank - (sums[i] - self.counts[i])) / self.counts[i] if self.width else 0.5
        return float(self.values[i] + (inside - 0.5) * self.width)


@dataclass(frozen=True, slots=True)
class QuantileTotals:
    """An arm's quantile with what its error is made of; numbers only, so it can be stored.

    ``n`` rows, ``beyond`` of them in the overflow bin; ``value`` is q̂ (None in the overflow bin or
    without rows); ``low`` and ``high`` are the quantiles at level ± z·sd of the clustered share,
    None where there is no such quantile. ``clusters``: one per bucket with rows, y = rows ≤ q̂, x =
    rows. ``units``: how many units the rows are of; clocks and floors count those. Not additive:
    add histograms, and count again.
    """

    level: float
    n: int
    value: float | None
    low: float | None
    high: float | None
    clusters: Totals
    beyond: int = 0
    units: int = 0

    def __post_init__(self) -> None:
        checked_quantile(self.level)
        object.__setattr__(self, "n", checked_count(self.n))
        object.__setattr__(self, "beyond", checked_count(self.beyond))
        object.__setattr__(self, "units", checked_count(self.units))
        known = [v for v in (self.low, self.value, self.high) if v is not None]
        if (
            not all(math.isfinite(v) for v in known)
            or known != sorted(known)
            or self.beyond > self.n
        ):
            raise ImpossibleTotals(
                f"a quantile is finite and lies between its bracket, found {self}"
            )

    @property
    def share_sd(self) -> float | None:
        """Standard error of the share of rows ≤ q̂, between buckets."""
        return clustered_sd(self.clusters)

    @property
    def sd(self) -> float | None:
        """Standard error of q̂ in the metric's unit; None where its bracket is not known."""
        return (
            None
            if self.low is None or self.high is None
            else (self.high - self.low) / (2 * BRACKET)
        )

    @property
    def estimate(self) -> IndependentEstimate | None:
        """q̂ as an estimate with buckets − 1 degrees of freedom."""
        sd = self.sd
        if self.value is None or sd is None or self.clusters.n < 2:
            return None
        return IndependentEstimate(self.value, sd**2, self.clusters.n - 1)


def checked_quantile(level: float) -> float:
    """A quantile's level strictly between 0 and 1, or a refusal."""
    if not 0 < level < 1:
        raise ImpossiblePlan(
            f"a quantile's level lies between 0 and 1 (exclusive; .95, not 95), found {level!r}"
        )
    return level


def quantile_hat(histogram: Histogram, level: float) -> float | None:
    """q̂ of the first pass: the threshold that the second pass counts rows at or below."""
    return histogram.quantile(checked_quantile(level))


def clustered_sd(clusters: Totals) -> float | None:
    """Standard error of the share Σy/Σx over clusters, by the delta method; None below two clusters
    or without x.
    """
    n, x = clusters.n, clusters.sum_x
    if n < 2 or x is None or not x > 0:
        return None
    share = clusters.sum_y / x
    # Residuals y − share·x sum to zero, so their squares are those about the means.
    squares = clusters.centred.square({0: 1.0, 1: -share})
    return math.sqrt(max(squares, 0.0) * n / (n - 1)) / x


def from_passes(
    histogram: Histogram, level: float, clusters: Totals, units: int = 0
) -> QuantileTotals:
    """An arm's totals from both passes; refuses clusters that hold other rows than the
    histogram.
    """
    value, n = quantile_hat(histogram, level), histogram.n
    rows = clusters.sum_x or 0.0
    if round(rows) != n or clusters.sum_y > rows or clusters.sum_y < 0:
        raise ImpossibleTotals(
            f"both passes count the same rows: the histogram has {n}, the clusters {rows:g} with {clusters.sum_y:g} at or below q̂"
        )
    sd = clustered_sd(clusters)
    if value is None or sd is None:
        return QuantileTotals(level, n, value, None, None, clusters, histogram.beyond, units)
    low, high = histogram.quantiles([level - BRACKET * sd, level + BRACKET * sd])
    return QuantileTotals(level, n, value, low, high, clusters, histogram.beyond, units)


def of_rows(
    values: Sequence[float], clusters: Sequence[int] | None, level: float, limit: float = math.inf
) -> QuantileTotals:
    """Totals of rows, for tests and notebooks; values above ``limit`` (and +∞) overflow; clusters
    None: every row is one.
    """
    rows = np.asarray(values, dtype=float)
    if np.isnan(rows).any():
        raise ImpossibleTotals(
            "a row's value is a number or +∞ (not there by the window's end), found NaN"
        )
    inside = rows[(rows <= limit) & np.isfinite(rows)]
    bins, counts = np.unique(inside, return_counts=True)
    histogram = Histogram(tuple(bins.tolist()), tuple(counts.tolist()), len(rows) - len(inside))
    hat = quantile_hat(histogram, level)
    keys = (
        np.arange(len(rows))
        if clusters is None
        else np.unique(np.asarray(clusters), return_inverse=True)[1]
    )
    if len(keys) != len(rows):
        raise ImpossibleTotals(f"{len(rows)} rows but {len(keys)} clusters: every row lies in one")
    below = np.zeros(len(rows)) if hat is None else (rows <= hat).astype(float)
    return from_passes(
        histogram,
        level,
        _cluster_totals(keys, below)
        if len(rows)
        else replace(NOTHING, sum_x=0.0, sum_x2=0.0, sum_xy=0.0),
    )


def quantile_t(
    control: QuantileTotals, treatment: QuantileTotals, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """q̂_T − factor·q̂_C − shift with its t; None wherever ``why_not`` has a reason, or without
    spread.
    """
    if why_not(control, treatment) is not None:
        return None
    c, t = control.estimate, treatment.estimate
    return None if c is None or t is None else contrast(c, t, factor, shift)


def why_not(control: QuantileTotals, treatment: QuantileTotals) -> str | None:
    """Why two arms' quantiles cannot be compared, or None when they can."""
    if control.level != treatment.level:
        raise ImpossiblePlan(
            f"quantiles of one level are compared, found {control.level!r} and {treatment.level!r}"
        )
    for name, arm in (("control", control), ("treatment", treatment)):
        reason = _why_not_arm(name, arm)
        if reason is not None:
            return reason
    return None


def compare_quantiles(
    control: QuantileTotals, treatment: QuantileTotals, alpha: float = 0.05
) -> Comparison:
    """Treatment's quantile against control's, in the metric's unit; ``control_n`` are rows,
    ``control_mean`` is q̂.
    """
    checked_level(alpha)
    bare = Comparison(METHOD, control.n, treatment.n, control.value, treatment.value)
    reason = why_not(control, treatment)
    if reason is not None:
        return replace(bare, reason=reason)
    c, t, found = control.estimate, treatment.estimate, quantile_t(control, treatment)
    if c is None or t is None or found is None:
        return replace(
            bare,
            reason="no spread around the quantile in either arm: a standard error cannot be estimated",
        )
    lift, lift_ci, lift_reason = lift_of(c, t, alpha)
    half = float(-stdtrit(found.df, alpha / 2)) * found.se
    return replace(
        bare,
        difference=found.difference,
        ci=Interval(found.difference - half, found.difference + half, 1 - alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=two_sided_t_p(found.t, found.df),
        z=t_as_z(found.t, found.df),
        se=found.se,
        df=found.df,
    )


def order_interval(
    values: Sequence[float], level: float, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """(low, high) order statistics that hold one sample's quantile with at least this confidence;
    independent rows only.

    The ranks are the exact binomial's (Conover 1999); None for an end that no row of the sample can
    bound.
    """
    rows = np.sort(np.asarray(values, dtype=float))
    n, tail = len(rows), checked_level(1 - confidence) / 2
    below = bdtr(np.arange(n + 1, dtype=float), n, checked_quantile(level))
    first, last = int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail))
    low = float(rows[first - 1]) if first >= 1 else None
    return low, float(rows[last]) if last < n else None


def _cluster_totals(
    keys: np.ndarray[tuple[int], np.dtype[np.int64]],
    below: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Totals:
    """Per cluster y = rows at or below q̂, x = rows."""
    y, x = np.bincount(keys, weights=below), np.bincount(keys).astype(float)
    return Totals(len(x), float(y.sum()), float(y @ y), float(x.sum()), float(x @ x), float(x @ y))


def _why_not_arm(name: str, arm: QuantileTotals) -> str | None:
    tail = min(arm.level, 1 - arm.level)
    if arm.clusters.n < FEWEST_CLUSTERS:
        return f"{name} has rows in {arm.clusters.n} buckets; below {FEWEST_CLUSTERS} an arm nothing can be said"
    if arm.n * tail * (1 + 1e-9) < FEWEST_BEYOND:
        return f"{name} has {arm.n} rows; a quantile of {arm.level:g} needs {math.ceil(FEWEST_BEYOND / tail * (1 - 1e-9))}"
    if arm.value is None:
        return f"{name}'s quantile lies in the overflow bin, with {arm.beyond} of {arm.n} rows"
    if arm.low is None or arm.high is None:
        return f"{name}'s quantile lies too near the edge of what was recorded for its error to be known"
    return None
