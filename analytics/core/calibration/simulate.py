"""Experiments whose truth is known: the raw material of calibration. Nothing here is a statistic.

Arms stand in the last dimension, control first; simulations in the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals

Rng = np.random.Generator
Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def events(rng: Rng, sims: int, days: int, per_day: int, rates: tuple[float, ...]) -> Counts:
    """Yes units so far of each arm at the end of each day (sims × days × arms), ``per_day`` new
    units an arm and day.
    """
    return rng.binomial(per_day, rates, size=(sims, days, len(rates))).cumsum(axis=1)


def skewed(rng: Rng, sims: int, n: int, arms: int = 2) -> Values:
    """One skewed value a unit, as of money (sims × arms × n): log-normal, mean 1.65, coefficient of
    variation 1.3.
    """
    return rng.lognormal(0.0, 1.0, size=(sims, arms, n))


def growing(rng: Rng, sims: int, n: int, days: int, per_day: float, arms: int = 2) -> Counts:
    """What n units, all there from the first day, have done by the end of each day (sims × days ×
    arms × n).
    """
    return rng.poisson(per_day, size=(sims, days, arms, n)).cumsum(axis=1)


def totals_of(values: Values | Counts) -> Totals:
    """Totals of one arm's values."""
    wide = values.astype(float)
    return Totals(len(wide), float(wide.sum()), float(wide @ wide))


def totals_of_pairs(y: Values, x: Values) -> Totals:
    """Totals of values with a companion each."""
    return Totals(len(y), float(y.sum()), float(y @ y), float(x.sum()), float(x @ x), float(x @ y))


@dataclass(frozen=True, slots=True)
class Requests:
    """Users who each make several requests, some users more troubled than others.

    A user's number of requests is 1 + negative binomial (``mean`` requests in all, spread by
    ``shape``); its error rate is Beta with the arm's rate as mean and the correlation ``alike``
    between two requests of one user.
    """

    mean: float = 8.0
    shape: float = 1.0
    alike: float = 0.15

    def drawn(self, rng: Rng, shape: tuple[int, ...], rate: float) -> tuple[Values, Values]:
        """(errors, requests) of so many users."""
        requests = self.counts(rng, shape)
        return rng.binomial(requests, self._rates(rng, shape, rate)).astype(float), requests.astype(
            float
        )

    def with_past(
        self, rng: Rng, shape: tuple[int, ...], rate: float
    ) -> tuple[Values, Values, Values, Values]:
        """(errors, requests, errors before, requests before); a user's own error rate stays."""
        own = self._rates(rng, shape, rate)
        now, before = self.counts(rng, shape), self.counts(rng, shape)
        y, y0 = rng.binomial(now, own), rng.binomial(before, own)
        return y.astype(float), now.astype(float), y0.astype(float), before.astype(float)

    def _rates(self, rng: Rng, shape: tuple[int, ...], rate: float) -> Values:
        weight = 1 / self.alike - 1
        return rng.beta(rate * weight, (1 - rate) * weight, size=shape)

    def counts(self, rng: Rng, shape: tuple[int, ...]) -> Counts:
        """How many requests each user makes."""
        return 1 + rng.negative_binomial(
            self.shape, self.shape / (self.shape + self.mean - 1), size=shape
        )


def moments_so_far(y: Values, d: Values) -> list[UnitMoments]:
    """Moments of numerators and denominators (days × users) at the end of each day."""
    n = y.shape[1] * np.arange(1, len(y) + 1)
    sums = [part.sum(axis=1).cumsum() for part in (y, d, y * y, y * d, d * d)]
    return [
        UnitMoments(int(k), ("y", "d"), (a, b), (aa, ab, bb))
        for k, a, b, aa, ab, bb in zip(n, *sums, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of requests by users who have each their own speed: log-normal between users and
    within.
    """

    requests: Requests = Requests()
    median: float = 250.0
    between: float = 0.45
    within: float = 0.55

    def drawn(self, rng: Rng, users: int) -> tuple[Values, Counts]:
        """(milliseconds, user) of every request."""
        how_many = self.requests.counts(rng, (users,))
        who = np.repeat(np.arange(users), how_many)
        own = self.between * rng.standard_normal(users)
        return self.median * np.exp(own[who] + self.within * rng.standard_normal(len(who))), who


def remembered(rng: Rng, n: int, correlation: float, effect: float = 0.0) -> tuple[Values, Values]:
    """(values, values from before): skewed, with this correlation, the effect added to every
    unit.
    """
    before = rng.gamma(2.0, 1.0, size=n)
    noise = (rng.gamma(2.0, 1.0, size=n) - 2.0) * np.sqrt(1 / correlation**2 - 1)
    return before + noise + effect, before
