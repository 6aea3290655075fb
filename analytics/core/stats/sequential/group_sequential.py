"""When may a repeated look at the data decide? Lan–DeMets boundaries, by default with
O'Brien–Fleming spending.

At information time t (the share of the planned information that is in) a side may have spent
α*(t) = 2(1 − Φ(z_{1−a/2}/√t)) of its level a (a = α/2 on each of two sides). The boundary of each
look follows from what was spent before (``score_path``; Lan and DeMets 1983). Looks may come at any
information times; equal times spend nothing. Other spending families (``spending``) are for
reconciling with other people's designs; what a launch uses is the default.

z statistics are assumed normal with independent increments: each unit enters once, matured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.special import ndtri

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.roots import brentq
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.sequential.score_path import SAME_TIME, Array, ScorePath
from analytics.core.stats.sequential.spending import OBRIEN_FLEMING, SpendingFamily

AGAIN_STEP = 0.05
"""Fineness of the grid where a last look brings no information and its tail is read off the nodes.
"""
SMALLEST_P = 1e-12
"""Repeated p-values stop here: smaller ones are beyond the accuracy of the integration."""
LARGEST_P = 0.999
"""Repeated p-values above this are said as 1."""

Side = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Per look: information time, boundary for |z| (z when one-sided; inf: nothing to spend), α
    spent so far on all sides.
    """

    times: tuple[float, ...]
    z: tuple[float, ...]
    spent: tuple[float, ...]
    sides: Literal[1, 2]


@dataclass(frozen=True, slots=True)
class RepeatedP:
    """The smallest α at which a boundary was crossed at a look so far, and to which side."""

    p: float
    side: Side | None


def boundaries(
    times: Sequence[float],
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    *,
    final: bool = False,
    spending: SpendingFamily = OBRIEN_FLEMING,
) -> Boundaries:
    """Boundaries of looks at rising information times.

    ``alpha`` is the total over the sides. ``final``: the last of these looks is the last look of
    all and spends whatever is left, even at t < 1; the true t stays in the correlation.
    """
    return _boundaries(checked_times(times), checked_level(alpha), sides, final, spending)


def crossing_chances(
    times: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float] | None = None,
    drift: float = 0.0,
) -> tuple[Array, Array]:
    """Chance to cross first at each look (upward, downward), for z with mean drift·√t.

    ``lower`` None means no lower boundary. With drift 0 and repeated fixed boundaries this is the
    exact false-positive rate of peeking; with the drift of a true effect it is the power.
    """
    ts = checked_times(times)
    down = [-math.inf] * len(ts) if lower is None else [float(b) for b in lower]
    path = ScorePath(drift)
    ups, downs = np.zeros(len(ts)), np.zeros(len(ts))
    for i, t in enumerate(ts):
        ups[i], downs[i] = (
            math.exp(path.log_tail(t, float(upper[i]), 1)),
            math.exp(path.log_tail(t, down[i], -1)),
        )
        path = path.carried(t, down[i], float(upper[i]), _next_step(ts, i))
    return ups, downs


def repeated_p(
    times: Sequence[float],
    z: Sequence[float | None],
    sides: Literal[1, 2] = 2,
    *,
    final: bool = False,
) -> RepeatedP:
    """The smallest α whose boundary was crossed at one of these looks; p = 1 when none was at any
    α.

    A look whose z cannot be said (None) crosses nothing. One-sided: only upward crossings count.
    """
    if len(times) != len(z):
        raise ImpossiblePlan(f"{len(times)} looks but {len(z)} statistics: every look needs both")
    if any(v is not None and not math.isfinite(v) for v in z):
        raise ImpossiblePlan(f"statistics of looks are finite or None, found {list(z)}")
    ts = checked_times(times)
    heights = tuple(
        -math.inf if v is None else float(v) if sides == 1 else abs(float(v)) for v in z
    )
    p = _smallest_level(ts, heights, sides, final)
    if p is None:
        return RepeatedP(1.0, None)
    first = max(range(len(ts)), key=_excesses(ts, heights, p, sides, final).__getitem__)
    return RepeatedP(p, "up" if (z[first] or 0.0) > 0 else "down")


def crosses(times: Sequence[float], z: float, p: float, *, final: bool = False) -> bool:
    """Whether the latest look alone crosses the two-sided boundary of a level: if not, no earlier
    repeated p of that size falls.
    """
    return abs(z) >= boundaries(times, min(p, LARGEST_P), 2, final=final).z[-1]


def repeated_interval(
    estimate: float, se: float, times: Sequence[float], alpha: float = 0.05, *, final: bool = False
) -> Interval | None:
    """The repeated confidence interval at the latest look: estimate ± boundary·se; None when
    nothing may be spent there.
    """
    if not times or not se > 0:
        return None
    bound = boundaries(times, alpha, 2, final=final).z[-1]
    return (
        Interval(estimate - bound * se, estimate + bound * se, 1 - alpha)
        if math.isfinite(bound)
        else None
    )


@lru_cache(maxsize=1024)
def inflation(
    looks: int, alpha: float = 0.05, power: float = 0.8, sides: Literal[1, 2] = 2
) -> float:
    """By how much looking at ``looks`` equal steps enlarges the sample of a fixed test of the same
    power.
    """
    if looks < 1 or not alpha < power < 1:
        raise ImpossiblePlan(
            f"at least one look and alpha < power < 1, found looks={looks}, alpha={alpha}, power={power}"
        )
    fixed = float(ndtri(power) - ndtri(alpha / sides))
    return max(1.0, (needed_drift(looks, alpha, power, sides) / fixed) ** 2)


