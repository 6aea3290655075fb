"""What would the difference be if every arm had the same mix of strata? Σ w_k Δ_k over strata.

Strata (country, plan, platform) must be known before a unit's first exposure: what treatment can
change is no stratum. w_k is the stratum's share of all units, Var = Σ w_k²(s²_T/n_T + s²_C/n_C); t
on Satterthwaite's degrees of freedom, z for rates. Strata with fewer than two units in an arm have
no variance and are merged (named in the result). Shares may be taken for known, or for sampled:
then the result speaks of the population that sends the units, and the spread of the effects between
strata adds (Σ w_k Δ_k² − Δ²)/N. Cannot say below 10 units an arm. References: Miratrix, Sekhon and
Yu 2013; Satterthwaite 1946; Xie and Aurisset 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.mean import correlated_fieller, lift_of, why_not
from analytics.core.stats.arms.normal import t_as_z, two_sided_t_p

FEWEST_IN_STRATUM = 2
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Both arms' totals of one stratum."""

    key: str
    control: Totals
    treatment: Totals

    @property
    def n(self) -> int:
        return self.control.n + self.treatment.n

    @property
    def smallest(self) -> int:
        """Units of the smaller arm."""
        return min(self.control.n, self.treatment.n)


@dataclass(frozen=True, slots=True)
class Stratified:
    """The weighted comparison, the strata it used with their shares, and which of the given ones
    were merged.
    """

    comparison: Comparison
    strata: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    merged: tuple[str, ...] = ()
    relative_se: float | None = None


@dataclass(frozen=True, slots=True)
class _Weighted:
    """Weighted means, and the covariance of (control's mean, treatment's mean)."""

    mean_c: float
    mean_t: float
    covariance: Array

    @property
    def variance(self) -> float:
        return float(self.covariance[0, 0] + self.covariance[1, 1] - 2 * self.covariance[0, 1])


def post_stratify(
    strata: Sequence[Stratum],
    alpha: float = 0.05,
    *,
    kind: Literal["mean", "proportion"] = "mean",
    shares: Literal["known", "sampled"] = "known",
    degrees: Literal["satterthwaite", "pooled"] = "satterthwaite",
) -> Stratified:
    """Treatment against control over strata; the lift is the ratio of the weighted means − 1, with
    Fieller's interval.

    ``degrees`` "pooled" is N − 2·strata, as estimatr has it: too many where arms are uneven; for
    comparison.
    """
    checked_level(alpha)
    used, merged = merge(strata)
    control = sum((s.control for s in used), NOTHING)
    treatment = sum((s.treatment for s in used), NOTHING)
    bare = Comparison("post-stratified", control.n, treatment.n, control.mean, treatment.mean)
    reason = why_not(control, treatment)
    if reason is not None:
        return Stratified(replace(bare, reason=reason), merged=merged)
    weights = np.array([s.n for s in used], dtype=float) / (control.n + treatment.n)
    weighted = _weighted(used, weights, kind, shares)
    keys, shown = tuple(s.key for s in used), tuple(weights.tolist())
    if not weighted.variance > 0:
        return Stratified(
            replace(bare, reason="no spread in any stratum: a standard error cannot be estimated"),
            keys,
            shown,
            merged,
        )
    pooled = float(control.n + treatment.n - 2 * len(used))
    own = pooled if degrees == "pooled" else _degrees(used, weights, weighted.variance)
    df = math.inf if kind == "proportion" else own
    compared = _compared(bare, weighted, df, alpha)
    return Stratified(compared, keys, shown, merged, _relative_se(weighted))


