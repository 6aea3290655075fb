"""What a comparison of a test arm with control says, for every kind of metric alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from analytics.core.errors import ImpossiblePlan


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
    """Treatment against control: difference in the metric's units, lift as a share of control (.1 = +10 %).

    ``p`` is two-sided against "no difference" and belongs to ``method``; ``score_p`` and ``fisher_p``
    stand beside it where an exact test replaced or accompanies the score test. ``z`` is the
    statistic on the normal scale. Every number may be None; then ``reason`` (or, for the lift,
    ``lift_reason``) says why. Fixed-sample numbers: they are display, looks decide.
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


def checked_level(alpha: float) -> float:
    """An error level strictly between 0 and 1, or a refusal."""
    if not 0 < alpha < 1:
        raise ImpossiblePlan(f"alpha lies between 0 and 1 (exclusive), found {alpha!r}")
    return alpha
