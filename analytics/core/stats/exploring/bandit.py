"""Which share of new units should each arm get, and what did an experiment with moving shares find?

Buckets are released in at least ten batches. A batch's buckets take the split of the moment of
their release and keep it, so that within a batch arms are randomised like in any experiment.
Between batches Thompson's rule moves the split: an arm's weight is its chance of being best, from
normal posteriors of the arms' means, mixed with floors so that every arm keeps being measured. The
first batches are split evenly until every arm has 100 units.

Inference compares within batches only: Δ = Σ(n_b/n)Δ_b, and the test Σz_b/√B at the planned end. A
split depends on what was seen before, never on what its own batch will show, so each z_b is
standard normal given the past when nothing differs. Means pooled over batches are not offered: an
arm that got more units in a good week looks better (Simpson), and an arm is starved just when it
looks bad, so that its bad luck is never corrected. Cannot say while a batch has an arm below ten
units. Refused for metrics that are delayed: a split would then follow the arms whose units answer
early. References: Thompson 1933; Hadad, Hirshberg, Zhan, Wager and Athey 2021; Zhang, Janson and
Murphy 2020 (batched OLS).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, logsumexp

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.batch import Codes, ManyTotals, NoNumber
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.arms.mean import FEWEST_UNITS
from analytics.core.stats.arms.normal import two_sided_p, upper_quantile

FEWEST_BATCHES = 10
CONTROL_FLOOR = 0.05
FLOOR = 0.01
FIRST_UNITS = 100
"""Units each arm has before splits move."""
PANEL_ENDS = np.array(
    [-38, -26, -18, -12, -8, -6, -4, -2, 0, 2, 4, 6, 8, 12, 18, 26, 38], dtype=float
)
"""Panels of the integration end this many standard deviations from each arm's mean."""
SILENCES = (NoNumber.CONTROL_TOO_SMALL, NoNumber.TREATMENT_TOO_SMALL, NoNumber.NO_SPREAD)
ROUNDS = 4
"""Of fitting factors of batches and arms to each other."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)

Better = Literal["increase", "decrease"]
Floats = NDArray[np.float64]
Batch = Sequence[Totals]
"""Totals of the units of one batch's buckets, arm by arm, control first."""


@dataclass(frozen=True, slots=True)
class BanditPlan:
    """``arms`` with control; ``batches`` in which buckets are released; floors of control and of
    each other arm.
    """

    arms: int
    batches: int = FEWEST_BATCHES
    control_floor: float = CONTROL_FLOOR
    floor: float = FLOOR
    better: Better = "increase"

    def __post_init__(self) -> None:
        if self.arms < 2 or self.batches < FEWEST_BATCHES:
            raise ImpossiblePlan(
                f"a bandit has two arms and {FEWEST_BATCHES} batches at least, found {self}"
            )
        if not (self.control_floor > 0 and self.floor > 0 and sum(self.floors) < 1):
            raise ImpossiblePlan(f"floors are above 0 and leave something to move, found {self}")

    @property
    def floors(self) -> tuple[float, ...]:
        """The share each arm has whatever is seen."""
        return (self.control_floor, *[self.floor] * (self.arms - 1))


