"""Looking every day: what a fixed boundary would do, and what the group-sequential one does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analytics.core.calibration import simulate
from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated, rate
from analytics.core.calibration.simulate import Rng
from analytics.core.stats.arms.batch import ManyTotals, many_means, many_rates
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.power import proportion_sample
from analytics.core.stats.sequential import group_sequential

ALPHA = 0.05
RATE, BETTER, PER_DAY = 0.3, 0.33, 200
PLAIN = upper_quantile(ALPHA / 2)


def daily_z(events: NDArray[np.int64], per_day: int) -> NDArray[np.float64]:
    """Pooled z of every day (sims × days) on all units so far; 0 where all answered alike."""
    units = per_day * np.arange(1, events.shape[1] + 1)
    control, treatment = (ManyTotals.of_rates(events[..., arm], units) for arm in (0, 1))
    return np.nan_to_num(many_rates(control, treatment).z)


def crossed(
    rng: Rng,
    sims: int,
    boundary: Sequence[float],
    rates: tuple[float, float] = (RATE, RATE),
    per_day: int = PER_DAY,
) -> int:
    """Experiments of which |z| reaches its boundary on some day."""
    z = daily_z(simulate.events(rng, sims, len(boundary), per_day, rates), per_day)
    return int((np.abs(z) >= np.array(boundary)).any(axis=1).sum())


def peeked(rng: Rng, sims: int, looks: int) -> int:
    """p < .05 on some day, tested anew each day."""
    return crossed(rng, sims, [PLAIN] * looks)


def sequential(rng: Rng, sims: int, looks: int) -> int:
    """The group-sequential boundary crossed at some look."""
    return crossed(rng, sims, boundary_of(looks))


def sequential_power(rng: Rng, sims: int, looks: int) -> int:
    """The expected rate found at some look, with the size enlarged for looking."""
    per_day = -(-proportion_sample(RATE, BETTER, alpha=ALPHA, looks=looks).control // looks)
    return crossed(rng, sims, boundary_of(looks), (RATE, BETTER), per_day)


def boundary_of(looks: int) -> tuple[float, ...]:
    return group_sequential.boundaries([(k + 1) / looks for k in range(looks)], ALPHA).z


def promoted_while_growing(rng: Rng, sims: int, days: int, units: int) -> int:
    """Promotions when totals that still grow are tested each day as if each day were the last.

    All units came on the first day, so the information time is 1 from the first look on.
    """
    boundary = group_sequential.boundaries([1.0], ALPHA).z[0]
    grown = simulate.growing(rng, sims, units, days, per_day=0.5).astype(float)
    totals = ManyTotals(
        np.full(grown.shape[:-1], units), grown.sum(axis=-1), (grown**2).sum(axis=-1)
    )
    control, treatment = (
        ManyTotals(totals.n[..., arm], totals.sum_y[..., arm], totals.sum_y2[..., arm])
        for arm in (0, 1)
    )
    z = many_means(control, treatment).z
    over = np.abs(z) >= boundary
    first = z[np.arange(sims), over.argmax(axis=1)]
    return int((over.any(axis=1) & (first > 0)).sum())


CHECKS = (
    Check(
        "peeking-14", "danger: p < .05 tested anew on each of 14 days, identical arms", "22.0 %", rate(0.2197),
        partial(peeked, looks=14), sims=10_000, quick=1_000, piece=5_000,
    ),
    Check(
        "peeking-28", "danger: the same on each of 28 days", "27.5 %", rate(0.2746),
        partial(peeked, looks=28), sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "sequential-14", "identical rates, 14 group-sequential looks: a boundary crossed", "5 %", Stated(0.043, 0.0573, 10_000, ALPHA),
        partial(sequential, looks=14), sims=10_000, quick=2_000, piece=5_000,
    ),
    Check(
        "sequential-28", "the same with 28 looks", "5 %", Stated(0.043, 0.0573, 10_000, ALPHA),
        partial(sequential, looks=28), sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "power-sequential", "the expected rate is found in 14 looks at the size enlarged for looking", "80 %", rate(0.8),
        partial(sequential_power, looks=14), sims=10_000, quick=1_000, piece=5_000,
    ),
    Check(
        "growing-totals", "danger: promotions of identical arms by per-user totals that still grow, over 14 days", "11 %", rate(0.11),
        partial(promoted_while_growing, days=14, units=200), sims=10_000, quick=500, piece=250,
    ),
)  # fmt: skip
