"""Novelty: how often is a lasting effect said to wear off or to grow?"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated
from analytics.core.calibration.simulate import Rng, Values
from analytics.core.stats.exploring.novelty import contrasts, find_novelty

DAYS, EFFECT, MEMORY = 14, 0.3, 0.6
"""Days followed, the effect on each of them, and the correlation of a unit's days that follow each
other.
"""


def daily(rng: Rng, units: int, effect: float) -> Values:
    """Units × days: a level of each unit's own plus stationary AR(1) noise, around the effect."""
    noise = rng.standard_normal((units, DAYS))
    for day in range(1, DAYS):
        noise[:, day] = MEMORY * noise[:, day - 1] + np.sqrt(1 - MEMORY**2) * noise[:, day]
    return noise + rng.standard_normal((units, 1)) + effect


def said(rng: Rng, sims: int, units: int) -> int:
    """Experiments with a lasting effect that is said to change."""
    arms = (
        (contrasts(daily(rng, units, 0.0)), contrasts(daily(rng, units, EFFECT)))
        for _ in range(sims)
    )
    return sum(find_novelty(control, treatment).says is not None for control, treatment in arms)


CHECKS = (
    Check(
        "novelty", "a lasting effect is said to wear off or to grow, days of a unit correlated (AR 1)", "5 %",
        Stated(0.0345, 0.0665, 2_000, 0.05), partial(said, units=300), sims=2_000, quick=200, piece=500,
    ),
)  # fmt: skip
