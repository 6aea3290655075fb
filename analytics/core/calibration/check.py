"""What a calibration check is, and what came out of it: data that a command prints and a page can
show.

A check simulates experiments whose truth is known, sends them through the functions that decide in
production, counts, and holds the count against the promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.core.calibration.limits import Limits

Sums = NDArray[np.float64]
"""What so many simulations add up to: the count of those that showed something, or sums to read an
estimate from.
"""
Count = Callable[[np.random.Generator, int], "Sums | float"]
"""Simulates so many experiments and sums over them. A function of a module (or a partial of one),
so that it travels to a process.
"""


def share(sums: Sums, sims: int) -> float:
    """The share of simulations that were counted."""
    return float(sums[0]) / sims


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. ``sims`` in full and ``quick``, in pieces of about a second; ``read`` turns sums
    into the result.

    ``shows`` says in words what the number means; ``target`` is the promise as it is printed.
    """

    name: str
    shows: str
    target: str
    limits: Limits
    count: Count
    sims: int
    quick: int
    piece: int
    read: Callable[[Sums, int], float] = share


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check gave: ``got`` against the range for this number of simulations."""

    name: str
    shows: str
    target: str
    low: float
    high: float
    got: float
    sims: int
    seconds: float = field(default=0.0, compare=False)

    @property
    def in_range(self) -> bool:
        """Whether the promise is kept; a result that is no number keeps none."""
        return bool(self.low <= self.got <= self.high)


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """The engine's own error rates: every check that ran, and the seed that brings the same numbers
    again.
    """

    seed: int
    results: tuple[CheckResult, ...]

    @property
    def in_range(self) -> bool:
        return all(result.in_range for result in self.results)

    @property
    def out_of_range(self) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if not result.in_range)


def result_of(check: Check, sums: Iterable[Sums], sims: int, seconds: float) -> CheckResult:
    """The verdict on all pieces together."""
    total = np.sum([np.atleast_1d(np.asarray(part, dtype=float)) for part in sums], axis=0)
    low, high = check.limits.at(sims)
    return CheckResult(
        check.name, check.shows, check.target, low, high, check.read(total, sims), sims, seconds
    )