@dataclass(frozen=True, slots=True)
class Split:
    """The next batch's shares; ``best`` = chances of being best, None (with a reason) while the
    split is even.
    """

    shares: tuple[float, ...]
    best: tuple[float, ...] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Many test arms against control, arrays (…, arms − 1); NaN where a batch cannot say.

    ``estimate`` = Σ(n_b/n)Δ_b with its ``se``; ``z`` = Σz_b/√B. The differences d that Σ(Δ_b −
    d)/se_b/√B does not reject are ``centre`` ± quantile·``spread``, so that interval and test
    agree.
    """

    estimate: Floats
    se: Floats
    z: Floats
    centre: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class BanditResult:
    """One test arm against control over all batches. ``z``, ``p`` and ``ci`` exist at the planned
    end only.

    ``ci`` holds the differences the test does not reject. estimate ± 1.96·``se`` would be too wide
    when arms are alike and is not offered: batches with starved arms follow on lucky ones, so the
    two are not independent.
    """

    batches: int
    estimate: float | None = None
    se: float | None = None
    ci: Interval | None = None
    z: float | None = None
    p: float | None = None
    reason: str | None = None


def why_not_served(window: timedelta | None, batch_every: timedelta) -> str | None:
    """Why a bandit may not follow a metric, or None when it may: units must have answered before
    the next split.
    """
    if window is None:
        return "the metric has no window: a unit's answer is never complete while the split moves"
    if window > batch_every:
        return f"the metric is delayed: a unit's answer takes {window}, the next split comes after {batch_every}"
    return None


def best_chances(means: ArrayLike, variances: ArrayLike, better: Better = "increase") -> Floats:
    """Each arm's chance that its mean is the best, arms along the last axis; ``variances`` are of
    the means.

    Independent normal posteriors, ∫ φ_i·Π Φ_j by quadrature. Logarithms are summed, so that an arm
    far behind has a tiny chance instead of none.
    """
    mu, var = np.broadcast_arrays(
        np.asarray(means, dtype=float), np.asarray(variances, dtype=float)
    )
    if not (np.all(np.isfinite(mu)) and np.all(np.isfinite(var)) and np.all(var > 0)):
        raise ImpossibleTotals(
            "posteriors of arms have finite means and variances above 0; found others"
        )
    sign, sd = (1.0 if better == "increase" else -1.0), np.sqrt(var)
    ends = np.sort(
        (sign * mu[..., None] + sd[..., None] * PANEL_ENDS).reshape(*mu.shape[:-1], -1), axis=-1
    )
    half = np.diff(ends, axis=-1) / 2
    x = ((ends[..., 1:] + ends[..., :-1]) / 2)[..., None] + half[..., None] * NODES
    away = (x[..., None] - (sign * mu)[..., None, None, :]) / sd[..., None, None, :]
    below = log_ndtr(away)
    density = -0.5 * away**2 - np.log(sd)[..., None, None, :]
    others = below.sum(axis=-1, keepdims=True) - below
    weights = np.maximum(half[..., None, None] * WEIGHTS[:, None], 1e-300)
    logs = logsumexp((density + others + np.log(weights)), axis=(-3, -2))
    return np.asarray(np.exp(logs - logsumexp(logs, axis=-1, keepdims=True)))


def with_floors(chances: ArrayLike, floors: Sequence[float]) -> Floats:
    """p_i = f_i + (1 − Σf)·w_i."""
    fixed = np.asarray(floors, dtype=float)
    return np.asarray(fixed + (1 - fixed.sum()) * np.asarray(chances, dtype=float))


def next_splits(plan: BanditPlan, seen: ManyTotals) -> tuple[Floats, Floats]:
    """(shares, chances of being best) of many experiments: arrays (…, batches so far, arms); even
    shares and NaN too early.
    """
    shape = (*seen.n.shape[:-2], plan.arms)
    if seen.n.shape[-1] != plan.arms:
        raise ImpossibleTotals(
            f"a bandit of {plan.arms} arms has as many totals in each batch, found {seen.n.shape[-1]}"
        )
    even, best = np.full(shape, 1 / plan.arms), np.full(shape, np.nan)
    means, variances = _posteriors(seen)
    ready = (seen.n.sum(axis=-2) >= FIRST_UNITS).all(axis=-1) & (variances > 0).all(axis=-1)
    if ready.any():
        best[ready] = best_chances(means[ready], variances[ready], plan.better)
    return np.where(ready[..., None], with_floors(np.nan_to_num(best), plan.floors), even), best


def next_split(plan: BanditPlan, batches: Sequence[Batch]) -> Split:
    """The split of the next batch's buckets, of what the batches so far show."""
    even = Split((1 / plan.arms,) * plan.arms)
    seen = _arrays(plan, batches)
    if (seen.n.sum(axis=0) < FIRST_UNITS).any():
        return replace(even, reason=f"shares are even until every arm has {FIRST_UNITS} units")
    shares, best = next_splits(plan, seen)
    if np.isnan(best).any():
        return replace(
            even,
            reason="no batch has units of every arm, or no unit differs from another: shares stay even",
        )
    return Split(tuple(shares.tolist()), tuple(best.tolist()))


def contrasts(seen: ManyTotals) -> Contrasts:
    """Each test arm against control over all batches."""
    errors = _unit_variances(seen) / np.maximum(seen.n, 1.0)
    se = np.sqrt(
        np.where(_silent(seen) == NoNumber.SAID, errors[..., 1:] + errors[..., :1], np.nan)
    )
    difference = seen.mean[..., 1:] - seen.mean[..., :1] + 0 * se
    share, batches = _batch_shares(seen), math.sqrt(seen.n.shape[-2])
    return Contrasts(
        estimate=(share * difference).sum(axis=-2),
        se=np.sqrt((share**2 * se**2).sum(axis=-2)),
        z=(difference / se).sum(axis=-2) / batches,
        centre=(difference / se).sum(axis=-2) / (1 / se).sum(axis=-2),
        spread=batches / (1 / se).sum(axis=-2),
    )


