"""Does an effect differ between segments that were named before the experiment began?

Each segment is compared with control by itself; Benjamini–Hochberg over segments. Whether the
segments differ from each other is another question, and the only one that allows "it works for A
but not for B": Cochran's Q of the effects against their pooled mean, I² (the share of spread that
is not noise), τ² (DerSimonian–Laird), and the pooled effect with fixed and random weights. Segments
must not overlap and must not be chosen after looking. Exploratory: decides nothing. References:
Cochran 1954; DerSimonian and Laird 1986; Higgins and Thompson 2002.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.stats.arms.comparison import Comparison, checked_level
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.multiplicity import benjamini_hochberg
from experiments.core.figures import positive_p

T = TypeVar("T")
Compare = Callable[[T, T, float], Comparison]
"""Two arms' totals in a metric kind's form, and a level."""


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Q on ``df`` degrees of freedom with its p; ``i2`` between 0 and 1; effects pooled with fixed
    and random weights.

    Everything is None, with a ``reason``, below two effects.
    """

    df: int
    q: float | None = None
    p: float | None = None
    i2: float | None = None
    tau2: float | None = None
    fixed: float | None = None
    fixed_se: float | None = None
    random: float | None = None
    random_se: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """One segment's comparison and its p adjusted over all segments asked about."""

    key: str
    comparison: Comparison
    adjusted_p: float | None


@dataclass(frozen=True, slots=True)
class Segments:
    """All segments, and whether they differ. ``left_out`` names those that could not say and take
    no part in Q.
    """

    segments: tuple[SegmentEffect, ...]
    heterogeneity: Heterogeneity
    left_out: tuple[str, ...]


def compare_segments(
    segments: Mapping[str, tuple[T, T]],
    alpha: float = 0.05,
    compare: Compare[T] = compare_means,  # type: ignore[assignment]  # the default is of Totals, as most metrics are
) -> Segments:
    """(control, treatment) totals of every declared segment, in the declared order; ``compare`` is
    the metric kind's comparison.
    """
    checked_level(alpha)
    found = {
        key: compare(control, treatment, alpha) for key, (control, treatment) in segments.items()
    }
    adjusted = benjamini_hochberg([c.p for c in found.values()])
    known = [(c.difference, c.se) for c in found.values() if c.difference is not None and c.se]
    return Segments(
        tuple(
            SegmentEffect(key, c, p) for (key, c), p in zip(found.items(), adjusted, strict=True)
        ),
        heterogeneity([d for d, _ in known], [se * se for _, se in known]),
        tuple(key for key, c in found.items() if c.difference is None or not c.se),
    )


def heterogeneity(
    effects: Sequence[float], variances: Sequence[float], *, cut_at_zero: bool = True
) -> Heterogeneity:
    """Q, I², τ² and pooled effects of independent estimates with known variances.

    I² and τ² below 0 (less spread than noise alone makes) are put at 0; ``cut_at_zero`` off leaves
    the moment estimates as they are, as some packages print them.
    """
    d, v = np.array(effects, dtype=float), np.array(variances, dtype=float)
    if d.shape != v.shape or not (
        np.all(np.isfinite(d)) and np.all(np.isfinite(v)) and np.all(v > 0)
    ):
        raise ImpossibleTotals(
            f"every effect is finite and has a variance above 0, found {list(effects)} and {list(variances)}"
        )
    df = max(len(d) - 1, 0)
    if df == 0:
        return Heterogeneity(
            df, reason=f"{len(d)} segments can say: whether segments differ needs two"
        )
    scale = float(
        v.min()
    )  # weights of at most 1: tiny variances squared would leave the range of floats
    w = scale / v
    fixed = float(w @ d / w.sum())
    q = float(w @ (d - fixed) ** 2) / scale
    least = 0.0 if cut_at_zero else -math.inf
    tau2 = max(least, (q - df) * scale / float(w.sum() - w @ w / w.sum()))
    random, random_se = _pooled(d, v + tau2)
    return Heterogeneity(
        df=df,
        q=q,
        p=positive_p(float(chdtrc(df, q))),
        i2=max(least, 1 - df / q) if q > 0 else 0.0,
        tau2=tau2,
        fixed=fixed,
        fixed_se=math.sqrt(scale / float(w.sum())),
        random=random,
        random_se=random_se,
    )


def _pooled(
    effects: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """The inverse-variance mean and its standard error; None where a variance is not above 0 (τ²
    not cut at 0).
    """
    if not np.all(variances > 0):
        return None, None
    w = 1 / variances
    return float(w @ effects / w.sum()), math.sqrt(1 / float(w.sum()))
