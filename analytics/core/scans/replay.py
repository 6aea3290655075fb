"""One arm split anew, many times: what p-values does the engine give where there is nothing to
find?

Real control units keep everything that simulations leave out: heavy tails, weekdays, broken
loggers. The store totals them in thousands of cells, cells are dealt into two pretended arms at
random, as a launch deals buckets into real ones, and the arms are compared by the metric's own
kind. With nothing to find p-values are uniform, and one in twenty lies below .05. Totals of cells
add up, so a split costs one sum.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.core.stats.uniformity import binomial_bounds, ks_uniform

FEWEST_CELLS = 20
"""Below this many cells with units there are too few ways to split them."""
AT_ONCE = 100
"""Splits drawn at once: memory, not mathematics."""
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What K splits of one arm gave for one metric.

    ``p`` holds one value a split that could say; ``below`` is the share of them below .05, to be
    held against ``low`` and ``high`` (99.9 % binomial bounds); ``ks_p`` asks whether they are
    uniform at all. ``reason`` says why there is nothing.
    """

    method: str
    splits: int
    p: tuple[float, ...] = ()
    below: float | None = None
    low: float | None = None
    high: float | None = None
    ks_p: float | None = None
    reason: str | None = None

    @property
    def as_promised(self) -> bool | None:
        """Whether the false-positive rate lies within its bounds; None when it cannot be said."""
        if self.below is None or self.low is None or self.high is None:
            return None
        return self.low <= self.below <= self.high


def replay(
    kind: str,
    cells: Sequence[Observed],
    splits: int,
    rng: np.random.Generator,
    *,
    adjusted: bool = False,
) -> ReplayResult:
    """Split the cells in half ``splits`` times and compare; ``adjusted``: by the estimate with
    covariates.
    """
    rules = kind_of(kind)
    method = "with covariates" if adjusted else "raw"
    if rules.form not in ("unit", "ratio"):
        return ReplayResult(
            method, splits, reason=f"totals of a {kind} do not add up over cells: not split anew"
        )
    if len(cells) < FEWEST_CELLS:
        return ReplayResult(
            method,
            splits,
            reason=f"{len(cells)} cells hold units; {FEWEST_CELLS} are needed to split them",
        )
    found = []
    for one, other in halves(cells, splits, rng):
        compared = (
            rules.adjusted(one, other, ALPHA) if adjusted else rules.compare(one, other, ALPHA)
        )
        if compared is not None and compared.p is not None:
            found.append(compared.p)
    if not found:
        return ReplayResult(method, splits, reason="no split could be compared")
    bounds = binomial_bounds(len(found), ALPHA)
    below = sum(p < ALPHA for p in found) / len(found)
    return ReplayResult(
        method, splits, tuple(found), below, bounds.low, bounds.high, ks_uniform(found).p
    )


def halves(
    cells: Sequence[Observed], splits: int, rng: np.random.Generator
) -> Iterator[tuple[Observed, Observed]]:
    """Totals of two random halves of the cells, ``splits`` times."""
    like = cells[0]
    origins = _means(cells)
    table = np.array([_flat(cell, origins) for cell in cells])
    whole, half = table.sum(axis=0), len(cells) // 2
    for start in range(0, splits, AT_ONCE):
        drawn = rng.random((min(AT_ONCE, splits - start), len(cells)))
        chosen = np.argsort(drawn, axis=1) < half
        for row in chosen.astype(float) @ table:
            yield _restored(like, origins, row), _restored(like, origins, whole - row)


def _parts(cell: Observed) -> tuple[UnitMoments, ...]:
    """The moments that a cell consists of."""
    if isinstance(cell, Remembered):
        return (cell.known, cell.missing)
    if isinstance(cell, UnitMoments):
        return (cell,)
    if isinstance(cell, Totals):
        return (UnitMoments.of_totals(cell.alone, ("y",)),)
    raise ImpossibleTotals(f"totals of {type(cell).__name__} do not add up over cells")


def _means(cells: Sequence[Observed]) -> list[list[float]]:
    """What is counted from: the means over all cells, so that sums keep the spread."""
    wholes = [reduce(operator.add, parts) for parts in zip(*map(_parts, cells), strict=True)]
    return [[total / whole.n if whole.n else 0.0 for total in whole.sums] for whole in wholes]


def _flat(cell: Observed, origins: Sequence[Sequence[float]]) -> list[float]:
    """n and every sum about the origins, in an order that ``_restored`` knows."""
    flat: list[float] = []
    for part, origin in zip(_parts(cell), origins, strict=True):
        sums, products = part.above(origin)
        flat += [part.n, *sums, *products]
    return flat


def _restored(
    like: Observed, origins: Sequence[Sequence[float]], row: NDArray[np.float64]
) -> Observed:
    """Totals of the same form from summed numbers; what rounding takes below zero is zero."""
    parts, at = list[UnitMoments](), 0
    for part, origin in zip(_parts(like), origins, strict=True):
        size = 1 + len(part.sums) + len(part.products)
        parts.append(_moments(part.names, origin, row[at : at + size].tolist()))
        at += size
    if isinstance(like, Remembered):
        return Remembered(*parts)
    return parts[0] if isinstance(like, UnitMoments) else parts[0].of("y")


def _moments(names: Sequence[str], origins: Sequence[float], row: Sequence[float]) -> UnitMoments:
    k, n = len(names), round(row[0])
    numbers = row[1:] if n else [0.0] * (len(row) - 1)
    return UnitMoments.about(n, names, origins, numbers[:k], numbers[k:])