def conclude(
    plan: BanditPlan, batches: Sequence[Batch], arm: int, alpha: float = 0.05
) -> BanditResult:
    """Test arm number ``arm`` (control is 0) against control: the estimate so far, and at the
    planned end its test.

    Cannot say with an arm below ten units, or without spread, in a batch.
    """
    checked_level(alpha)
    if not 1 <= arm < plan.arms:
        raise ImpossiblePlan(f"test arms are 1 … {plan.arms - 1}, found {arm}")
    bare = BanditResult(len(batches))
    if not batches:
        return replace(bare, reason="no batch was released yet")
    seen = _arrays(plan, batches)
    silent = _silent(seen)[:, arm - 1]
    if silent.any():
        at = int(np.argmax(silent != NoNumber.SAID))
        return replace(bare, reason=f"batch {at + 1}: {NoNumber(int(silent[at])).text}")
    found = contrasts(seen)
    estimate, se, z, centre, spread = (
        float(part[arm - 1])
        for part in (found.estimate, found.se, found.z, found.centre, found.spread)
    )
    told = replace(bare, estimate=estimate, se=se)
    if len(batches) < plan.batches:
        return replace(
            told,
            reason=f"tested at the planned end only: {len(batches)} of {plan.batches} batches are in",
        )
    half = upper_quantile(alpha / 2) * spread
    return replace(
        told, ci=Interval(centre - half, centre + half, 1 - alpha), z=z, p=two_sided_p(z)
    )


def _arrays(plan: BanditPlan, batches: Sequence[Batch]) -> ManyTotals:
    if any(len(batch) != plan.arms for batch in batches):
        raise ImpossibleTotals(
            f"a bandit of {plan.arms} arms has as many totals in each batch, found {[len(b) for b in batches]}"
        )
    flat = ManyTotals.of(totals for batch in batches for totals in batch)
    form = (len(batches), plan.arms)
    spread = None if flat.spread is None else flat.spread.reshape(form)
    return ManyTotals(
        flat.n.reshape(form), flat.sum_y.reshape(form), flat.sum_y2.reshape(form), spread
    )


def _silent(seen: ManyTotals) -> Codes:
    """Why a batch cannot compare a test arm with control: arrays (…, batches, arms − 1)."""
    control, treatment = np.broadcast_arrays(seen.n[..., :1], seen.n[..., 1:])
    still = np.broadcast_to(~(_unit_variances(seen)[..., :1] > 0), control.shape)
    found = np.select(
        [control < FEWEST_UNITS, treatment < FEWEST_UNITS, still],
        list(SILENCES),
        default=NoNumber.SAID,
    )
    return found.astype(np.int8)


def _unit_variances(seen: ManyTotals) -> Floats:
    """A unit's variance in each batch and arm: a factor of the batch times a factor of the arm.

    A starved arm has a handful of units a batch; their own variance is 0 whenever none of them has
    the event, just when their mean is low, and a z over it would be far too often far from 0.
    """
    df = np.maximum(seen.n - 1, 0.0)
    squares = seen.variance * df
    of_arm, of_batch = np.ones_like(squares[..., :1, :]), np.ones_like(squares[..., :, :1])
    for _ in range(ROUNDS):
        of_batch = _per(squares / of_arm, df, -1)
        moved = np.divide(squares, of_batch, out=np.zeros_like(squares), where=of_batch > 0)
        of_arm = _per(moved, df * (of_batch > 0), -2)
        widest = of_arm.max(axis=-1, keepdims=True)
        of_arm = np.where(of_arm > 0, of_arm, np.where(widest > 0, widest, 1.0))
    return of_batch * of_arm


def _per(squares: Floats, df: Floats, axis: int) -> Floats:
    return np.asarray(
        squares.sum(axis=axis, keepdims=True) / np.maximum(df.sum(axis=axis, keepdims=True), 1.0)
    )


def _batch_shares(seen: ManyTotals, counted: NDArray[np.bool_] | None = None) -> Floats:
    """n_b/n with all arms' units: a batch's weight is planned, whatever its split. Shape (…,
    batches, 1).
    """
    n = seen.n.sum(axis=-1, keepdims=True)
    if counted is not None:
        n = np.where(counted, n, 0.0)
    return np.asarray(n / np.maximum(n.sum(axis=-2, keepdims=True), 1.0))


def _posteriors(seen: ManyTotals) -> tuple[Floats, Floats]:
    """Means and their variances by arm, weighed by batch over batches that have every arm (variance
    0: cannot say).
    """
    share = _batch_shares(seen, np.asarray((seen.n > 0).all(axis=-1, keepdims=True)))
    return (share * seen.mean).sum(axis=-2), (
        share**2 * _unit_variances(seen) / np.maximum(seen.n, 1.0)
    ).sum(axis=-2)
