"""After a promotion: does what was promoted still do better than the units held back?

The comparison goes on for weeks and is read daily, so it rests on the always-valid sequence: the
gain is called lost when its one-sided upper bound is below 0. ``gain`` is oriented so that more is
better. What a small holdback can see at all is said with it: the smallest loss that a fixed test of
its size finds with power .8. Says nothing below 100 units or without a standard error. Reference:
as ``anytime``.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.stats.arms.normal import quantile, upper_quantile
from analytics.core.stats.arms.score import MarginScore
from analytics.core.stats.intervals import anytime

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True, slots=True)
class HoldbackReading:
    """The gain over the holdback with its always-valid bounds and the smallest effect this holdback
    finds.

    ``lost``: the gain's upper bound is below 0, so the promotion is to be taken back; None: cannot
    say, see ``reason``.
    """

    gain: float | None
    lower: float | None
    upper: float | None
    mde: float | None
    lost: bool | None
    reason: str | None = None


def read_holdback(
    contrast: MarginScore | None, n: int, *, more_is_better: bool = True, alpha: float = ALPHA
) -> HoldbackReading:
    """Promoted units against held-back ones: ``contrast`` is promoted − held back on the metric,
    ``n`` all units of both.
    """
    if contrast is None or not contrast.se > 0:
        return HoldbackReading(
            None,
            None,
            None,
            None,
            None,
            "no spread, or no units on one side: a standard error cannot be estimated",
        )
    gain = contrast.estimate if more_is_better else -contrast.estimate
    mde = (upper_quantile(alpha / 2) + quantile(POWER)) * contrast.se
    if n < anytime.FEWEST_UNITS:
        return HoldbackReading(
            gain,
            None,
            None,
            mde,
            None,
            f"{n} units; below {anytime.FEWEST_UNITS} nothing can be said",
        )
    width = anytime.one_sided_width(contrast.se, n, alpha / 2, anytime.ALARM_N_STAR)
    return HoldbackReading(gain, gain - width, gain + width, mde, gain + width < 0)
