"""What every question about a size is told beside its metric: error rates, arms, looks, and what
shrinks or swells variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypedDict

from scipy.special import ndtr, ndtri

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.stats.sequential.group_sequential import (
    boundaries,
    crossing_chances,
    inflation,
    needed_drift,
)

SMALLEST_SHARE = 1e-9
"""Sizes this close above a whole number are that number: it is rounding that put them there."""

MOST_UNITS = 1e15


class Given(TypedDict, total=False):
    """The fields of ``Terms`` as keyword arguments."""

    alpha: float
    power: float
    ratio: float
    hypotheses: int
    correlation: float
    design_effect: float
    looks: int
    test_arms: int
    sides: Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """α is of all ``hypotheses`` together (test arms × primary metrics) and of all ``sides``.

    ``ratio`` is one test arm's size over control's (the smallest arm's, if they differ),
    ``correlation`` that of the metric with its covariate (CUPED leaves 1 − ρ² of the variance),
    ``design_effect`` the loss from clustering, ``looks`` how many equally spaced looks may decide.
    """

    alpha: float = 0.05
    power: float = 0.8
    ratio: float = 1.0
    hypotheses: int = 1
    correlation: float = 0.0
    design_effect: float = 1.0
    looks: int = 1
    test_arms: int = 1
    sides: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or self.hypotheses < 1:
            raise ImpossiblePlan(
                f"alpha lies between 0 and 1 and there is at least one hypothesis, found {self.alpha!r} and {self.hypotheses!r}"
            )
        if not self.level < self.power < 1:
            raise ImpossiblePlan(f"power lies between alpha and 1, found {self.power!r}")
        if not (math.isfinite(self.ratio) and self.ratio > 0):
            raise ImpossiblePlan(f"the ratio of arm sizes is above 0, found {self.ratio!r}")
        if not -1 < self.correlation < 1:
            raise ImpossiblePlan(
                f"the correlation with the covariate lies between −1 and 1, found {self.correlation!r}"
            )
        if not (math.isfinite(self.design_effect) and self.design_effect > 0):
            raise ImpossiblePlan(f"a design effect is above 0, found {self.design_effect!r}")
        if self.looks < 1 or self.test_arms < 1:
            raise ImpossiblePlan(
                f"there is at least one look and one test arm, found {self.looks!r} and {self.test_arms!r}"
            )

    @property
    def level(self) -> float:
        """The level of one hypothesis: α/m."""
        return self.alpha / self.hypotheses

    @property
    def z_alpha(self) -> float:
        """The critical value of a fixed test."""
        return float(-ndtri(self.level / self.sides))

    @property
    def z_sum(self) -> float:
        """How many standard errors an effect must be worth in a fixed test: z_{1−α} + z_{1−β}."""
        return self.z_alpha + float(ndtri(self.power))

    @property
    def spread(self) -> float:
        """What is left, or added, of one unit's variance: (1 − ρ²) × design effect."""
        return (1 - self.correlation * self.correlation) * self.design_effect

    @property
    def enlarged(self) -> float:
        """By how much a fixed test of independent, unadjusted units is multiplied."""
        return self.spread * inflation(self.looks, self.level, self.power, self.sides)

    def drift(self, stretch: float = 1.0) -> float:
        """How many true standard errors the effect must be worth at full size; ``stretch`` as in
        ``chance``.
        """
        return needed_drift(self.looks, self.level, self.power, self.sides, stretch)

    def chance(self, drift: float, *, wrong_way: bool = False, stretch: float = 1.0) -> float:
        """Chance that an effect worth so many true standard errors (at full size) is found, at one
        of the looks.

        ``wrong_way`` counts a significant result against the effect's direction too. ``stretch`` is
        the standard error that the test uses, over the true one.
        """
        if self.looks == 1:
            critical = self.z_alpha * stretch
            other = float(ndtr(-drift - critical)) if wrong_way and self.sides == 2 else 0.0
            return float(ndtr(drift - critical)) + other
        times = [(i + 1) / self.looks for i in range(self.looks)]
        bounds = [b * stretch for b in boundaries(times, self.level, self.sides).z]
        ups, downs = crossing_chances(
            times, bounds, [-b for b in bounds] if self.sides == 2 else None, drift
        )
        return float(ups.sum() + (downs.sum() if wrong_way else 0.0))


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Units needed: control, one test arm, and all arms together; ``exact_control`` before rounding
    up.
    """

    control: int
    treatment: int
    total: int
    exact_control: float

    @property
    def information(self) -> float:
        """n = 1/(1/n_T + 1/n_C): the scale on which looks measure progress."""
        return 1 / (1 / self.control + 1 / self.treatment)


def sized(control: float, terms: Terms) -> SampleSize:
    """Whole units of every arm, from the units that control needs."""
    whole, treatment = whole_units(control), whole_units(control * terms.ratio)
    return SampleSize(whole, treatment, whole + terms.test_arms * treatment, control)


def whole_units(value: float) -> int:
    """Rounded up; refuses what no number of units satisfies, and what nobody will ever have."""
    if not value <= MOST_UNITS:
        raise ImpossiblePlan(
            f"no number of units would do: {value:.3g} are asked for, and {MOST_UNITS:.0e} is the most"
        )
    return math.ceil(value - SMALLEST_SHARE)


def checked_units(n: float) -> float:
    """A size that is above 0, or a refusal."""
    if not (math.isfinite(n) and n > 0):
        raise ImpossiblePlan(f"a number of units is finite and above 0, found {n!r}")
    return n


def design_effect(cluster_size: float, icc: float) -> float:
    """The loss from clusters of this size with this intra-class correlation: 1 + (m − 1)·ICC (Kish
    1965).
    """
    if not (math.isfinite(cluster_size) and cluster_size >= 1 and 0 <= icc <= 1):
        raise ImpossiblePlan(
            f"clusters have at least one unit and the correlation lies in 0–1, found {cluster_size!r} and {icc!r}"
        )
    return 1 + (cluster_size - 1) * icc
