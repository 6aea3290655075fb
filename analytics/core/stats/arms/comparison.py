"""What a comparison of a test arm with control says, for every kind of metric alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from analytics.core.ground.errors import ImpossiblePlan
from experiments.core.figures import p_is, positive_p


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval with its confidence level (.95, not 95)."""

    low: float
    high: float
    level: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside, the ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treatment against control: difference in the metric's units, lift as a share of control (.1 =
    +10 %).

    ``p`` is two-sided against "no difference" and belongs to ``method``; ``score_p`` and
    ``fisher_p`` stand beside it where an exact test replaced or accompanies the score test. ``z``
    is the statistic on the normal scale. A p below 1e-300 is given as 1e-300. Every number may be
    None; then ``reason`` (or, for the lift, ``lift_reason``) says why. Fixed-sample numbers: they
    are display, looks decide.
    """

    method: str
    control_n: int
    treatment_n: int
    control_mean: float | None = None
    treatment_mean: float | None = None
    difference: float | None = None
    ci: Interval | None = None
    lift: float | None = None
    lift_ci: Interval | None = None
    lift_reason: str | None = None
    p: float | None = None
    z: float | None = None
    se: float | None = None
    df: float | None = None
    score_p: float | None = None
    fisher_p: float | None = None
    reason: str | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("p", "score_p", "fisher_p"):
            if (p := getattr(self, name)) is not None:
                object.__setattr__(self, name, positive_p(p))


Word = Literal["better", "worse", "unclear", "cannot say"]

AT_THE_EDGE = 1e-12
"""A p this close above its level is at the level: it is rounding that put it there."""


def word_of(found: Comparison, better: str) -> Word:
    """A fixed-sample comparison in a word, for every page, answer and report; ``better`` is
    "increase" or "decrease".

    Better or worse only where the interval leaves 0 out and the test is at or below the interval's
    own level: the two come from different formulas for rates (an exact or score test, Newcombe's
    interval) and may disagree. Looks decide, not this.
    """
    if found.ci is None or found.difference is None:
        return "cannot say"
    if not (_interval_decides(found.ci) and _test_decides(found)):
        return "unclear"
    return "better" if (found.ci.low > 0) == (better == "increase") else "worse"


def disagreement(found: Comparison) -> str | None:
    """Said where the test and the interval disagree, so that nobody wonders why the word is
    "unclear".
    """
    if found.ci is None or found.p is None or _interval_decides(found.ci) == _test_decides(found):
        return None
    one, other = ("excludes 0", "above") if _interval_decides(found.ci) else ("includes 0", "below")
    return f"unclear: the interval {one}, but {p_is(found.p)} is {other} its level of {1 - found.ci.level:.2g}"


def _interval_decides(ci: Interval) -> bool:
    return ci.low > 0 or ci.high < 0


def _test_decides(found: Comparison) -> bool:
    return (
        found.ci is not None and found.p is not None and found.p <= 1 - found.ci.level + AT_THE_EDGE
    )


def checked_level(alpha: float) -> float:
    """An error level strictly between 0 and 1, or a refusal."""
    if not 0 < alpha < 1:
        raise ImpossiblePlan(f"alpha lies between 0 and 1 (exclusive), found {alpha!r}")
    return alpha
