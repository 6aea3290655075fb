"""Is a skewed value (cost, time, a count) above an edge in one arm, where one arm is much smaller
than the other?

Of skewed values a small arm that happens to have no large value has a low mean and a low spread as
well, so a plain t is far too sure of the difference. Two things take that out where arms are
uneven: the logarithm of the mean against the logarithm of the edge, factor·control + shift, whose
error varies less; and the smaller arm's relative spread is never taken below the larger arm's,
which knows better. Where a logarithm is not defined, or the shift is a fall, absolute spreads are
compared in the same way. The estimate stays the difference in the metric's units, and the standard
error shown is the one that gives this t.

Assumes that relative spreads are alike on the edge, or larger in the smaller arm. Even arms (the
smaller above six tenths of the larger) keep Welch's t: there the two arms' skewness cancels.
References: Welch 1947; Johnson 1978 (why a t of skewed values errs); ADR 0025 (simulated error
rates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import WelchT, satterthwaite, welch_t
from analytics.core.stats.arms.sizes import are_even


@dataclass(frozen=True, slots=True)
class ArmMean:
    """A mean with the variance of one unit and the number of units (or a share of them)."""

    n: float
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Held:
    """How far treatment lies from the edge, the squared errors of both arms, and what one step
    means in the metric's units.
    """

    distance: float
    v_c: float
    v_t: float
    scale: float

    @property
    def se(self) -> float:
        return math.sqrt(self.v_c + self.v_t)


def held(control: ArmMean, treatment: ArmMean, factor: float = 1.0, shift: float = 0.0) -> Held:
    """Treatment against factor·control + shift, on the scale that the verdict uses for arms of
    these sizes.
    """
    edge = factor * control.mean + shift
    logs = (
        not are_even(control.n, treatment.n)
        and shift >= 0
        and factor * control.mean > 0
        and treatment.mean > 0
    )
    spread_c, spread_t = factor**2 * control.variance, treatment.variance
    if logs:
        spread_c, spread_t = spread_c / edge / edge, spread_t / treatment.mean / treatment.mean
    larger = max(spread_c, spread_t)
    if not are_even(control.n, treatment.n):
        spread_c, spread_t = (larger, spread_t) if control.n < treatment.n else (spread_c, larger)
    distance = math.log(treatment.mean / edge) if logs else treatment.mean - edge
    return Held(distance, spread_c / control.n, spread_t / treatment.n, edge if logs else 1.0)


def uneven_t(
    control: Totals, treatment: Totals, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """ȳ_T − factor·ȳ_C − shift with its t; Welch's where arms are even, None where Welch's is."""
    plain = welch_t(control, treatment, factor, shift)
    if plain is None or are_even(control.n, treatment.n):
        return plain
    found = held(_arm(control), _arm(treatment), factor, shift)
    t = found.distance / found.se
    shown = plain.difference / t if t else found.se * found.scale
    return WelchT(
        plain.difference,
        shown,
        t,
        satterthwaite(found.v_c, control.n - 1, found.v_t, treatment.n - 1),
    )


def _arm(totals: Totals) -> ArmMean:
    return ArmMean(totals.n, totals.mean or 0.0, totals.variance or 0.0)
