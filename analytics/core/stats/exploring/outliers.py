"""Which units did more than a person would: bots, scripts, test accounts, broken loggers?

Counts of people are skewed, so the fence is drawn on the log scale: with l = ln(1 + count) of the
units that counted anything, the fence is median + 5 spreads. The spread is the larger of the MAD
(as a standard deviation) and of what the upper 45 % of the units show ((95 % quantile −
median)/1.645), so that up to one unit in twenty may be a bot without moving it; it is never below
.4, since whole numbers close together have no spread of their own. Counts per hour get a fence
alike, where hours are known. Of 100,000 log-normal or geometric people the fence names almost none;
money with a power tail is another matter: there a cap is better. Leaving units out by what they did
after exposure can bias a comparison, so results are shown with and without, the plan's stay with,
and more named units in one arm than in the other (p < .001) means that the treatment makes them.
References: Leys et al. 2013 (MAD); Hampel 1974.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, checked_level
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.winsor import percentile

SPREADS = 5.0
LEAST_SPREAD = 0.4
"""On the log scale: where nearly everybody counts 1, the fence is at 14."""
FEWEST_ACTIVE = 100
"""Below this many units with a count above 0 no fence is drawn."""
SHORTEST_HOURS = 1.0
"""Shorter activity counts as one hour: three clicks in a second are not 10,800 an hour."""
UNEVEN_BELOW = 0.001
MAD_TO_SD = 1.482602218505602
Q95 = 1.6448536269514722

Array = NDArray[np.float64]
Compare = Callable[[Totals, Totals, float], Comparison]


@dataclass(frozen=True, slots=True)
class Fence:
    """Counts above ``value`` are implausible; ``median`` and ``spread`` are on the log scale, of
    ``active`` units.
    """

    value: float
    median: float
    spread: float
    active: int


@dataclass(frozen=True, slots=True)
class NoFence:
    """Nobody is named, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outlier:
    """A unit beyond a fence, with what it did; ``per_hour`` None where hours are not known. Largest
    counts come first.
    """

    unit: str
    count: float
    per_hour: float | None
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outliers:
    """Both fences and the units beyond either."""

    fence: Fence | NoFence
    hourly_fence: Fence | NoFence
    units: tuple[Outlier, ...]


@dataclass(frozen=True, slots=True)
class WithAndWithout:
    """The comparison as it is, and without the named units.

    ``uneven_p`` asks whether the arms have different shares of named units; ``uneven`` (below .001)
    says that leaving them out would hide something that the treatment did.
    """

    whole: Comparison
    without: Comparison
    named_control: int
    named_treatment: int
    uneven_p: float | None
    uneven: bool


def find_outliers(
    units: Sequence[str], counts: ArrayLike, hours: ArrayLike | None = None
) -> Outliers:
    """The units whose counts, or counts per hour of activity, lie beyond the fences; pooled over
    arms, so blind to them.
    """
    c = _counted(counts)
    if len(units) != c.size:
        raise ImpossibleTotals(
            f"every unit needs a count, found {len(units)} units and {c.size} counts"
        )
    fence, rates = fence_of(c), None if hours is None else _per_hour(c, hours)
    hourly: Fence | NoFence = (
        NoFence("hours of activity are not known") if rates is None else fence_of(rates)
    )
    over_count, over_rate = (
        _over(c, fence),
        np.zeros(c.shape, dtype=bool) if rates is None else _over(rates, hourly),
    )
    named = np.flatnonzero(over_count | over_rate)
    found = [
        Outlier(
            units[k],
            float(c[k]),
            None if rates is None else float(rates[k]),
            tuple(
                name
                for name, over in (("count", over_count[k]), ("per hour", over_rate[k]))
                if over
            ),
        )
        for k in named.tolist()
    ]
    return Outliers(fence, hourly, tuple(sorted(found, key=lambda o: (-o.count, o.unit))))


def fence_of(counts: ArrayLike, units: ArrayLike | None = None) -> Fence | NoFence:
    """The fence of counts (or rates), each held by ``units`` units: from rows, or from a
    histogram.
    """
    c = _counted(counts)
    held = np.ones(c.shape) if units is None else np.asarray(units, dtype=float)
    if held.shape != c.shape:
        raise ImpossibleTotals(
            f"every count needs a number of units, found {c.size} and {held.size}"
        )
    active = c > 0
    n = int(held[active].sum())
    if n < FEWEST_ACTIVE:
        return NoFence(
            f"{n} units counted anything; below {FEWEST_ACTIVE} nobody can be told apart"
        )
    logs, held = np.log1p(c[active]), held[active]
    median = percentile(logs, 0.5, held)
    mad = percentile(np.abs(logs - median), 0.5, held) * MAD_TO_SD
    spread = max(mad, (percentile(logs, 0.95, held) - median) / Q95, LEAST_SPREAD)
    return Fence(math.expm1(min(median + SPREADS * spread, 700.0)), median, spread, n)


def with_and_without(
    control: Totals,
    treatment: Totals,
    named: Mapping[str, Sequence[float]],
    alpha: float = 0.05,
    compare: Compare = compare_means,
) -> WithAndWithout:
    """Compare both arms as they are and without the metric's values of the named units (keys
    ``control``, ``treatment``).
    """
    checked_level(alpha)
    out_c, out_t = (
        Totals.of_values(named.get("control", ())),
        Totals.of_values(named.get("treatment", ())),
    )
    less_c, less_t = without(control, out_c), without(treatment, out_t)
    uneven = compare_proportions(
        Totals.of_rate(out_c.n, control.n), Totals.of_rate(out_t.n, treatment.n)
    ).p
    return WithAndWithout(
        compare(control, treatment, alpha),
        compare(less_c, less_t, alpha),
        out_c.n,
        out_t.n,
        uneven,
        uneven is not None and uneven < UNEVEN_BELOW,
    )


def without(totals: Totals, named: Totals) -> Totals:
    """Totals of the units that are left; refuses to take out more than there is."""
    n = totals.n - named.n
    if n < 0:
        raise ImpossibleTotals(
            f"{named.n} named units among {totals.n}: they must be part of the arm"
        )
    if n == 0:
        return Totals(0, 0.0, 0.0)
    if totals.sum_y2 - named.sum_y2 < -1e-9 * totals.sum_y2:
        raise ImpossibleTotals("the named units' values are larger than the arm's totals allow")
    return totals - named


def _over(values: Array, fence: Fence | NoFence) -> NDArray[np.bool_]:
    return values > (fence.value if isinstance(fence, Fence) else math.inf)


def _per_hour(counts: Array, hours: ArrayLike) -> Array:
    h = _counted(hours)
    if h.shape != counts.shape:
        raise ImpossibleTotals(
            f"every unit needs hours of activity, found {h.size} for {counts.size} units"
        )
    return np.asarray(counts / np.maximum(h, SHORTEST_HOURS))


def _counted(counts: ArrayLike) -> Array:
    c = np.asarray(counts, dtype=float)
    if c.ndim != 1 or not np.all(np.isfinite(c)) or np.any(c < 0):
        raise ImpossibleTotals("counts are finite numbers ≥ 0, one a unit, found others among them")
    return c
