"""Standard errors of least squares when rows of a cluster are not independent.

Question: how far off may a coefficient be, if only clusters are independent of each other? CR1 is
the sandwich with the factor G/(G−1)·(n−1)/(n−k) and t on G − 1 degrees of freedom: too small with
few clusters. CR2 inflates each cluster's residuals by (I − H_gg)^(−1/2), so that it is unbiased
when rows are independent with one variance, and its t has Satterthwaite's degrees of freedom under
the same working model, which fall where leverage sits in few clusters. Fixed effects of clusters
may be swept out beforehand: they change neither CR2 nor its degrees of freedom (only CR1's k).
References: Bell and McCaffrey 2002; Pustejovsky and Tipton 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.normal import two_sided_t_p
from analytics.core.stats.did.panel import Floats

RANK_TOLERANCE = 1e-10
"""Eigenvalues of I − H_gg below this are directions that the model fits exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """What depends on the design alone: columns x (n × k) with rows sorted by cluster.

    ``starts`` are the clusters' first rows. ``influence`` is x(x'x)⁻¹: its column j times y is
    coefficient j. ``adjusted`` is the same with each cluster's rows multiplied by (I −
    H_gg)^(−1/2). ``cr1`` is the small-sample factor.
    """

    x: Floats
    starts: NDArray[np.intp]
    bread: Floats
    influence: Floats
    adjusted: Floats
    cr1: float

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return len(self.starts)

    def residuals(self, y: Floats) -> Floats:
        """What the columns leave of y."""
        return y - self.x @ (self.influence.T @ y)

    def per_cluster(self, rows: Floats) -> Floats:
        """Sums over each cluster's rows."""
        return np.add.reduceat(rows, self.starts, axis=0)

    def identified(self, column: int) -> bool:
        """Whether the rows can tell this column's coefficient from the others' at all."""
        unit = np.zeros(self.x.shape[1])
        unit[column] = 1.0
        return bool(np.allclose(self.bread @ (self.x.T @ self.x[:, column]), unit, atol=1e-8))


@dataclass(frozen=True, slots=True)
class ClusteredCoefficient:
    """One coefficient with its standard error, t and degrees of freedom; p is two-sided against 0.

    ``se`` None: the residuals leave no spread to estimate it from.
    """

    value: float
    se: float | None
    df: float

    @property
    def t(self) -> float | None:
        """The statistic against 0."""
        return None if self.se is None else self.value / self.se

    @property
    def p(self) -> float | None:
        """The two-sided p of t on df."""
        return None if self.t is None else two_sided_t_p(self.t, self.df)

    def interval(self, alpha: float) -> Interval | None:
        """value ± t quantile · se."""
        if self.se is None:
            return None
        half = float(-stdtrit(self.df, alpha / 2)) * self.se
        return Interval(self.value - half, self.value + half, 1 - alpha)


def sandwich(
    x: Floats, clusters: Sequence[object] | NDArray[np.generic], *, absorbed: int = 0
) -> Sandwich:
    """The design's half of every clustered variance. Rows of a cluster stand together; ``absorbed``
    columns were swept out.
    """
    starts = _starts(clusters, len(x))
    bread = inverse_square(x)
    influence = x @ bread
    n, k, g = len(x), int(np.linalg.matrix_rank(x)) + absorbed, len(starts)
    cr1 = g / (g - 1) * (n - 1) / (n - k) if g > 1 and n > k else float("nan")
    return Sandwich(x, starts, bread, influence, _adjusted(x, influence, starts), cr1)


def inverse_square(x: Floats) -> Floats:
    """(x'x)⁻¹, or its pseudo-inverse where columns repeat each other (period dummies do, region
    means swept out).
    """
    inverse: Floats = np.linalg.pinv(x.T @ x, rcond=1e-12, hermitian=True).astype(np.float64)
    return inverse


def cr1(design: Sandwich, y: Floats, column: int) -> ClusteredCoefficient:
    """The coefficient with CR1 and t on G − 1."""
    scores = design.per_cluster(design.influence[:, column] * design.residuals(y))
    se = _root(design.cr1 * float(scores @ scores), y, design, column)
    return ClusteredCoefficient(float(design.influence[:, column] @ y), se, design.clusters - 1)


def cr2(design: Sandwich, y: Floats, column: int) -> ClusteredCoefficient:
    """The coefficient with CR2 and Satterthwaite's t."""
    scores = design.per_cluster(design.adjusted[:, column] * design.residuals(y))
    se = _root(float(scores @ scores), y, design, column)
    return ClusteredCoefficient(
        float(design.influence[:, column] @ y), se, satterthwaite(design, column)
    )


def satterthwaite(design: Sandwich, column: int) -> float:
    """Degrees of freedom of CR2's t: tr(Γ)²/ΣΓ², Γ the covariance of the cluster scores under
    independent rows.
    """
    z = design.adjusted[:, column]
    own, v = design.per_cluster(z * z), design.per_cluster(z[:, None] * design.x)
    # Γ = diag(own) − V·bread·V', whose trace and squares need no clusters × clusters table
    spread = v.T @ v @ design.bread
    leverage = ((v @ design.bread) * v).sum(axis=1)
    square = float((own**2).sum() - 2 * (own * leverage).sum() + np.trace(spread @ spread))
    return float((own.sum() - leverage.sum()) ** 2 / square) if square > 0 else 0.0


def _root(variance: float, y: Floats, design: Sandwich, column: int) -> float | None:
    """The standard error; None where it is nothing but rounding of y's own size."""
    noise = (
        1e-12 * float(np.abs(y).max(initial=0.0)) * float(np.abs(design.influence[:, column]).sum())
    )
    return float(np.sqrt(variance)) if np.isfinite(variance) and variance > noise**2 else None


def _starts(clusters: Sequence[object] | NDArray[np.generic], n: int) -> NDArray[np.intp]:
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(codes) != n or n == 0:
        raise ImpossibleTotals(f"{n} rows but {len(codes)} cluster labels")
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    if len(starts) != codes.max() + 1:
        raise ImpossibleTotals("rows of a cluster stand apart; sort them by cluster first")
    return starts


def _adjusted(x: Floats, influence: Floats, starts: NDArray[np.intp]) -> Floats:
    """Each cluster's rows of the influence, times the root of the pseudo-inverse of I − H_gg; equal
    sizes in one go.
    """
    sizes = np.diff(np.r_[starts, len(x)])
    out = np.empty_like(influence)
    for size in np.unique(sizes):
        rows = starts[sizes == size][:, None] + np.arange(size)
        blocks, half = x[rows], influence[rows]
        values, vectors = np.linalg.eigh(np.eye(size) - half @ blocks.transpose(0, 2, 1))
        kept = values > RANK_TOLERANCE
        roots = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
        out[rows] = vectors @ (roots[:, :, None] * (vectors.transpose(0, 2, 1) @ half))
    return out
