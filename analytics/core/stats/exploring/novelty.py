"""Does the effect wear off, or grow, as people get used to it?

The finding is one number per unit: its value per day in the first week since its own first
exposure, minus its value per day afterwards; its mean is compared between arms (Welch). Only units
followed to the end of the later period take part, all over the same days, so that neither who
joined late nor who left early makes an effect, and days of one unit, which resemble each other,
count once. Positive in treatment − control: the effect was larger at first (novelty); negative: it
grew (learning). The effect by day since first exposure is a drawing: its points are correlated, and
it says no p. Cannot say below 10 followed units an arm or without spread. References: Kohavi, Tang
and Xu 2020, chapter 23; Hohnhold, O'Brien and Tang 2015; Welch 1947.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.mean import compare_means

FIRST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Novelty:
    """The comparison of per-unit contrasts; ``difference`` is first-week effect − later effect, per
    unit and day.

    ``says`` is None while nothing is proven at the level asked for, or nothing can be said (then
    the comparison has a reason).
    """

    comparison: Comparison
    says: Literal["wears off", "grows"] | None


@dataclass(frozen=True, slots=True)
class DayEffect:
    """The effect on one day since first exposure (0 = the day itself), with a pointwise interval;
    None where it cannot be said.
    """

    day: int
    n_control: int
    n_treatment: int
    difference: float | None
    ci: Interval | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """Points by day and the line through them (effect = ``intercept`` + ``slope``·day); to look at,
    never to test.
    """

    points: tuple[DayEffect, ...]
    intercept: float | None
    slope: float | None


def find_novelty(control: Totals, treatment: Totals, alpha: float = 0.05) -> Novelty:
    """Compare totals of per-unit contrasts (first week − later), of fully followed units only."""
    compared = compare_means(control, treatment, alpha)
    if compared.p is None or compared.difference is None or compared.p > alpha:
        return Novelty(compared, None)
    return Novelty(compared, "wears off" if compared.difference > 0 else "grows")


def contrasts(daily: ArrayLike, first_days: int = FIRST_DAYS) -> Totals:
    """Totals of per-unit contrasts from rows (units × days since first exposure).

    Units with a missing day (NaN) were not followed and are left out. A store computes the same in
    SQL.
    """
    days = np.asarray(daily, dtype=float)
    if days.ndim != 2 or not 0 < first_days < days.shape[1]:
        raise ImpossiblePlan(
            f"a contrast needs days before and after day {first_days}, found units × days of {days.shape}"
        )
    if np.any(np.isinf(days)):
        raise ImpossibleTotals("units' values must be finite, found infinity among them")
    followed = days[~np.isnan(days).any(axis=1)]
    d = followed[:, :first_days].mean(axis=1) - followed[:, first_days:].mean(axis=1)
    return Totals.of_values(d.tolist())


def is_followed(
    days_since_exposure: int, *, first_days: int = FIRST_DAYS, later_days: int = FIRST_DAYS
) -> bool:
    """Whether a unit first exposed so many complete days before the data cut is followed to the end
    of both periods.
    """
    return days_since_exposure >= first_days + later_days


def draw(control: Sequence[Totals], treatment: Sequence[Totals], alpha: float = 0.05) -> Drawing:
    """The effect by day since first exposure, from each arm's totals of every day."""
    checked_level(alpha)
    if len(control) != len(treatment):
        raise ImpossibleTotals(
            f"a drawing needs the same days of both arms, found {len(control)} and {len(treatment)}"
        )
    points = tuple(
        _point(day, c, t, alpha) for day, (c, t) in enumerate(zip(control, treatment, strict=True))
    )
    return Drawing(points, *_line(points))


def _point(day: int, control: Totals, treatment: Totals, alpha: float) -> DayEffect:
    compared = compare_means(control, treatment, alpha)
    return DayEffect(day, control.n, treatment.n, compared.difference, compared.ci)


def _line(points: Sequence[DayEffect]) -> tuple[float | None, float | None]:
    """The straight line through the points, each weighted by the units behind it; None below two
    points.
    """
    seen = [
        (p.day, p.difference, 1 / (1 / p.n_control + 1 / p.n_treatment))
        for p in points
        if p.difference is not None
    ]
    if len(seen) < 2:
        return None, None
    day, effect, weight = (_column(seen, k) for k in range(3))
    share = weight / weight.sum()
    mean_day, mean_effect = share @ day, share @ effect
    slope = share @ ((day - mean_day) * (effect - mean_effect)) / (share @ (day - mean_day) ** 2)
    return float(mean_effect - slope * mean_day), float(slope)


def _column(rows: Sequence[tuple[float, ...]], k: int) -> NDArray[np.float64]:
    return np.array([row[k] for row in rows], dtype=float)
