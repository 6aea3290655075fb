"""Which results of a simulation agree with what is promised: ranges that follow the number of
simulations.

A count of independent simulations is binomial. A range leaves out .05 % at each end of the binomial
around the promised rate, so a sound machine falls out of one check in a thousand. Where a promise
is a bound and not a rate, one end is open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from analytics.core.stats.uniformity import binomial_bounds


class Limits(Protocol):
    """The lowest and highest result that agree with a promise, after so many simulations."""

    def at(self, sims: int) -> tuple[float, float]: ...


@dataclass(frozen=True, slots=True)
class Binomial:
    """A share whose true value lies between ``low`` and ``high`` (the same for a rate, None for an
    open end).
    """

    low: float | None
    high: float | None

    def at(self, sims: int) -> tuple[float, float]:
        lowest = 0.0 if self.low is None else binomial_bounds(sims, self.low).low
        highest = 1.0 if self.high is None else binomial_bounds(sims, self.high).high
        return lowest, highest


@dataclass(frozen=True, slots=True)
class Stated:
    """A range stated for one number of simulations; for another its distances from the rate grow
    and shrink as binomial ones do.
    """

    low: float
    high: float
    sims: int
    rate: float

    def at(self, sims: int) -> tuple[float, float]:
        if sims == self.sims:
            return self.low, self.high
        then, now = rate(self.rate).at(self.sims), rate(self.rate).at(sims)
        below = (self.rate - now[0]) / (self.rate - then[0])
        above = (now[1] - self.rate) / (then[1] - self.rate)
        return max(0.0, self.rate - (self.rate - self.low) * below), min(
            1.0, self.rate + (self.high - self.rate) * above
        )


@dataclass(frozen=True, slots=True)
class Around:
    """An estimate within a relative ``width`` of its target for so many simulations; the width
    falls with their root.
    """

    target: float
    width: float
    sims: int

    def at(self, sims: int) -> tuple[float, float]:
        width = self.width * math.sqrt(self.sims / sims)
        return self.target * (1 - width), self.target * (1 + width)


@dataclass(frozen=True, slots=True)
class Within:
    """A range that does not depend on the number of simulations."""

    low: float
    high: float

    def at(self, sims: int) -> tuple[float, float]:
        return self.low, self.high


def rate(value: float) -> Binomial:
    """A promised rate."""
    return Binomial(value, value)


def at_most(value: float) -> Binomial:
    """A promised upper bound of a rate."""
    return Binomial(None, value)


def at_least(value: float) -> Binomial:
    """A promised lower bound of a rate."""
    return Binomial(value, None)