def merge(strata: Sequence[Stratum]) -> tuple[list[Stratum], tuple[str, ...]]:
    """(usable strata in the order of their keys, keys that were merged).

    Strata with fewer than two units in an arm become one, named "a + b"; should that still be too
    small, it takes in the smallest of the others (of equal ones the first by key), until it is
    large enough or stands alone. Empty strata vanish.
    """
    keys = [s.key for s in strata]
    if len(set(keys)) != len(keys):
        raise ImpossibleTotals(f"strata are disjoint and named once, found {sorted(keys)}")
    filled = sorted((s for s in strata if s.n), key=lambda s: s.key)
    small = [s for s in filled if s.smallest < FEWEST_IN_STRATUM]
    large = [s for s in filled if s.smallest >= FEWEST_IN_STRATUM]
    while small and large and _joined(small).smallest < FEWEST_IN_STRATUM:
        nearest = min(large, key=lambda s: (s.n, s.key))
        small.append(nearest)
        large.remove(nearest)
    if len(small) < 2:
        return large + small, ()
    joined = _joined(small)
    return sorted([*large, joined], key=lambda s: s.key), tuple(sorted(s.key for s in small))


def _joined(strata: Sequence[Stratum]) -> Stratum:
    return Stratum(
        " + ".join(sorted(s.key for s in strata)),
        sum((s.control for s in strata), NOTHING),
        sum((s.treatment for s in strata), NOTHING),
    )


def _weighted(strata: Sequence[Stratum], weights: Array, kind: str, shares: str) -> _Weighted:
    means = np.array([[s.control.mean, s.treatment.mean] for s in strata], dtype=float).T
    errors = np.array([[_error(s.control, kind), _error(s.treatment, kind)] for s in strata]).T
    covariance = np.diag((weights**2 * errors).sum(axis=1))
    if shares == "sampled":
        centred = means - (means @ weights)[:, None]
        covariance = covariance + (weights * centred) @ centred.T / sum(s.n for s in strata)
    mean_c, mean_t = (means @ weights).tolist()
    return _Weighted(mean_c, mean_t, covariance)


def _error(totals: Totals, kind: str) -> float:
    """The squared standard error of one arm's mean in one stratum: p(1 − p)/n of rates, else
    s²/n.
    """
    if kind == "proportion":
        rate = totals.events / totals.n
        return rate * (1 - rate) / totals.n
    return (totals.variance or 0.0) / totals.n


def _degrees(strata: Sequence[Stratum], weights: Array, variance: float) -> float:
    """Satterthwaite's, over every arm of every stratum; what the strata's shares add has N − 1."""
    arms = [
        (w * w * (arm.variance or 0.0) / arm.n, arm.n - 1)
        for s, w in zip(strata, weights.tolist(), strict=True)
        for arm in (s.control, s.treatment)
    ]
    rest = max(0.0, variance - math.fsum(part for part, _ in arms))
    parts = [*arms, (rest, sum(s.n for s in strata) - 1)]
    return 1 / math.fsum((part / variance) ** 2 / df for part, df in parts if part > 0)


def _compared(bare: Comparison, weighted: _Weighted, df: float, alpha: float) -> Comparison:
    difference, se = weighted.mean_t - weighted.mean_c, math.sqrt(weighted.variance)
    q, t = float(-stdtrit(df, alpha / 2)), difference / se
    (v_c, v_ct), (_, v_t) = weighted.covariance.tolist()
    ratio = correlated_fieller(weighted.mean_c, weighted.mean_t, v_c, v_t, v_ct, df=df, alpha=alpha)
    lift, lift_ci, lift_reason = lift_of(weighted.mean_c, weighted.mean_t, ratio)
    return replace(
        bare,
        control_mean=weighted.mean_c,
        treatment_mean=weighted.mean_t,
        difference=difference,
        ci=Interval(difference - q * se, difference + q * se, 1 - alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=two_sided_t_p(t, df),
        z=t_as_z(t, df),
        se=se,
        df=None if math.isinf(df) else df,
    )


def _relative_se(weighted: _Weighted) -> float | None:
    """The delta method's standard error of the lift; None for a control mean ≤ 0."""
    if not weighted.mean_c > 0:
        return None
    slope = np.array([-weighted.mean_t / weighted.mean_c, 1.0]) / weighted.mean_c
    return math.sqrt(float(slope @ weighted.covariance @ slope))
