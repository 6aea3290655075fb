"""How much more did treated regions change than control regions?

Two models of the same question. *Two-way fixed effects*: value = region + period + effect·(treated
and after), the default; a region is compared with itself, so levels may differ. *2×2*: value =
1 + treated + after + effect·(treated and after), for rows without repeated regions. On a balanced
panel both give the difference between the groups' mean changes. Assumes that without treatment both
groups would have changed alike (parallel trends), that treatment changes nothing in control regions
(no spill-over), and one start for all. Region effects are swept out by taking each region's own
mean of what is observed; gaps in the panel are allowed. References: Card and Krueger 1994;
Bertrand, Duflo and Mullainathan 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.core.stats.did.cluster import Sandwich, sandwich
from analytics.core.stats.did.panel import Flags, Floats, Panel

EFFECT = 0
"""The column of the effect in every design of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoWay:
    """Two-way fixed effects over the observed cells, region means swept out of every column.

    The effects are the first columns of ``design``, the periods the rest. ``cells`` says which
    cells (regions × periods) are its rows, in their order.
    """

    design: Sandwich
    cells: Flags

    def swept(self, values: Floats) -> Floats:
        """The observed values as rows, each less its region's mean."""
        return _swept(values[self.cells], self.design.starts)


def two_way(panel: Panel) -> TwoWay:
    """One effect: treated and after."""
    return _two_way(panel, (panel.treated[:, None] & panel.post[None, :])[:, :, None].astype(float))


def event_study(panel: Panel, reference: int) -> TwoWay:
    """One effect for each period but the reference: treated in that period, in the order of
    periods.
    """
    others = [t for t in range(len(panel.periods)) if t != reference]
    effects = np.zeros((*panel.values.shape, len(others)))
    for column, t in enumerate(others):
        effects[panel.treated, t, column] = 1.0
    return _two_way(panel, effects)


def trend(panel: Panel) -> TwoWay:
    """One effect: treated times the period's position, a difference in slopes."""
    position = np.arange(len(panel.periods), dtype=float)
    return _two_way(panel, (panel.treated[:, None] * position[None, :])[:, :, None])


def indicators(panel: Panel, weights: Floats) -> TwoWay:
    """One effect per region: that region times ``weights`` of the periods; what relabelling regions
    needs.
    """
    count = len(panel.regions)
    return _two_way(panel, np.eye(count)[:, None, :] * weights[None, :, None])


def two_by_two(
    treated: Floats, after: Floats, clusters: Sequence[object] | NDArray[np.generic]
) -> Sandwich:
    """Rows of a 2×2 comparison: effect, 1, treated, after. Rows of a cluster stand together."""
    return sandwich(
        np.column_stack([treated * after, np.ones(len(treated)), treated, after]), clusters
    )


def _two_way(panel: Panel, effects: Floats) -> TwoWay:
    cells = panel.observed
    regions, periods = np.nonzero(cells)
    seen = cells.any(axis=0)
    dummies = np.eye(len(panel.periods))[:, seen][periods]
    starts = np.flatnonzero(np.r_[True, regions[1:] != regions[:-1]])
    x = _swept(np.column_stack([effects[cells], dummies]), starts)
    return TwoWay(sandwich(x, regions, absorbed=len(starts)), cells)


def _swept(rows: Floats, starts: NDArray[np.intp]) -> Floats:
    sizes = np.diff(np.r_[starts, len(rows)])
    means = np.add.reduceat(rows, starts, axis=0) / (sizes if rows.ndim == 1 else sizes[:, None])
    out: Floats = rows - np.repeat(means, sizes, axis=0)
    return out
