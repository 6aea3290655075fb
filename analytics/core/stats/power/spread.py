"""The standard deviation that one unit contributes, so that every kind of metric is planned like a
mean.

For each kind: σ such that the arm's estimate has the standard error σ/√n over n units. Of a ratio
that is the standard deviation of linearised unit values; of a quantile √(q(1 − q))/f(q̂) times what
clustering of rows within units costs, or what an earlier experiment measured. None where the
numbers cannot say. References: Deng, Knoblich and Lu 2018; Serfling 1980, section 2.3.
"""

from __future__ import annotations

import math

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.ratio import linearised


def ratio_sd(moments: UnitMoments) -> float | None:
    """Of one unit of ΣY/ΣX: the standard deviation of (y − R·d)/d̄; variables ``y`` and ``d``."""
    totals = linearised(moments)
    variance = None if totals is None else totals.variance
    return math.sqrt(variance) if variance else None


def correlation(totals: Totals) -> float | None:
    """ρ between a value and its companion (CUPED leaves 1 − ρ² of the variance); None without
    spread in either.
    """
    if totals.n < 2 or totals.sum_x is None:
        return None
    yy, xx, xy = (totals.centred.at(*pair) for pair in ((0, 0), (1, 1), (0, 1)))
    if not (yy > 0 and xx > 0):
        return None
    return max(-1.0, min(1.0, xy / math.sqrt(yy) / math.sqrt(xx)))


def quantile_sd(level: float, density: float, design_effect: float = 1.0) -> float:
    """Of one row (or of one unit, with the design effect of its rows) of a quantile: √(q(1 −
    q)·deff)/f, f the density at it.
    """
    _check_level(level)
    if not (
        math.isfinite(density)
        and density > 0
        and math.isfinite(design_effect)
        and design_effect > 0
    ):
        raise ImpossiblePlan(
            f"density and design effect are above 0, found {density!r} and {design_effect!r}"
        )
    return math.sqrt(level * (1 - level) * design_effect) / density


def density_between(low: float, high: float, mass: float) -> float:
    """The density around a quantile from two neighbours: ``mass`` of the rows lie between ``low``
    and ``high``.

    The quartiles (mass .5) serve for a median, the 90 and 99 % quantiles (mass .09) for a p95.
    """
    if not (math.isfinite(low) and math.isfinite(high) and high > low and 0 < mass < 1):
        raise ImpossiblePlan(
            f"two values that rise and the share of rows between them, found {low!r}, {high!r} and {mass!r}"
        )
    return mass / (high - low)


def sd_from_se(se: float, units: float) -> float:
    """Of one unit, from the standard error that so many units had: se·√n. For any kind of
    metric.
    """
    if not (math.isfinite(se) and se > 0 and math.isfinite(units) and units > 0):
        raise ImpossiblePlan(
            f"a standard error and its units are above 0, found {se!r} and {units!r}"
        )
    return se * math.sqrt(units)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ImpossiblePlan(
            f"a quantile's level lies between 0 and 1 (.95, not 95), found {level!r}"
        )
