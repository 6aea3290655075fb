"""One or two treated regions: how unusual is their change among all regions' changes?

Question: if nothing had been done, how often would a randomly chosen region (or pair) have shown a
change as large as the treated one? Every choice of as many regions is a placebo; p is the share of
choices, the real one among them, with an effect at least as large in size. Nothing is assumed about
spread or autocorrelation, only that the treated regions might as well have been any others. With G
regions and one treated no p below 1/G exists. The same comparison against other effects than 0
gives an interval. Where one or two *control* regions face many treated ones the question is
mirrored. References: Fisher 1935; Conley and Taber 2011; MacKinnon and Webb 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.did import effects
from analytics.core.stats.did.bootstrap import TIE, inverted
from analytics.core.stats.did.cluster import inverse_square
from analytics.core.stats.did.panel import Floats, Panel

MOST_REGIONS = 700
"""Above this many regions placements are not enumerated (pairs would be a quarter of a million)."""


@dataclass(frozen=True, slots=True)
class Permuted:
    """p over ``choices`` placements of the treatment; ``smallest`` is the smallest p they can
    give.
    """

    p: float
    choices: int
    smallest: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, eq=False)
class Placebos:
    """The effect of every placement: of the data, and of one unit of the real effect; the real one
    is ``real``.
    """

    effects: Floats
    of_effect: Floats
    real: int

    def p(self, null: float = 0.0) -> float:
        """The share of placements whose effect, less the null's part, is at least as large as the
        real one's.
        """
        sizes = np.abs(self.effects - null * self.of_effect)
        return float(np.count_nonzero(sizes >= sizes[self.real] * (1 - TIE)) / len(sizes))


def permute(panel: Panel, alpha: float) -> Permuted | None:
    """The permutation test of the effect; None with under 3 or over 700 regions, or when no region
    changed differently from another.
    """
    found = placebos(panel, panel.post.astype(float))
    if found is None:
        return None
    spread = float(np.abs(found.effects).max())
    count = len(found.effects)
    mirrored = (
        2 if panel.n_treated == panel.n_control else 1
    )  # swapping the groups only turns the sign
    smallest = mirrored / count
    interval = (
        inverted(found.p, float(found.effects[found.real]), spread, alpha)
        if smallest <= alpha
        else None
    )
    return Permuted(found.p(), count, smallest, interval)


def placebos(panel: Panel, weights: Floats) -> Placebos | None:
    """Effects of ``weights`` (of the periods) × treated for every placement of the smaller
    group.
    """
    groups, few = len(panel.regions), panel.smaller_group
    if not 3 <= groups <= MOST_REGIONS or comb(groups, few) > comb(MOST_REGIONS, 2):
        return None
    rare = panel.treated if panel.n_treated <= panel.n_control else ~panel.treated
    sign = 1.0 if rare is panel.treated else -1.0
    choices = np.array(list(combinations(range(groups), few)), dtype=np.intp)
    real = int(np.flatnonzero((choices == np.flatnonzero(rare)).all(axis=1))[0])
    top, bottom, per_effect = _moments(panel, weights, choices, choices[real])
    rounding = 1e-12 * float(np.nanmax(np.abs(panel.values)))
    if not (bottom > 1e-9 * bottom.max()).all() or np.abs(top / bottom).max() <= rounding:
        return None
    return Placebos(sign * top / bottom, per_effect / bottom, real)


def _moments(
    panel: Panel, weights: Floats, choices: NDArray[np.intp], real: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Per placement τ: τ'b, τ'Qτ and τ'Qτ₀, with b and Q the products of the swept region columns
    with y and each other.
    """
    model = effects.indicators(panel, weights)
    columns = model.design.x[:, : len(panel.regions)]
    periods = model.design.x[:, len(panel.regions) :]
    columns = columns - periods @ (inverse_square(periods) @ (periods.T @ columns))
    q, b = columns.T @ columns, columns.T @ model.swept(panel.values)
    within = sum(
        q[choices[:, i], choices[:, j]]
        for i in range(choices.shape[1])
        for j in range(choices.shape[1])
    )
    return (
        b[choices].sum(axis=1),
        np.asarray(within, dtype=float),
        q[:, real].sum(axis=1)[choices].sum(axis=1),
    )


def joint_p(deviations: Floats, treated: NDArray[np.bool_]) -> float | None:
    """How often a placement's mean deviation vector is at least as long as the real one; None when
    all are of length 0.
    """
    few = int(min(treated.sum(), (~treated).sum()))
    rare = treated if treated.sum() <= (~treated).sum() else ~treated
    groups = len(treated)
    if few == 0 or not 3 <= groups <= MOST_REGIONS or comb(groups, few) > comb(MOST_REGIONS, 2):
        return None
    choices = np.array(list(combinations(range(groups), few)), dtype=np.intp)
    inside = deviations[choices].mean(axis=1)
    gaps = inside - (deviations.sum(axis=0) - few * inside) / (groups - few)
    lengths = (gaps**2).sum(axis=1)
    real = int(np.flatnonzero((choices == np.flatnonzero(rare)).all(axis=1))[0])
    if not lengths.max() > 0:
        return None
    return float(np.count_nonzero(lengths >= lengths[real] * (1 - TIE)) / len(lengths))
