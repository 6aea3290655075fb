"""Where should one unit's value be cut, so that a few extreme units do not drown a mean?

The cap is the 99.9 % quantile of the units' values that are not zero, pooled over arms (a cap per
arm would hide an effect in the tail), interpolated linearly. It is found once, at the first look,
stored, and applied in a second pass: a cap that moves with the data changes the metric between
looks. The comparison is then of capped means, a little nearer to 0 than of whole ones. Refused for
proportions (nothing to cut), quantiles and durations (the tail is what they measure), cost (money
that was spent was spent) and below 1,000 non-zero units (the quantile would be one unit's value).
References: Tukey 1962; Hyndman and Fan 1996, definition 7 (the interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals, origin_of

CAP_QUANTILE = 0.999
FEWEST_NON_ZERO = 1_000
REFUSED_KINDS = {
    "proportion": "a yes or no has no extreme values",
    "quantile": "the tail is what a quantile measures",
    "duration": "the tail is what a duration's quantile measures",
}

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cap:
    """A frozen cap in the metric's units: which quantile it is, and of how many non-zero units.
    Stored with the first look.
    """

    value: float
    quantile: float
    non_zero_units: int


@dataclass(frozen=True, slots=True)
class NoCap:
    """Values stay whole, and why."""

    reason: str


def find_cap(
    values: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    kind: str = "mean",
    is_cost: bool = False,
    quantile: float = CAP_QUANTILE,
) -> Cap | NoCap:
    """The cap of the units of all arms together, from their values or from a histogram (values and
    how many units have each).
    """
    if kind in REFUSED_KINDS:
        return NoCap(f"{kind}: {REFUSED_KINDS[kind]}")
    if is_cost:
        return NoCap("cost: money that was spent is counted whole")
    v, n = _histogram(values, counts)
    kept = (v != 0) & (n > 0)
    units = int(n[kept].sum())
    if units < FEWEST_NON_ZERO:
        return NoCap(
            f"{units} units have a value other than 0; below {FEWEST_NON_ZERO:,} the cap would be one unit's value"
        )
    return Cap(percentile(v[kept], quantile, n[kept]), quantile, units)


def percentile(values: ArrayLike, q: float, counts: ArrayLike | None = None) -> float:
    """The q-quantile of values, each held by ``counts`` units, with linear interpolation at (N −
    1)·q.
    """
    if not 0 <= q <= 1:
        raise ImpossiblePlan(f"a quantile lies between 0 and 1, found {q!r}")
    v, n = _histogram(values, counts)
    order = np.argsort(v, kind="stable")
    v, upto = v[order], np.cumsum(n[order])
    if not len(v) or not upto[-1] > 0:
        raise ImpossibleTotals("a quantile of no units was asked for")
    place = float(upto[-1] - 1) * q
    below = v[np.searchsorted(upto, np.floor(place), side="right")]
    above = v[np.searchsorted(upto, np.ceil(place), side="right")]
    return float(below + (above - below) * (place - np.floor(place)))


def capped(values: Sequence[float], cap: Cap | NoCap) -> list[float]:
    """Values with everything above the cap put at the cap."""
    return list(values) if isinstance(cap, NoCap) else [min(v, cap.value) for v in values]


def capped_totals(values: ArrayLike, cap: Cap | NoCap, counts: ArrayLike | None = None) -> Totals:
    """Totals of one arm after the cap: the second pass."""
    v, n = _histogram(values, counts)
    if isinstance(cap, Cap):
        v = np.minimum(v, cap.value)
    origin = origin_of((float(v.min()), float(v.max()))) if v.size else 0.0
    above = v - origin
    return Totals.about(
        int(n.sum()), (origin,), (float((n * above).sum()),), (float((n * above * above).sum()),)
    )


def _histogram(values: ArrayLike, counts: ArrayLike | None) -> tuple[Array, Array]:
    v = np.asarray(values, dtype=float)
    n = np.ones(v.shape) if counts is None else np.asarray(counts, dtype=float)
    if v.ndim != 1 or n.shape != v.shape:
        raise ImpossibleTotals(
            f"every value needs a number of units, found {v.shape} values and {n.shape} counts"
        )
    if not np.all(np.isfinite(v)):
        raise ImpossibleTotals("units' values must be finite, found NaN or infinity among them")
    if not np.all(np.isfinite(n)) or np.any(n < 0) or np.any(n != np.round(n)):
        raise ImpossibleTotals(
            "a histogram holds whole numbers of units, found others among its counts"
        )
    return v, n
