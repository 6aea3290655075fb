"""A test at the end of a fixed sample: how often does it find what is not there, and what is?"""

from __future__ import annotations

from functools import partial

import numpy as np

from analytics.core.calibration import simulate
from analytics.core.calibration.check import Check, Sums
from analytics.core.calibration.limits import Around, Binomial, Stated, rate
from analytics.core.calibration.simulate import Requests, Rng, Values, totals_of
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.core.scans.scans import read_strata
from analytics.core.stats.arms.cuped import Covaried, compare_adjusted, linearised_with_history
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.exploring.poststratification import Stratified
from analytics.core.stats.power import mean_sample, proportion_sample

ALPHA = 0.05
RATE, N = 0.2, 1000
BETTER = 0.23
EFFECT = 0.2
"""Of a mean, in standard deviations."""


def found_in_rates(
    rng: Rng, sims: int, n_control: int, n_treatment: int, rates: tuple[float, float]
) -> int:
    """Experiments whose rates differ at p < .05."""
    drawn = rng.binomial((n_control, n_treatment), rates, size=(sims, 2)).tolist()
    p = (
        compare_proportions(Totals.of_rate(c, n_control), Totals.of_rate(t, n_treatment), ALPHA).p
        for c, t in drawn
    )
    return sum(q is not None and q < ALPHA for q in p)


def found_in_means(rng: Rng, sims: int, n: int) -> int:
    """Experiments with identical skewed values whose means differ at p < .05."""
    p = (
        compare_means(totals_of(c), totals_of(t), ALPHA).p for c, t in simulate.skewed(rng, sims, n)
    )
    return sum(q is not None and q < ALPHA for q in p)


def found_shift(rng: Rng, sims: int, n: int) -> int:
    """Experiments in which a shift of a normal mean is found."""
    drawn = rng.standard_normal((sims, 2, n))
    drawn[:, 1] += EFFECT
    p = (compare_means(totals_of(c), totals_of(t), ALPHA).p for c, t in drawn)
    return sum(q is not None and q < ALPHA for q in p)


def found_planned(rng: Rng, sims: int) -> int:
    """Experiments of the computed size in which the expected rate is found."""
    size = proportion_sample(RATE, BETTER, alpha=ALPHA, power=0.8, ratio=0.5)
    return found_in_rates(rng, sims, size.control, size.treatment, (RATE, BETTER))


def found_planned_shift(rng: Rng, sims: int) -> int:
    """The same for a mean."""
    return found_shift(rng, sims, mean_sample(1.0, EFFECT, alpha=ALPHA, power=0.8).control)


def found_in_uneven_means(
    rng: Rng, sims: int, n_control: int, n_treatment: int, level: float
) -> int:
    """Experiments with identical normal values that a look at a mean takes for different at this
    two-sided level.

    The sums are drawn, not the values: of normal values the mean is normal and the variance an
    independent χ².
    """
    sizes = np.array([n_control, n_treatment], dtype=float)
    means = rng.standard_normal((sims, 2)) / np.sqrt(sizes)
    squares = rng.chisquare(sizes - 1, size=(sims, 2)) + sizes * means**2
    limit, mean = upper_quantile(level / 2), kind_of("mean")
    drawn = zip((means * sizes).tolist(), squares.tolist(), strict=True)
    scores = (
        mean.looked(Totals(n_control, y[0], y2[0]), Totals(n_treatment, y[1], y2[1]))
        for y, y2 in drawn
    )
    return sum(
        score is not None and score.z is not None and abs(score.z) >= limit for score in scores
    )


SHARES, LEVELS = (0.5, 0.3, 0.2), (0.0, 2.0, 6.0)
"""Three strata with their shares of all units and their means in standard deviations. Nobody
declared the last.
"""


def stratified(rng: Rng, arms: dict[str, int]) -> Stratified:
    """Identical arms of units from strata that differ, read as the nightly scan reads declared
    strata.
    """
    values: dict[str, dict[str, Totals]] = {"first": {}, "second": {}}
    whole: dict[str, Totals] = {}
    for arm, n in arms.items():
        which = rng.choice(len(SHARES), size=n, p=SHARES)
        y = rng.standard_normal(n) + np.array(LEVELS)[which]
        whole[arm] = totals_of(y)
        for place, value in enumerate(values):
            if (which == place).any():
                values[value][arm] = totals_of(y[which == place])
    (found,) = read_strata("metric", "mean", "control", {"plan": values}, whole, ALPHA)
    return found.found


