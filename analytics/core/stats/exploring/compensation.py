"""Does what an arm gains pay for what it costs more?

Each unit is worth v·y − c: its primary outcome y in money (v per unit of the outcome, declared in
the plan) less its cost c. The extra cost is compensated when the one-sided 95 % lower bound of the
difference of mean worth, treatment less control, is above 0. Money and cost in the same unit.
Without v nothing compensates. Says nothing below 10 units an arm or without spread. Reference: net
monetary benefit, Stinnett and Mullahy 1998.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtrit

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.moments import UnitMoments
from analytics.core.stats.arms.mean import welch_t, why_not

ALPHA = 0.05
"""One-sided."""


@dataclass(frozen=True, slots=True)
class Compensation:
    """Difference of mean worth a unit, in money, with its lower bound; ``compensated`` None: cannot
    say, see ``reason``.
    """

    difference: float | None
    lower: float | None
    compensated: bool | None
    reason: str | None = None


def compensation(
    control: UnitMoments, treatment: UnitMoments, value: float | None, alpha: float = ALPHA
) -> Compensation:
    """Whether the gain pays for the cost. Moments hold ``y`` (the outcome) and ``c`` (the cost) of
    each unit.
    """
    if value is None:
        return Compensation(
            None,
            None,
            False,
            "the plan declares no money per unit of the primary outcome: nothing compensates",
        )
    if not math.isfinite(value):
        raise ImpossiblePlan(f"money per unit of the outcome is finite, found {value!r}")
    worth_c, worth_t = (
        control.combined({"y": value, "c": -1.0}),
        treatment.combined({"y": value, "c": -1.0}),
    )
    reason = why_not(worth_c, worth_t)
    found = None if reason else welch_t(worth_c, worth_t)
    if found is None:
        return Compensation(
            None,
            None,
            None,
            reason or "no spread in either arm: a standard error cannot be estimated",
        )
    lower = found.difference + float(stdtrit(found.df, alpha)) * found.se
    return Compensation(found.difference, lower, lower > 0)
