"""Do two independent estimates differ, and by what share? For estimates that are not plain means.

An estimate is a number with the variance of its error and the degrees of freedom behind that
variance; errors are assumed nearly normal and independent between arms. The contrast is Welch's t
with Satterthwaite's degrees of freedom; the relative change has Fieller's interval and, where
control is more than five standard errors from zero, the delta method's. Says nothing (None) without
any variance. References: Welch 1947; Satterthwaite 1946; Fieller 1954.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.mean import DELTA_BEYOND, WelchT, correlated_fieller, satterthwaite


@dataclass(frozen=True, slots=True)
class IndependentEstimate:
    """A number, the variance of its error (not of a unit) and that variance's degrees of
    freedom.
    """

    value: float
    variance: float
    df: float

    def __post_init__(self) -> None:
        if not (
            math.isfinite(self.value)
            and math.isfinite(self.variance)
            and self.variance >= 0
            and self.df > 0
        ):
            raise ImpossibleTotals(
                f"an estimate is finite, with a variance that is not negative and df above 0, found {self}"
            )


def contrast(
    control: IndependentEstimate,
    treatment: IndependentEstimate,
    factor: float = 1.0,
    shift: float = 0.0,
) -> WelchT | None:
    """treatment − factor·control − shift with its t; None without variance in either."""
    v_c, v_t = factor**2 * control.variance, treatment.variance
    if not v_c + v_t > 0:
        return None
    difference, se = treatment.value - factor * control.value - shift, math.sqrt(v_c + v_t)
    return WelchT(
        difference, se, difference / se, satterthwaite(v_c, control.df, v_t, treatment.df)
    )


def fieller_lift(
    control: IndependentEstimate, treatment: IndependentEstimate, alpha: float = 0.05
) -> Interval | None:
    """Fieller's interval for treatment/control − 1; None when control is not separated from 0 or
    nothing varies.
    """
    plain = contrast(control, treatment)
    if plain is None:
        return None
    return correlated_fieller(
        control.value,
        treatment.value,
        control.variance,
        treatment.variance,
        0.0,
        df=plain.df,
        alpha=alpha,
    )


def delta_lift(control: IndependentEstimate, treatment: IndependentEstimate) -> WelchT | None:
    """The lift treatment/control − 1 with its delta-method error; None unless control is over five
    standard errors above 0.
    """
    plain = contrast(control, treatment)
    if (
        plain is None
        or control.value <= 0
        or control.value**2 <= DELTA_BEYOND**2 * control.variance
    ):
        return None
    ratio = treatment.value / control.value
    lift, se = (
        ratio - 1,
        math.sqrt(treatment.variance + ratio**2 * control.variance) / control.value,
    )
    return WelchT(lift, se, lift / se, plain.df) if se > 0 else None


def lift_of(
    control: IndependentEstimate, treatment: IndependentEstimate, alpha: float = 0.05
) -> tuple[float | None, Interval | None, str | None]:
    """(lift, Fieller interval, reason): treatment/control − 1; undefined for control ≤ 0."""
    if not control.value > 0:
        return (
            None,
            None,
            "control's value is not above 0: a relative change is undefined, see the difference",
        )
    ci = fieller_lift(control, treatment, alpha)
    reason = (
        None if ci is not None else "unbounded: the confidence interval of control's value holds 0"
    )
    return treatment.value / control.value - 1, ci, reason
