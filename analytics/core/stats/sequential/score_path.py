"""Where is z now, if it has crossed no boundary so far? The density that boundaries are computed
from.

z at information time t is normal with mean drift·√t and variance 1; z√t has independent increments.
The density over the paths that have not crossed is carried from look to look by recursive numerical
integration on Gauss–Legendre nodes (Armitage, McPherson and Rowe 1969). Masses are kept as
logarithms, so that the 10⁻²⁰⁰ an early look may spend does not vanish.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from analytics.core.ground.roots import brentq

FURTHEST = 10.0
"""The density of paths is followed out to ±10 standard errors; beyond lies less than 10⁻²³."""
SAME_TIME = 1e-9
"""Looks closer than this share of the horizon are one look."""
SMALLEST_SPEND = 1e-250
LOG_ROOT_TAU = 0.5 * math.log(2 * math.pi)
MOST_STEPS = 100
MOST_PANELS = 50
"""Of 40 nodes each; one panel resolves a kernel of an eighteenth of its width to rounding."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScorePath:
    """The density of z at time ``t`` over paths that have crossed nothing; at t = 0 all mass is at
    0.
    """

    drift: float = 0.0
    t: float = 0.0
    nodes: Array = field(default_factory=lambda: np.zeros(1))
    log_mass: Array = field(default_factory=lambda: np.zeros(1))

    def is_news(self, t: float) -> bool:
        """Whether information came between this look and one at time t."""
        return t - self.t > SAME_TIME

    def log_tail(self, t: float, bound: float, way: int) -> float:
        """ln chance that z at time t lies beyond the bound (way 1: above, −1: below)."""
        if math.isinf(bound):
            return -math.inf
        if not self.is_news(t):
            return self._log_tail_again(bound, way)
        return _log_sum(
            self.log_mass
            + log_ndtr(way * (self._centre(t) - bound * math.sqrt(t)) / math.sqrt(t - self.t))
        )

    def boundary_for(self, t: float, spend: float) -> float:
        """The upper bound crossed at time t with this chance; inf for a chance too small to
        matter.
        """
        if spend < SMALLEST_SPEND:
            return math.inf
        if self.t == 0.0:
            return float(self.drift * math.sqrt(t) - ndtri(spend))
        goal = math.log(spend)
        return (
            self._newton(t, goal, -float(ndtri(spend)))
            if self.is_news(t)
            else self._boundary_again(goal)
        )

    def carried(self, t: float, lower: float, upper: float, step: float) -> ScorePath:
        """The path after the look at time t, without what crossed there.

        ``step`` is the width of the next look's kernel in z units of this one: how fine the grid
        must be.
        """
        if not self.is_news(t) and self.t > 0:
            kept = (self.nodes >= lower) & (self.nodes <= upper)
            return ScorePath(self.drift, self.t, self.nodes[kept], self.log_mass[kept])
        low = max(lower, self.drift * math.sqrt(t) - FURTHEST)
        high = min(upper, self.drift * math.sqrt(t) + FURTHEST)
        places, log_weights = _nodes(
            min(MOST_PANELS, max(1, math.ceil(0.055 * (high - low) / min(step, 1.0))))
        )
        z = low + (places + 1) * ((high - low) / 2)
        width = math.log(max(high - low, 1e-300) / 2)
        return ScorePath(self.drift, t, z, self._log_density(t, z) + (log_weights + width))

    def _centre(self, t: float) -> Array:
        """Where each node's score is expected at time t."""
        return self.nodes * math.sqrt(self.t) + self.drift * (t - self.t)

    def _log_density(self, t: float, z: Array) -> Array:
        gap = t - self.t
        distance = np.subtract.outer(z * math.sqrt(t / gap), self._centre(t) / math.sqrt(gap))
        np.multiply(distance, distance, out=distance)
        distance *= -0.5
        distance += self.log_mass
        density = np.exp(distance, out=distance).sum(axis=1)
        logs: Array = np.log(np.maximum(density, 1e-300)) + (0.5 * math.log(t / gap) - LOG_ROOT_TAU)
        return logs

    def _newton(self, t: float, goal: float, start: float) -> float:
        """Root of ln tail = goal. The tail is log-concave, so Newton's steps from the right never
        overshoot.

        ``start`` is at or right of the root: the same chance with nothing taken away before.
        """
        gap = t - self.t
        scale, centre = math.sqrt(t / gap), self._centre(t) / math.sqrt(gap)
        b = start
        for _ in range(MOST_STEPS):
            away = centre - b * scale
            tail = _log_sum(self.log_mass + log_ndtr(away))
            if math.isinf(tail):
                return -FURTHEST
            slope = scale * math.exp(
                min(700.0, _log_sum(self.log_mass - 0.5 * away**2) - LOG_ROOT_TAU - tail)
            )
            step = (tail - goal) / max(slope, 1e-300)
            b += step
            if b <= -FURTHEST:
                return -FURTHEST
            if abs(step) < 1e-9:
                return b
        return b

    def _boundary_again(self, goal: float) -> float:
        if self._log_tail_again(-FURTHEST, 1) <= goal:
            return -FURTHEST
        return float(
            brentq(
                lambda b: max(self._log_tail_again(b, 1), -1e4) - goal,
                -FURTHEST,
                4 * FURTHEST,
                xtol=1e-10,
                rtol=1e-13,
            )
        )

    def _log_tail_again(self, bound: float, way: int) -> float:
        """The tail at an unchanged time: what is left of the density, spread evenly between
        nodes.
        """
        if not self.nodes.size:
            return -math.inf
        edges = np.concatenate(
            [self.nodes[:1], (self.nodes[1:] + self.nodes[:-1]) / 2, self.nodes[-1:]]
        )
        below = np.concatenate([[0.0], np.cumsum(np.exp(self.log_mass))])
        share = float(np.interp(bound, edges, below))
        tail = below[-1] - share if way > 0 else share
        return math.log(tail) if tail > 0 else -math.inf


def _log_sum(logs: Array) -> float:
    """ln Σ exp, without the overhead of the general function: it is called some hundred times per
    design.
    """
    top = float(logs.max()) if logs.size else -math.inf
    return top + math.log(float(np.exp(logs - top).sum())) if math.isfinite(top) else top


@lru_cache(maxsize=20)
def _nodes(panels: int) -> tuple[Array, Array]:
    """Nodes on (−1, 1) and the logarithms of their weights: 40 Gauss–Legendre nodes in each of
    equal panels.
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    middles = (2 * np.arange(panels) + 1) / panels - 1
    return (middles[:, None] + nodes / panels).ravel(), np.log(np.tile(weights / panels, panels))
