"""Are arms alike enough in size, or large enough, for a t of skewed values to be right?

With skewed values (cost, time, a count) the skewness of even arms cancels in their difference. In
uneven arms a t is too sure of the smaller one until that has many units. From totals only the
relative spread v = s / mean is known; values that are never negative have a skewness of at least v
− 1/v, and of 2·v where they are gamma-distributed. ``100·v²`` units are Cochran's 25·skewness² with
the latter. References: Cochran 1977, §2.15; ADR 0025 (guardrails), ADR 0036 (looks: simulated error
rates at this size).
"""

from __future__ import annotations

import math

from analytics.core.ground.totals import Totals

EVEN = 0.6
"""Arms are even when the smaller one has more than this share of the larger one's units."""
UNITS_A_SPREAD = 100.0
"""Units that the smaller of two uneven arms needs, times the square of the relative spread."""


def are_even(n_control: float, n_treatment: float) -> bool:
    """Whether arms are alike enough in size for their skewness to cancel."""
    return min(n_control, n_treatment) > EVEN * max(n_control, n_treatment)


def too_small_if_skewed(control: Totals, treatment: Totals) -> tuple[str, ...]:
    """A note on the smaller of two uneven arms that has too few units for skewed values; else
    nothing.

    The relative spread is that of the larger arm, which knows better. Means that are not above 0
    get no note: values of both signs need not be skewed.
    """
    if are_even(control.n, treatment.n):
        return ()
    (name, small), (_, large) = sorted(
        (("control", control), ("treatment", treatment)), key=lambda arm: arm[1].n
    )
    if large.mean is None or large.variance is None or not large.mean > 0:
        return ()
    needed = UNITS_A_SPREAD * (large.variance / large.mean / large.mean)
    if not small.n < needed:
        return ()
    wanted = f"about {math.ceil(needed):,}" if needed < 1e9 else "far more"
    found = f"{name} has {small.n:,} units, the other arm {large.n:,}"
    return (
        f"{found}: if few units have very large values, differences are found too often until {name} has {wanted} units",
    )
