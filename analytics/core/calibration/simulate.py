"""Experiments whose truth is known: the raw material of calibration. Nothing here is a statistic.

Arms stand in the last dimension, control first; simulations in the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.core.totals import Totals

Rng = np.random.Generator
Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def events(rng: Rng, sims: int, days: int, per_day: int, rates: tuple[float, ...]) -> Counts:
    """Yes units so far of each arm at the end of each day (sims × days × arms), ``per_day`` new units an arm and day."""
    return rng.binomial(per_day, rates, size=(sims, days, len(rates))).cumsum(axis=1)


def skewed(rng: Rng, sims: int, n: int, arms: int = 2) -> Values:
    """One skewed value a unit, as of money (sims × arms × n): log-normal, mean 1.65, coefficient of variation 1.3."""
    return rng.lognormal(0.0, 1.0, size=(sims, arms, n))


def growing(rng: Rng, sims: int, n: int, days: int, per_day: float, arms: int = 2) -> Counts:
    """What n units, all there from the first day, have done by the end of each day (sims × days × arms × n)."""
    return rng.poisson(per_day, size=(sims, days, arms, n)).cumsum(axis=1)


def totals_of(values: Values | Counts) -> Totals:
    """Totals of one arm's values."""
    wide = values.astype(float)
    return Totals(len(wide), float(wide.sum()), float(wide @ wide))
