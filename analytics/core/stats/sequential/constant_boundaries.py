"""Where do the textbook designs with equally spaced looks stop? Pocock's and O'Brien and Fleming's
boundaries.

Planned looks k = 1 … K at information k/K; Pocock's boundary is the same z = c at every look,
O'Brien and Fleming's is c·√(K/k). The constant c makes the chance to cross at any look the level.
They allow neither another number of looks nor other times than planned; launches use
``group_sequential.boundaries`` instead. References: Pocock 1977; O'Brien and Fleming 1979; both are
Wang and Tsiatis' (1987) c·(k/K)^(Δ − ½).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtri

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.roots import brentq
from analytics.core.stats.arms.comparison import checked_level
from analytics.core.stats.sequential.group_sequential import Boundaries, crossing_chances

Shape = Literal["pocock", "obrien_fleming"]


@lru_cache(maxsize=256)
def constant_boundaries(
    looks: int, alpha: float = 0.05, sides: Literal[1, 2] = 2, shape: Shape = "obrien_fleming"
) -> Boundaries:
    """Boundaries of equally spaced looks; ``alpha`` is the total over the sides, ``spent`` what was
    used up by each look.
    """
    if looks < 1:
        raise ImpossiblePlan(f"{shape} boundaries need at least one look, found {looks}")
    level = checked_level(alpha)
    times = tuple((k + 1) / looks for k in range(looks))
    form = np.ones(looks) if shape == "pocock" else 1 / np.sqrt(times)

    def chances(constant: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        bounds = constant * form
        ups, downs = crossing_chances(
            times, bounds.tolist(), (-bounds).tolist() if sides == 2 else None
        )
        return np.asarray(ups + downs)

    # Between the fixed test's boundary (too low) and Bonferroni's (too high).
    low, high = -float(ndtri(level / sides)), -float(ndtri(level / sides / looks))
    constant = (
        low
        if looks == 1
        else brentq(lambda c: math.log(chances(c).sum() / level), low, high, xtol=1e-9)
    )
    return Boundaries(
        times,
        tuple((constant * form).tolist()),
        tuple(np.cumsum(chances(constant)).tolist()),
        sides,
    )
