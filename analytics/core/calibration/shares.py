"""Sample ratio mismatch: how often are shares called off that are as planned?"""

from __future__ import annotations

import math
from functools import partial

from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated, at_most
from analytics.core.calibration.simulate import Rng
from analytics.core.stats.srm import MASKING_FACTOR, RED_BELOW, check_shares, log_bayes_factor

LIMIT = math.log(MASKING_FACTOR)
WEIGHTS = (333, 334, 333)


def called_off(rng: Rng, sims: int, planned: tuple[int, ...] = WEIGHTS) -> int:
    """Experiments split as WEIGHTS say whose shares are red against the planned ones, looked at
    once.
    """
    counts = rng.multinomial(3_000, [w / sum(WEIGHTS) for w in WEIGHTS], size=sims)
    return sum(check_shares(row, planned).verdict == "red" for row in counts.tolist())


def masked_some_day(rng: Rng, sims: int, days: int) -> int:
    """Experiments of two equal arms whose Bayes factor masks results on some day."""
    counts = rng.multinomial(1_000, (0.5, 0.5), size=(sims, days)).cumsum(axis=1)
    return sum(
        any(log_bayes_factor(day, (1, 1)) > LIMIT for day in experiment)
        for experiment in counts.tolist()
    )


CHECKS = (
    Check(
        "srm", "shares as planned called off by χ² at a look (p < .001)", "0.1 %", Stated(0.00069, 0.00134, 100_000, RED_BELOW),
        called_off, sims=100_000, quick=10_000, piece=10_000,
    ),
    Check(
        "srm-sequential", "shares as planned masked by the Bayes factor on one of 28 days", "≤ 0.1 %", at_most(RED_BELOW),
        partial(masked_some_day, days=28), sims=5_000, quick=300, piece=250,
    ),
)  # fmt: skip