@lru_cache(maxsize=1024)
def needed_drift(
    looks: int, alpha: float, power: float, sides: Literal[1, 2] = 2, stretch: float = 1.0
) -> float:
    """How many true standard errors the effect must be worth at the end, to be found at one of
    equal looks.

    ``stretch``: the standard error that the test itself uses, over the true one. Boundaries are
    held against the test's own z, so a test that takes its error on the edge of a margin has them
    moved by this factor.
    """
    fixed = float(ndtri(power) - stretch * ndtri(alpha / sides))
    if looks == 1:
        return fixed
    times = tuple((i + 1) / looks for i in range(looks))
    bounds = [b * stretch for b in _boundaries(times, checked_level(alpha), sides).z]
    lower = None if sides == 1 else [-b for b in bounds]

    def short(drift: float) -> float:
        return float(crossing_chances(times, bounds, lower, drift)[0].sum()) - power

    return float(brentq(short, fixed * 0.9, fixed * 1.6, xtol=1e-7))


def checked_times(times: Sequence[float]) -> tuple[float, ...]:
    """Information times as a tuple, capped at 1; refuses anything not positive, not finite or
    falling.
    """
    ts = tuple(float(t) for t in times)
    if any(not (math.isfinite(t) and t > 0) for t in ts) or any(
        b < a - SAME_TIME for a, b in pairwise(ts)
    ):
        raise ImpossiblePlan(
            f"information times are finite, above 0 and never fall, found {list(times)}"
        )
    return tuple(min(1.0, t) for t in ts)


@dataclass(frozen=True, slots=True)
class _Stage:
    """Looks so far, all they spent on one side, and where the next one starts from.

    ``path`` led to the latest look with new information, at time ``t``; what crossed its ``bound``
    is taken out once it is known how fine a grid the next look needs.
    """

    path: ScorePath = field(default_factory=ScorePath)
    t: float = 0.0
    bound: float = math.inf
    bounds: tuple[float, ...] = ()
    spent: tuple[float, ...] = (0.0,)


def _boundaries(
    times: tuple[float, ...],
    alpha: float,
    sides: Literal[1, 2],
    final: bool = False,
    spending: SpendingFamily = OBRIEN_FLEMING,
) -> Boundaries:
    """Look by look, each from the cached one before: a day's look costs one integration, not one
    for every day so far.
    """
    stage = _Stage()
    for k in range(1, len(times) + 1):
        stage = _stage(times[:k], alpha / sides, sides, final and k == len(times), spending)
    return Boundaries(times, stage.bounds, tuple(s * sides for s in stage.spent[1:]), sides)


@lru_cache(maxsize=2048)
def _stage(
    times: tuple[float, ...],
    level: float,
    sides: Literal[1, 2],
    final: bool,
    spending: SpendingFamily,
) -> _Stage:
    before = _stage(times[:-1], level, sides, False, spending) if len(times) > 1 else _Stage()
    t, so_far = times[-1], before.spent[-1]
    news = t - before.t > SAME_TIME
    if not news and not final:
        return replace(before, bounds=(*before.bounds, math.inf), spent=(*before.spent, so_far))
    path = before.path
    if before.t > 0:
        lower = -before.bound if sides == 2 else -math.inf
        path = path.carried(
            before.t,
            lower,
            before.bound,
            math.sqrt((t - before.t) / before.t) if news else AGAIN_STEP,
        )
    goal = level if final else max(so_far, spending.spent_by(t, level))
    bound = path.boundary_for(t, goal - so_far)
    return _Stage(
        path,
        t,
        bound,
        (*before.bounds, bound),
        (*before.spent, goal if math.isfinite(bound) else so_far),
    )


def _next_step(times: tuple[float, ...], i: int) -> float:
    """Width of the next new look's kernel in z units of this look (how fine the grid must be)."""
    return next(
        (math.sqrt((t - times[i]) / times[i]) for t in times[i + 1 :] if t - times[i] > SAME_TIME),
        AGAIN_STEP,
    )


def _excesses(
    times: tuple[float, ...],
    heights: tuple[float, ...],
    alpha: float,
    sides: Literal[1, 2],
    final: bool,
) -> list[float]:
    """By how much each look lies beyond its boundary of a level, within ±40."""
    bounds = _boundaries(times, alpha, sides, final).z
    return [
        max(-40.0, min(h - b, 40.0)) if h > -math.inf else -40.0
        for h, b in zip(heights, bounds, strict=True)
    ]


def _smallest_level(
    times: tuple[float, ...], heights: tuple[float, ...], sides: Literal[1, 2], final: bool
) -> float | None:
    """Root of "a boundary at α is just crossed" in ln α (boundaries fall as α grows); None when
    none is at any α.
    """
    if not times or not max(heights) > 0:
        return None

    def excess(log_alpha: float) -> float:
        return max(_excesses(times, heights, math.exp(log_alpha), sides, final))

    low, high = math.log(SMALLEST_P), math.log(LARGEST_P)
    if excess(high) < 0:
        return None
    if excess(low) >= 0:
        return SMALLEST_P
    return math.exp(brentq(excess, low, high, xtol=1e-6, rtol=1e-12))