def found_by_strata(rng: Rng, sims: int, n_control: int, n_treatment: int) -> int:
    """Experiments with identical arms that post-stratification takes for different at p < .05."""
    p = (
        stratified(rng, {"control": n_control, "treatment": n_treatment}).comparison.p
        for _ in range(sims)
    )
    return sum(q is not None and q < ALPHA for q in p)


def strata_variance(rng: Rng, sims: int, n: int) -> Sums:
    """(Σ difference², sims) of post-stratified differences, in units of the variance of a plain
    difference.
    """
    spread = (
        1
        + sum(s * x * x for s, x in zip(SHARES, LEVELS, strict=True))
        - sum(s * x for s, x in zip(SHARES, LEVELS, strict=True)) ** 2
    )
    differences = [
        stratified(rng, {"control": n, "treatment": n}).comparison.difference or 0.0
        for _ in range(sims)
    ]
    return np.array([float(np.square(differences).sum()) / (2 * spread / n)])


FALSE = Stated(0.043, 0.0573, 10_000, ALPHA)
POWER = Stated(0.787, 0.813, 10_000, 0.8)


def found_in_ratios_with_past(rng: Rng, sims: int, n: int) -> int:
    """Experiments of few, identical units whose errors per request, adjusted by their past, differ
    at p < .05.
    """
    drawn = zip(*Requests().with_past(rng, (sims, 2, n), RATE), strict=True)
    p = (compare_adjusted(_with_past(rows, 0), _with_past(rows, 1), ALPHA).p for rows in drawn)
    return sum(q is not None and q < ALPHA for q in p)


def _with_past(rows: tuple[Values, ...], arm: int) -> Covaried:
    y, d, y0, d0 = (column[arm] for column in rows)
    found = linearised_with_history(UnitMoments.of_rows(y=y, d=d, y0=y0, d0=d0))
    if found is None:
        raise ValueError(
            f"every user makes a request, found {d.sum():g} requests of {len(d)} users"
        )
    return found


CHECKS = (
    Check(
        "aa-rate", "identical rates, one test at the end: p < .05", "5 %", FALSE,
        partial(found_in_rates, n_control=N, n_treatment=N, rates=(RATE, RATE)), sims=10_000, quick=2_000, piece=5_000,
    ),
    Check(
        "aa-mean", "identical skewed means, one test at the end: p < .05", "5 %", rate(ALPHA),
        partial(found_in_means, n=N), sims=10_000, quick=1_000, piece=1_000,
    ),
    Check(
        "uneven-20-380", "identical normal means, 20 units against 380: a look at the level .001", "≤ 0.12 %", Binomial(0.0008, 0.0012),
        partial(found_in_uneven_means, n_control=380, n_treatment=20, level=0.001), sims=150_000, quick=20_000, piece=25_000,
    ),
    Check(
        "uneven-50-950", "the same, 50 units against 950", "≤ 0.12 %", Binomial(0.0008, 0.0012),
        partial(found_in_uneven_means, n_control=50, n_treatment=950, level=0.001), sims=150_000, quick=20_000, piece=25_000,
    ),
    Check(
        "aa-strata", "identical means, declared strata weighed by their shares, 60 units against 90: p < .05", "5 %", rate(ALPHA),
        partial(found_by_strata, n_control=60, n_treatment=90), sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "aa-cuped-ratio-20", "identical errors per request with a past, 20 users an arm: p < .05", "4–5.5 %", Binomial(0.04, 0.055),
        partial(found_in_ratios_with_past, n=20), sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "strata-variance", "variance of a post-stratified difference over that of a plain one", "16.2 %", Around(0.162, 0.13, 2_000),
        partial(strata_variance, n=400), sims=2_000, quick=500, piece=500,
    ),
    Check("power-rate", "the expected rate is found at the computed size", "80 %", POWER, found_planned, 10_000, 1_000, 5_000),
    Check("power-mean", "the expected mean is found at the computed size", "80 %", POWER, found_planned_shift, 10_000, 1_000, 2_000),
)  # fmt: skip
