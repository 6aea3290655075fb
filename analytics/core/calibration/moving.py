"""Bandits: does the interval hold the truth although the split followed the data, and rates moved
from batch to batch?
"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated
from analytics.core.calibration.simulate import Counts, Rng
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.batch import ManyTotals
from analytics.core.stats.exploring.bandit import BanditPlan, BanditResult, conclude, next_splits

PLAN = BanditPlan(arms=3)
UNITS = 4_000
"""Of one batch."""
BETTER = np.array([0.0, 0.0, 0.02])
"""What each arm adds to the rate of the batch."""
RATES = 0.15 + 0.10 * np.arange(PLAN.batches) / (PLAN.batches - 1)
"""The batch's own rate: it rises while the split moves, so that pooled means would mislead."""


def served(rng: Rng, sims: int) -> tuple[Counts, Counts]:
    """(units, yes units) by simulation, batch and arm, each batch split as the bandit says after
    those before it.
    """
    n = np.zeros((sims, 0, PLAN.arms), dtype=np.int64)
    x = n.copy()
    for rate in RATES:
        shares, _ = (
            next_splits(PLAN, ManyTotals.of_rates(x, n))
            if n.shape[1]
            else (np.full((sims, PLAN.arms), 1 / PLAN.arms), None)
        )
        units = rng.multinomial(UNITS, shares)
        n, x = (
            np.concatenate([n, units[:, None]], axis=1),
            np.concatenate([x, rng.binomial(units, rate + BETTER)[:, None]], axis=1),
        )
    return n, x


def covered(rng: Rng, sims: int, arm: int) -> int:
    """Experiments whose interval of one arm's effect holds the true one at the planned end."""
    units, events = (part.tolist() for part in served(rng, sims))
    found = (_concluded(n, x, arm) for n, x in zip(units, events, strict=True))
    return sum(result.ci is not None and result.ci.holds(float(BETTER[arm])) for result in found)


def _concluded(units: list[list[int]], events: list[list[int]], arm: int) -> BanditResult:
    batches = [
        [Totals.of_rate(x, n) for x, n in zip(*batch, strict=True)]
        for batch in zip(events, units, strict=True)
    ]
    return conclude(PLAN, batches, arm)


COVERS = Stated(0.9335, 0.9655, 2_000, 0.95)

CHECKS = (
    Check(
        "bandit-best", "the bandit's interval of the best arm's effect holds it, split and rates moving", "95 %", COVERS,
        partial(covered, arm=2), sims=2_000, quick=200, piece=250,
    ),
    Check(
        "bandit-same", "the same of an arm like control, which the split starves", "95 %", COVERS,
        partial(covered, arm=1), sims=2_000, quick=200, piece=250,
    ),
)  # fmt: skip
