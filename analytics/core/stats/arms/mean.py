"""Did a unit's mean value differ between a test arm and control?

Welch's t with Satterthwaite's degrees of freedom: arms may differ in size and spread; needs enough
units for a mean to be nearly normal (skewed money needs hundreds). The relative lift's interval is
Fieller's; a delta-method interval is offered only where control's mean is more than five standard
errors from zero. Below 10 units an arm: cannot say.
References: Welch 1947; Satterthwaite 1946; Fieller 1954.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtrit

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.normal import t_as_z, two_sided_t_p
from analytics.core.stats.arms.sizes import too_small_if_skewed

FEWEST_UNITS = 10
"""Below this many units an arm no mean is compared."""
DELTA_BEYOND = 5.0
"""Control means further than this many standard errors from zero may use the delta method."""


@dataclass(frozen=True, slots=True)
class WelchT:
    """Difference of means (or of any two independent estimates) with its Satterthwaite t."""

    difference: float
    se: float
    t: float
    df: float


def compare_means(control: Totals, treatment: Totals, alpha: float = 0.05) -> Comparison:
    """Treatment's mean against control's, in the metric's units.

    Cannot say below 10 units an arm or without any spread. The lift is undefined for control ≤ 0. A
    note says where skewed values would make it too sure (see ``sizes``).
    """
    checked_level(alpha)
    reason = why_not(control, treatment)
    welch = welch_t(control, treatment) if reason is None else None
    if welch is None:
        reason = reason or "no spread in either arm: a standard error cannot be estimated"
        return Comparison(
            "Welch", control.n, treatment.n, control.mean, treatment.mean, reason=reason
        )
    quantile = float(-stdtrit(welch.df, alpha / 2))
    lift, lift_ci, lift_reason = _relative_lift(control, treatment, quantile, alpha)
    half = quantile * welch.se
    return Comparison(
        "Welch",
        control.n,
        treatment.n,
        control.mean,
        treatment.mean,
        difference=welch.difference,
        ci=Interval(welch.difference - half, welch.difference + half, 1 - alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=two_sided_t_p(welch.t, welch.df),
        z=t_as_z(welch.t, welch.df),
        se=welch.se,
        df=welch.df,
        notes=too_small_if_skewed(control, treatment),
    )


def why_not(control: Totals, treatment: Totals) -> str | None:
    """Why two arms cannot be compared, or None when they can."""
    for name, totals in (("control", control), ("treatment", treatment)):
        if totals.n < FEWEST_UNITS:
            return f"{name} has {totals.n} units; below {FEWEST_UNITS} an arm nothing can be said"
    return None


def welch_t(
    control: Totals, treatment: Totals, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """ȳ_T − factor·ȳ_C − shift with its t; None below two units an arm or without spread."""
    c, t, s2_c, s2_t = control.mean, treatment.mean, control.variance, treatment.variance
    if s2_c is None or s2_t is None or c is None or t is None:
        return None
    v_c, v_t = factor**2 * s2_c / control.n, s2_t / treatment.n
    if not v_c + v_t > 0:
        return None
    difference, se = t - factor * c - shift, math.sqrt(v_c + v_t)
    return WelchT(
        difference, se, difference / se, satterthwaite(v_c, control.n - 1, v_t, treatment.n - 1)
    )


def satterthwaite(v_c: float, df_c: float, v_t: float, df_t: float) -> float:
    """Degrees of freedom of a sum of two variances: at least the smaller, at most the sum of
    both.
    """
    # Shares, not squares of variances: those leave the range of floats for tiny or huge values.
    share_c, share_t = v_c / (v_c + v_t), v_t / (v_c + v_t)
    return 1 / (share_c**2 / df_c + share_t**2 / df_t)


def _relative_lift(
    control: Totals, treatment: Totals, quantile: float, alpha: float
) -> tuple[float | None, Interval | None, str | None]:
    """(lift, Fieller interval, reason): ȳ_T/ȳ_C − 1; undefined for a control mean ≤ 0, unbounded
    when control's own interval holds 0.
    """
    c, t = control.mean, treatment.mean
    if c is None or t is None or not c > 0:
        return lift_of(0.0, 0.0, None)
    v_c, v_t = (control.variance or 0.0) / control.n, (treatment.variance or 0.0) / treatment.n
    return lift_of(c, t, _ratio_limits(c, t, v_c, v_t, 0.0, quantile, alpha))


def lift_of(
    c: float, t: float, ci: Interval | None, of: str = "control's mean"
) -> tuple[float | None, Interval | None, str | None]:
    """(t/c − 1, its Fieller interval, reason): without the interval it is unbounded; undefined for
    c ≤ 0, or beyond floats.
    """
    if not c > 0:
        return (
            None,
            None,
            f"{of} is not above 0: a relative change is undefined, see the difference",
        )
    lift = t / c - 1
    if not math.isfinite(lift):
        return (
            None,
            None,
            f"{of} is next to nothing: a relative change is beyond what numbers hold, see the difference",
        )
    return (
        lift,
        ci,
        None if ci is not None else "unbounded: the control mean's confidence interval holds 0",
    )


def fieller(control: Totals, treatment: Totals, alpha: float = 0.05) -> Interval | None:
    """Fieller's interval for ȳ_T/ȳ_C − 1: all ratios r for which ȳ_T − r·ȳ_C does not differ from
    0.

    None when those ratios have no limit (control's mean is not separated from 0) or nothing is
    estimable.
    """
    welch = welch_t(control, treatment)
    if (
        welch is None
        or control.mean is None
        or treatment.mean is None
        or control.variance is None
        or treatment.variance is None
    ):
        return None
    v_c, v_t = control.variance / control.n, treatment.variance / treatment.n
    return correlated_fieller(control.mean, treatment.mean, v_c, v_t, 0.0, df=welch.df, alpha=alpha)


def correlated_fieller(
    c: float, t: float, v_c: float, v_t: float, v_ct: float, *, df: float, alpha: float
) -> Interval | None:
    """Fieller's interval for t/c − 1 of two estimates with their variances and covariance: all r
    for which t − r·c does not differ from 0.

    None when c is not separated from 0, or the ratio is beyond what floats can hold.
    """
    return _ratio_limits(c, t, v_c, v_t, v_ct, float(stdtrit(df, checked_level(alpha) / 2)), alpha)


def _ratio_limits(
    c: float, t: float, v_c: float, v_t: float, v_ct: float, quantile: float, alpha: float
) -> Interval | None:
    if c == 0:
        return None
    q2, ratio, r_c, r_t, r_ct = quantile * quantile, t / c, v_c / c / c, v_t / c / c, v_ct / c / c
    a = 1 - q2 * r_c
    if not a > 0:
        return None
    # The discriminant written out: as a difference of squares it would cancel for well-measured
    # means.
    inner = q2 * (r_t - 2 * r_ct * ratio + r_c * ratio * ratio) - q2 * q2 * (
        r_t * r_c - r_ct * r_ct
    )
    centre, root = (ratio - q2 * r_ct) / a, math.sqrt(max(inner, 0.0)) / a
    return (
        Interval(centre - root - 1, centre + root - 1, 1 - alpha)
        if math.isfinite(centre + root)
        else None
    )


def delta_lift(control: Totals, treatment: Totals, alpha: float = 0.05) -> Interval | None:
    """The delta method's interval for the lift; None unless control's mean is over five standard
    errors from 0.
    """
    welch = welch_t(control, treatment)
    if (
        welch is None
        or control.mean is None
        or treatment.mean is None
        or control.variance is None
        or treatment.variance is None
    ):
        return None
    v_c, v_t = control.variance / control.n, treatment.variance / treatment.n
    if control.mean <= 0 or control.mean**2 <= DELTA_BEYOND**2 * v_c:
        return None
    ratio = treatment.mean / control.mean
    half = (
        float(-stdtrit(welch.df, checked_level(alpha) / 2))
        * math.sqrt(v_t + ratio**2 * v_c)
        / control.mean
    )
    return Interval(ratio - 1 - half, ratio - 1 + half, 1 - alpha)
