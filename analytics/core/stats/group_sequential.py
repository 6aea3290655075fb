"""When may a repeated look at the data decide? Lan–DeMets boundaries with O'Brien–Fleming spending.

At information time t (the share of the planned information that is in) a side may have spent
α*(t) = 2(1 − Φ(z_{1−a/2}/√t)) of its level a (a = α/2 on each of two sides). The boundary of each
look follows from what was spent before, by recursive numerical integration of the distribution of
the score process over the paths that have not crossed (Armitage, McPherson and Rowe 1969; Lan and
DeMets 1983). Looks may come at any information times; equal times spend nothing.

z statistics are assumed normal with independent increments: each unit enters once, matured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri

from analytics.core.errors import ImpossiblePlan
from analytics.core.stats.comparison import Interval, checked_level

FURTHEST = 10.0
"""The density of paths is followed out to ±10 standard errors; beyond lies less than 10⁻²³."""
SAME_TIME = 1e-9
"""Looks closer than this share of the horizon are one look."""
SMALLEST_SPEND = 1e-250
SMALLEST_P = 1e-12
"""Repeated p-values stop here: smaller ones are beyond the accuracy of the integration."""
LARGEST_P = 0.999
"""Repeated p-values above this are said as 1."""

Array = NDArray[np.float64]
Side = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Per look: information time, boundary for |z| (z when one-sided; inf: nothing to spend), α spent so far on all sides."""

    times: tuple[float, ...]
    z: tuple[float, ...]
    spent: tuple[float, ...]
    sides: Literal[1, 2]


@dataclass(frozen=True, slots=True)
class RepeatedP:
    """The smallest α at which a boundary was crossed at a look so far, and to which side."""

    p: float
    side: Side | None


def spent_by(t: float, level: float) -> float:
    """α*(t) of one side with level a: 2(1 − Φ(z_{1−a/2}/√t)); all of it from t = 1 on."""
    if t >= 1:
        return level
    return float(2 * ndtr(ndtri(level / 2) / math.sqrt(t))) if t > 0 else 0.0


def boundaries(times: Sequence[float], alpha: float = 0.05, sides: Literal[1, 2] = 2, *, final: bool = False) -> Boundaries:
    """Boundaries of looks at rising information times.

    ``alpha`` is the total over the sides. ``final``: the last of these looks is the last look of all
    and spends whatever is left, even at t < 1; the true t stays in the correlation.
    """
    return _boundaries(checked_times(times), checked_level(alpha), sides, final)


def crossing_chances(
    times: Sequence[float], upper: Sequence[float], lower: Sequence[float] | None = None, drift: float = 0.0
) -> tuple[Array, Array]:
    """Chance to cross first at each look (upward, downward), for z with mean drift·√t.

    ``lower`` None means no lower boundary. With drift 0 and repeated fixed boundaries this is the
    exact false-positive rate of peeking; with the drift of a true effect it is the power.
    """
    ts = checked_times(times)
    down = [-math.inf] * len(ts) if lower is None else [float(b) for b in lower]
    path = _Path(drift)
    ups, downs = np.zeros(len(ts)), np.zeros(len(ts))
    for i, t in enumerate(ts):
        path.move_to(t)
        ups[i], downs[i] = math.exp(path.log_tail(float(upper[i]), 1)), math.exp(path.log_tail(down[i], -1))
        path.keep_between(down[i], float(upper[i]), _next_step(ts, i))
    return ups, downs


def repeated_p(times: Sequence[float], z: Sequence[float | None], sides: Literal[1, 2] = 2, *, final: bool = False) -> RepeatedP:
    """The smallest α whose boundary was crossed at one of these looks; p = 1 when none was at any α.

    A look whose z cannot be said (None) crosses nothing. One-sided: only upward crossings count.
    """
    if len(times) != len(z):
        raise ImpossiblePlan(f"{len(times)} looks but {len(z)} statistics: every look needs both")
    best = RepeatedP(1.0, None)
    for side, sign in (("up", 1.0), ("down", -1.0))[: int(sides)]:
        p = _side_p(checked_times(times), tuple(-math.inf if v is None else sign * float(v) for v in z), sides, final)
        if p < best.p:
            best = RepeatedP(p, "up" if side == "up" else "down")
    return best


