"""Geo pilots: how often does difference-in-differences find an effect of nothing, with few regions
and shocks that last?
"""

from __future__ import annotations

from functools import partial

from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated
from analytics.core.calibration.simulate import Rng
from analytics.core.stats.did.simulation import false_positives

FALSE = Stated(0.0345, 0.0665, 2_000, 0.05)


def found(rng: Rng, sims: int, regions: int, treated: int) -> int:
    """Panels with AR(1) shocks and no effect whose decision p is at most .05."""
    return false_positives(sims, int(rng.integers(2**63)), regions=regions, treated=treated)


CHECKS = (
    Check(
        "did-8", "difference-in-differences of nothing, 4 of 8 regions treated, lasting shocks: p ≤ .05", "5 %", FALSE,
        partial(found, regions=8, treated=4), sims=2_000, quick=50, piece=50,
    ),
    Check(
        "did-10", "the same with 5 of 10 regions", "5 %", FALSE,
        partial(found, regions=10, treated=5), sims=2_000, quick=100, piece=100,
    ),
)  # fmt: skip
