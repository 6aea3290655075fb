"""The sequential test that stops harmful arms: how often does it stop a harmless one, and how
surely a harmful one?
"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated, Within, at_most, rate
from analytics.core.calibration.simulate import Rng
from analytics.core.stats.sequential.sprt import SprtPlan, watch_many

PLAN = SprtPlan(guardrails=5)
"""Five guardrails on one arm: α = .01 each."""
PLAIN = SprtPlan()
HORIZON = 6_000
"""Units with a bad event, in both arms together."""
HOURS, USERS_AN_HOUR = 28 * 24, 300


def stopped(rng: Rng, sims: int, theta: float) -> int:
    """Experiments that are stopped within the horizon at this rate ratio, watched event by
    event.
    """
    return int(watch_many(PLAN, *_events(rng, sims, theta)).crossed.sum())


def stopped_by_plain_form(rng: Rng, sims: int, theta: float) -> int:
    """The same if the likelihood ratio alone could stop, for one guardrail with all of α."""
    return int(
        (watch_many(PLAIN, *_events(rng, sims, theta)).llr >= PLAIN.threshold).any(axis=-1).sum()
    )


def _events(rng: Rng, sims: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each bad event in turn, whether it was treatment's or control's."""
    of_treatment = rng.random((sims, HORIZON)) < theta / (1 + theta)
    return of_treatment, ~of_treatment


def stopped_in_clumps(rng: Rng, sims: int) -> int:
    """Experiments without harm whose bad events come in clumps, watched hour by hour, twice as many
    users in treatment.

    An hour's trouble hits both arms alike, some hours ten times as hard. A user who had one bad
    event has others, and counts once.
    """
    outage = np.where(rng.random((sims, HOURS)) < 0.02, 10.0, 1.0)
    chance = np.minimum(1.0, 0.004 * rng.gamma(0.5, 2.0, size=(sims, HOURS)) * outage)
    of_control, of_treatment = (
        rng.binomial(USERS_AN_HOUR, chance),
        rng.binomial(2 * USERS_AN_HOUR, chance),
    )
    return int(watch_many(PLAN, of_treatment, of_control, 2.0).crossed.sum())


CHECKS = (
    Check(
        "sprt-harmless", "the SPRT stops an arm without harm within 6,000 events (α .01)", "≤ 1 %", at_most(0.01),
        partial(stopped, theta=1.0), sims=10_000, quick=500, piece=250,
    ),
    Check(
        "sprt-clumped", "the same with events in clumps and unequal arms", "≤ 1 %", at_most(0.01),
        stopped_in_clumps, sims=10_000, quick=500, piece=500,
    ),
    Check(
        "sprt-tenth", "the SPRT stops a harmless +10 %", "≤ 15 %", Within(0.0, 0.15),
        partial(stopped, theta=1.10), sims=10_000, quick=500, piece=250,
    ),
    Check(
        "sprt-harm", "the SPRT stops harm of +25 %", "≥ 78.7 %", Stated(0.787, 1.0, 10_000, 0.8),
        partial(stopped, theta=1.25), sims=10_000, quick=500, piece=250,
    ),
    Check(
        "sprt-plain", "danger: the likelihood ratio alone stops a harmless +10 % (α .05)", "56 %", rate(0.56),
        partial(stopped_by_plain_form, theta=1.10), sims=10_000, quick=500, piece=250,
    ),
)  # fmt: skip