def crosses(times: Sequence[float], z: float, p: float, *, final: bool = False) -> bool:
    """Whether the latest look alone crosses the two-sided boundary of a level: if not, no earlier repeated p of that size falls."""
    return abs(z) >= boundaries(times, min(p, LARGEST_P), 2, final=final).z[-1]


def repeated_interval(estimate: float, se: float, times: Sequence[float], alpha: float = 0.05, *, final: bool = False) -> Interval | None:
    """The repeated confidence interval at the latest look: estimate ± boundary·se; None when nothing may be spent there."""
    if not times or not se > 0:
        return None
    bound = boundaries(times, alpha, 2, final=final).z[-1]
    return Interval(estimate - bound * se, estimate + bound * se, 1 - alpha) if math.isfinite(bound) else None


@lru_cache(maxsize=1024)
def inflation(looks: int, alpha: float = 0.05, power: float = 0.8, sides: Literal[1, 2] = 2) -> float:
    """By how much looking at ``looks`` equal steps enlarges the sample of a fixed test of the same power."""
    if looks < 1 or not alpha < power < 1:
        raise ImpossiblePlan(f"at least one look and alpha < power < 1, found looks={looks}, alpha={alpha}, power={power}")
    fixed = float(ndtri(power) - ndtri(alpha / sides))
    if looks == 1:
        return 1.0
    times = tuple((i + 1) / looks for i in range(looks))
    bounds = _boundaries(times, checked_level(alpha), sides, False).z
    lower = None if sides == 1 else [-b for b in bounds]

    def short(drift: float) -> float:
        return float(crossing_chances(times, bounds, lower, drift)[0].sum()) - power

    return max(1.0, (brentq(short, fixed * 0.9, fixed * 1.6, xtol=1e-7) / fixed) ** 2)


def checked_times(times: Sequence[float]) -> tuple[float, ...]:
    """Information times as a tuple, capped at 1; refuses anything not positive, not finite or falling."""
    ts = tuple(float(t) for t in times)
    if any(not (math.isfinite(t) and t > 0) for t in ts) or any(b < a - SAME_TIME for a, b in pairwise(ts)):
        raise ImpossiblePlan(f"information times are finite, above 0 and never fall, found {list(times)}")
    return tuple(min(1.0, t) for t in ts)


@lru_cache(maxsize=8192)
def _boundaries(times: tuple[float, ...], alpha: float, sides: Literal[1, 2], final: bool) -> Boundaries:
    level = alpha / sides
    path, spent, bounds, totals = _Path(0.0), 0.0, [], []
    for i, t in enumerate(times):
        fresh = path.move_to(t)
        goal = level if final and i == len(times) - 1 else max(spent, spent_by(t, level))
        bound = path.boundary_for(goal - spent) if fresh or goal > spent else math.inf
        bounds.append(bound)
        spent = goal if math.isfinite(bound) else spent
        totals.append(spent * sides)
        path.keep_between(-bound if sides == 2 else -math.inf, bound, _next_step(times, i))
    return Boundaries(times, tuple(bounds), tuple(totals), sides)


def _next_step(times: tuple[float, ...], i: int) -> float:
    """Width of the next look's kernel in z units of this look (how fine the grid must be)."""
    later = [t for t in times[i + 1 :] if t - times[i] > SAME_TIME]
    return math.sqrt((later[0] - times[i]) / times[i]) if later else math.inf


def _side_p(times: tuple[float, ...], z: tuple[float, ...], sides: Literal[1, 2], final: bool) -> float:
    """Root of "the boundary at α is just crossed" in ln α; boundaries fall as α grows."""
    if not times or not max(z) > 0:
        return 1.0

    def excess(log_alpha: float) -> float:
        bounds = _boundaries(times, math.exp(log_alpha), sides, final).z
        return max(min(v - b, 40.0) if v > -math.inf else -40.0 for v, b in zip(z, bounds, strict=True))

    low, high = math.log(SMALLEST_P), math.log(LARGEST_P)
    if max(excess(high), -40.0) < 0:
        return 1.0
    if excess(low) >= 0:
        return SMALLEST_P
    return math.exp(brentq(lambda a: max(excess(a), -40.0), low, high, xtol=1e-6, rtol=1e-12))


