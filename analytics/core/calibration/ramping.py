"""Steps of a ramp with differing proportions: what pooling over them shows, and what comparing
within them does.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration.check import Check, Sums
from analytics.core.calibration.limits import Within, rate
from analytics.core.calibration.simulate import Counts, Rng
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.proportion import pooled_z
from analytics.core.stats.exploring.poststratification import Stratum, post_stratify

ALPHA = 0.05
STEPS = ((45_000, 5_000, 0.100), (25_000, 25_000, 0.1272))
"""(control units, test units, the rate of everybody): the share of the test arm grew, and so did
the rate.
"""


def steps(rng: Rng, sims: int) -> Counts:
    """Yes units (sims × steps × arms) without any effect."""
    units = np.array([[c, t] for c, t, _ in STEPS])
    return rng.binomial(units, np.array([[r] for *_, r in STEPS]), size=(sims, len(STEPS), 2))


def pooled(rng: Rng, sims: int) -> Sums:
    """Σ of lift and of z over experiments whose steps were thrown together."""
    n_c, n_t = sum(c for c, _, _ in STEPS), sum(t for _, t, _ in STEPS)
    sums = np.zeros(2)
    for x_c, x_t in steps(rng, sims).sum(axis=1).tolist():
        sums += (x_t / n_t) / (x_c / n_c) - 1, pooled_z(x_c, n_c, x_t, n_t) or 0.0
    return sums


def mean_of(sums: Sums, sims: int, place: int) -> float:
    """The mean of one of several sums."""
    return float(sums[place]) / sims


def found_within(rng: Rng, sims: int) -> int:
    """Experiments in which the difference weighted over the steps is found at p < .05."""
    return sum(
        (p := _p(experiment)) is not None and p < ALPHA for experiment in steps(rng, sims).tolist()
    )


def _p(experiment: list[list[int]]) -> float | None:
    strata = [
        Stratum(str(step), Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))
        for step, ((x_c, x_t), (n_c, n_t, _)) in enumerate(zip(experiment, STEPS, strict=True))
    ]
    return post_stratify(strata, ALPHA, kind="proportion").comparison.p


CHECKS = (
    Check(
        "pooling-lift", "danger: mean lift of identical arms when two steps with differing proportions are pooled", "+11.8 %",
        Within(0.113, 0.123), pooled, sims=2_000, quick=500, piece=2_000, read=partial(mean_of, place=0),
    ),
    Check(
        "pooling-z", "danger: the mean z of that", "6", Within(5.7, 6.3), pooled, sims=2_000, quick=500, piece=2_000,
        read=partial(mean_of, place=1),
    ),
    Check("ramp-weighted", "the same compared within steps: p < .05", "5 %", rate(ALPHA), found_within, 10_000, 1_000, 2_500),
)  # fmt: skip
