"""Wild cluster bootstrap-t with the null imposed: a p-value for few clusters.

Question: how often would a t as large come out if there were no effect and each cluster's whole
vector of residuals had another sign or size? Residuals are those of the model *without* the effect,
so draws obey the null. 10 to 12 clusters: all 2^G sign vectors, p = #≥/2^G, in which the identity
and its mirror always count, so p ≥ 2/2^G. Up to 9: signs alone give too few values, so Webb's six
points, 9,999 draws. Above 12: 9,999 sign vectors. Drawn p = (1 + #≥)/(B + 1). Draws come from a
fixed seed, so the same data give the same p. Fails with one or two treated clusters: there it is
not used. The same draws, tested against other effects than 0, give an interval. References:
Cameron, Gelbach and Miller 2008; Webb 2023; MacKinnon and Webb 2018; Roodman et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.did.cluster import Sandwich, cr1, inverse_square
from analytics.core.stats.did.panel import Floats

DRAWS = 9_999
SEED = 20_080_427
MOST_FOR_WEBB = 9
MOST_ENUMERATED = 12
WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
TIE = 1e-9
"""Statistics this close, relatively, are the same number computed twice."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """|t| of the data, its p, and how the draws were made."""

    t: float
    p: float
    draws: int
    weights: str


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """The draws of one data set for every null value at once.

    Against "effect = v" a draw's t has the numerator ``top − v·top_v`` and the squared denominator
    ``q0 − 2·v·q1 + v²·q2``: residuals are linear in v.
    """

    value: float
    se: float
    top: Floats
    top_v: Floats
    q0: Floats
    q1: Floats
    q2: Floats
    enumerated: bool
    weights: str

    def p(self, null: float = 0.0) -> float:
        """The two-sided p against "effect = null"."""
        bottom = self.q0 - 2 * null * self.q1 + null**2 * self.q2
        return _share(
            abs(self.value - null) / self.se,
            np.abs(self.top - null * self.top_v),
            bottom,
            self.enumerated,
        )

    def drawn(self) -> Drawn:
        """The test against no effect."""
        return Drawn(abs(self.value) / self.se, self.p(), len(self.top), self.weights)

    def interval(self, alpha: float) -> Interval | None:
        """Every effect not rejected at α; None when one side has no limit."""
        return inverted(self.p, self.value, self.se, alpha)


def bootstrap(
    design: Sandwich, y: Floats, column: int, *, every_sign: bool | None = None
) -> Bootstrap | None:
    """The draws for one coefficient; None where the residuals leave no standard error.

    ``every_sign`` overrules the choice by the number of clusters, for agreement with other
    programs.
    """
    found = cr1(design, y, column)
    if found.se is None:
        return None
    draws, enumerated, weights = draws_for(design.clusters, every_sign)
    a0, s0 = _scores(design, _without(design, y, column), column)
    a1, s1 = _scores(design, _without(design, design.x[:, column], column), column)
    q0, q1, q2 = (
        _squares(draws, design.cr1 * k) for k in (s0.T @ s0, (s0.T @ s1 + s1.T @ s0) / 2, s1.T @ s1)
    )
    return Bootstrap(found.value, found.se, draws @ a0, draws @ a1, q0, q1, q2, enumerated, weights)


def null_p(design: Sandwich, y: Floats, column: int) -> float | None:
    """The p against no effect alone, at a third of the work; None as for ``bootstrap``."""
    found = cr1(design, y, column)
    if found.t is None:
        return None
    draws, enumerated, _ = draws_for(design.clusters)
    a, s = _scores(design, _without(design, y, column), column)
    return _share(
        abs(found.t), np.abs(draws @ a), _squares(draws, design.cr1 * (s.T @ s)), enumerated
    )


def _share(t: float, top: Floats, bottom: Floats, enumerated: bool) -> float:
    """How many draws reach t, as a p; ``bottom`` is squared."""
    reached = int(np.count_nonzero(top >= t * (1 - TIE) * np.sqrt(np.maximum(bottom, 0.0))))
    return reached / len(top) if enumerated else (1 + reached) / (len(top) + 1)


def _squares(draws: Floats, k: Floats) -> Floats:
    """w'Kw of every draw."""
    out: Floats = np.einsum("ij,ij->i", draws @ k, draws)
    return out


@lru_cache(maxsize=8)
def draws_for(clusters: int, every_sign: bool | None = None) -> tuple[Floats, bool, str]:
    """(draws × clusters, whether they are all there are, their name): the fixed rule by the number
    of clusters.
    """
    if MOST_FOR_WEBB < clusters <= MOST_ENUMERATED if every_sign is None else every_sign:
        bits = np.arange(2**clusters)[:, None] >> np.arange(clusters)[None, :] & 1
        found, enumerated, name = (
            (1 - 2 * bits).astype(np.float64),
            True,
            f"Rademacher, all {2**clusters:,}",
        )
    else:
        generator = np.random.default_rng([SEED, clusters])
        points = WEBB if clusters <= MOST_FOR_WEBB else np.array([-1.0, 1.0])
        found, enumerated = points[generator.integers(len(points), size=(DRAWS, clusters))], False
        name = f"{'Webb' if clusters <= MOST_FOR_WEBB else 'Rademacher'}, {DRAWS:,} draws"
    found.setflags(write=False)
    return found, enumerated, name


def inverted(
    p: Callable[[float], float], value: float, scale: float, alpha: float
) -> Interval | None:
    """The values around the estimate with p > α, found by stepping outward and halving; None
    without a limit.
    """
    low, high = (_edge(p, value, sign * scale, alpha) for sign in (-1.0, 1.0))
    return None if low is None or high is None else Interval(low, high, 1 - alpha)


def _edge(p: Callable[[float], float], value: float, step: float, alpha: float) -> float | None:
    inside, outside = value, value + 2 * step
    for _ in range(40):
        if p(outside) <= alpha:
            break
        inside, outside = outside, value + 2 * (outside - value)
    else:
        return None
    for _ in range(60):
        middle = (inside + outside) / 2
        if p(middle) <= alpha:
            outside = middle
        else:
            inside = middle
        if abs(outside - inside) <= 1e-10 * abs(step):
            break
    return outside


def _without(design: Sandwich, y: Floats, column: int) -> Floats:
    """Residuals of y in the model without the column."""
    others = np.delete(design.x, column, axis=1)
    return y - others @ (inverse_square(others) @ (others.T @ y))


def _scores(design: Sandwich, residuals: Floats, column: int) -> tuple[Floats, Floats]:
    """(a, S): a draw w has the coefficient a·w and the cluster scores S w, once the model is fitted
    to w·residuals again.
    """
    line = design.influence[:, column]
    a = design.per_cluster(line * residuals)
    leverage = design.per_cluster(line[:, None] * design.x) @ design.bread
    return a, np.diag(a) - leverage @ design.per_cluster(residuals[:, None] * design.x).T