class _Path:
    """Density of z over paths that have crossed nothing so far, on Gauss–Legendre nodes."""

    def __init__(self, drift: float) -> None:
        self.drift, self.t, self.ahead = drift, 0.0, 0.0
        self.nodes: Array = np.zeros(1)
        self.log_mass: Array = np.zeros(1)

    def move_to(self, t: float) -> bool:
        """Look at time t; False when no information came since the last look."""
        self.ahead = t if t - self.t > SAME_TIME else self.t
        return self.ahead > self.t

    def log_tail(self, bound: float, way: int) -> float:
        """ln chance that z at this look lies beyond the bound (way 1: above, −1: below)."""
        if math.isinf(bound):
            return -math.inf
        if self.ahead == self.t:
            return self._log_tail_again(bound, way)
        gap = self.ahead - self.t
        centre = self.nodes * math.sqrt(self.t) + self.drift * gap
        return float(logsumexp(self.log_mass + log_ndtr(way * (centre - bound * math.sqrt(self.ahead)) / math.sqrt(gap))))

    def _log_tail_again(self, bound: float, way: int) -> float:
        """The tail at an unchanged time: what is left of the density, spread evenly between nodes."""
        edges = np.concatenate([self.nodes[:1], (self.nodes[1:] + self.nodes[:-1]) / 2, self.nodes[-1:]])
        below = np.concatenate([[0.0], np.cumsum(np.exp(self.log_mass))])
        share = float(np.interp(bound, edges, below))
        tail = below[-1] - share if way > 0 else share
        return math.log(tail) if tail > 0 else -math.inf

    def boundary_for(self, spend: float) -> float:
        """The upper bound crossed with this chance; inf for a chance too small to matter."""
        if spend < SMALLEST_SPEND:
            return math.inf
        goal, high = math.log(spend), 2.0
        if self.t == 0.0:
            return float(-ndtri(spend))
        while self.log_tail(high, 1) > goal:
            high *= 1.6
        if self.log_tail(-FURTHEST, 1) <= goal:
            return -FURTHEST
        return float(brentq(lambda b: max(self.log_tail(b, 1), -1e4) - goal, -FURTHEST, high, xtol=1e-10, rtol=1e-13))

    def keep_between(self, lower: float, upper: float, step: float) -> None:
        """Drop the paths that crossed at this look and carry on from its time."""
        low = max(lower, self.drift * math.sqrt(self.ahead) - FURTHEST)
        high = min(upper, self.drift * math.sqrt(self.ahead) + FURTHEST)
        if self.ahead == self.t and self.t > 0:
            kept = (self.nodes >= lower) & (self.nodes <= upper)
            self.nodes, self.log_mass = self.nodes[kept], self.log_mass[kept]
            return
        nodes, weights = _nodes(min(600, 40 * max(1, math.ceil(0.055 * (high - low) / min(step, 1.0)))))
        z = low + (nodes + 1) * (high - low) / 2
        self.log_mass = self._log_density(z) + np.log(weights * max(high - low, 1e-300) / 2)
        self.nodes, self.t = z, self.ahead

    def _log_density(self, z: Array) -> Array:
        gap = self.ahead - self.t
        centre = self.nodes * math.sqrt(self.t) + self.drift * gap
        distance = (z[:, None] * math.sqrt(self.ahead) - centre[None, :]) / math.sqrt(gap)
        scale = 0.5 * math.log(self.ahead / gap) - 0.5 * math.log(2 * math.pi)
        density = np.exp(self.log_mass[None, :] - 0.5 * distance**2).sum(axis=1)
        logs: Array = np.log(np.maximum(density, 1e-300)) + scale
        return logs


@lru_cache(maxsize=20)
def _nodes(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
