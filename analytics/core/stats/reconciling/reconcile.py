"""What would another tool print from the same totals?

For teams that move over and want to tie an old dashboard to this one number by number. Nothing here
decides or is shown beside a decision; where a method differs from ours, its docstring says in what.
Rates are in ``reconcile_rates``; regressions from rows in ``robust``. None without two units an arm
or without spread, or where a mean that is divided by is 0.

GrowthBook (frequentist engine): Welch's t; the lift's interval by the delta method, around the lift
and on the difference's degrees of freedom; CUPED with one slope for both arms, the lift divided by
control's unadjusted mean. tea-tasting: Welch's t; the lift's interval on the log scale with degrees
of freedom of its own; CUPED with one slope, arms read off at the common mean of the covariate.
Student: one variance. References: Student 1908; Deng, Xu, Kohavi and Walker 2013; Deng, Knoblich
and Lu 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import stdtrit

from analytics.core.ground.moments import UnitMoments, raised
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.arms.cuped import linearised_with_history
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.arms.normal import two_sided_t_p
from analytics.core.stats.arms.ratio import linearised, ratio_value


@dataclass(frozen=True, slots=True)
class ReconciledEffect:
    """An estimate with its t test against 0 and its interval."""

    value: float
    se: float
    df: float
    t: float
    p: float
    ci: Interval


@dataclass(frozen=True, slots=True)
class GrowthBook:
    """The difference and, where control's mean is not 0, the lift (.1 = +10 %, of the mean's size:
    its sign is the difference's).
    """

    absolute: ReconciledEffect
    relative: ReconciledEffect | None


@dataclass(frozen=True, slots=True)
class TeaTasting:
    """Both means, the difference and the lift with its log-scale interval (None where the means are
    not of one sign).
    """

    control: float
    treatment: float
    absolute: ReconciledEffect
    lift: float | None
    lift_ci: Interval | None


def student(control: Totals, treatment: Totals, alpha: float = 0.05) -> ReconciledEffect | None:
    """Student's t: Welch's with one variance for both arms, so wrong where spreads and sizes differ
    together.
    """
    if (
        control.mean is None
        or treatment.mean is None
        or control.variance is None
        or treatment.variance is None
    ):
        return None
    df = control.n + treatment.n - 2
    pooled = control.variance * ((control.n - 1) / df) + treatment.variance * (
        (treatment.n - 1) / df
    )
    return _effect(
        treatment.mean - control.mean, pooled * (1 / control.n + 1 / treatment.n), df, alpha
    )


def welch(control: Totals, treatment: Totals, alpha: float = 0.05) -> ReconciledEffect | None:
    """Welch's t, as in ``mean``."""
    found = welch_t(control, treatment)
    return None if found is None else _effect(found.difference, found.se**2, found.df, alpha)


def growthbook_mean(control: Totals, treatment: Totals, alpha: float = 0.05) -> GrowthBook | None:
    """A mean without CUPED. Ours differs in the lift's interval: Fieller's is not symmetric and
    says when it is unbounded.
    """
    v_c, v_t = _of_mean(control), _of_mean(treatment)
    if control.mean is None or treatment.mean is None or v_c is None or v_t is None:
        return None
    return _growthbook(control.mean, v_c, control.n, treatment.mean, v_t, treatment.n, alpha)


def growthbook_rate(
    x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05
) -> GrowthBook | None:
    """A rate as GrowthBook's t test has it: unpooled p(1 − p)/n. Ours tests with the pooled score
    and takes Newcombe's interval.
    """
    if min(n_c, n_t) < 2:
        return None
    rate_c, rate_t = x_c / n_c, x_t / n_t
    return _growthbook(
        rate_c, rate_c * (1 - rate_c) / n_c, n_c, rate_t, rate_t * (1 - rate_t) / n_t, n_t, alpha
    )


def growthbook_ratio(
    control: UnitMoments, treatment: UnitMoments, alpha: float = 0.05
) -> GrowthBook | None:
    """A ratio without CUPED; our difference is the same, our lift's interval Fieller's."""
    c, t = linearised(control), linearised(treatment)
    return None if c is None or t is None else growthbook_mean(c, t, alpha)


def growthbook_cuped(control: Totals, treatment: Totals, alpha: float = 0.05) -> GrowthBook | None:
    """A mean with its covariate as companion: one slope from all units, whatever their arm.

    Ours has a slope of its own in each arm, and the interval's lift is of the adjusted means.
    """
    theta = common_slope(control, treatment)
    if theta is None or not control.sum_y:
        return growthbook_mean(control, treatment, alpha)
    # They leave treatment's mean unadjusted where the lift's variance is linearised.
    return _growthbook_adjusted(
        control,
        treatment,
        theta,
        treatment.sum_y / treatment.n / (control.sum_y / control.n),
        alpha,
    )


def growthbook_ratio_cuped(
    control: UnitMoments, treatment: UnitMoments, alpha: float = 0.05
) -> GrowthBook | None:
    """A ratio y/d with its past y0/d0: each arm linearised around its own ratios, one slope with
    arms of equal weight.
    """
    told = linearised_with_history(control), linearised_with_history(treatment)
    if told[0] is None or told[1] is None:
        return None
    c, t = told[0].known, told[1].known
    theta = even_slope(c, t)
    if theta is None or not c.sum_y:
        return growthbook_mean(c, t, alpha)
    plain = with_slope(t, theta).sum_y / t.n - with_slope(c, theta).sum_y / c.n
    return _growthbook_adjusted(c, t, theta, 1 + plain / abs(c.sum_y / c.n), alpha)


def tea_tasting_mean(control: Totals, treatment: Totals, alpha: float = 0.05) -> TeaTasting | None:
    """A mean without covariate. Ours differs in the lift's interval."""
    absolute = welch(control, treatment, alpha)
    if absolute is None or control.mean is None or treatment.mean is None:
        return None
    lift = treatment.mean / control.mean - 1 if control.mean else None
    return TeaTasting(
        control.mean, treatment.mean, absolute, lift, log_lift(control, treatment, alpha)
    )


def tea_tasting_cuped(control: Totals, treatment: Totals, alpha: float = 0.05) -> TeaTasting | None:
    """A mean with its covariate as companion: one slope from all units, arms read off at the
    covariate's common mean.
    """
    theta = common_slope(control, treatment)
    if theta is None:
        return tea_tasting_mean(control, treatment, alpha)
    at = ((control.sum_x or 0.0) + (treatment.sum_x or 0.0)) / (control.n + treatment.n)
    return tea_tasting_mean(with_slope(control, theta, at), with_slope(treatment, theta, at), alpha)


def tea_tasting_ratio(
    control: UnitMoments, treatment: UnitMoments, alpha: float = 0.05
) -> TeaTasting | None:
    """A ratio without covariate."""
    c, t = linearised(control), linearised(treatment)
    return None if c is None or t is None else tea_tasting_mean(c, t, alpha)


def tea_tasting_ratio_cuped(
    control: UnitMoments, treatment: UnitMoments, alpha: float = 0.05
) -> TeaTasting | None:
    """A ratio y/d with its past y0/d0: the slope from all units around their common ratios, the
    variance around each arm's.
    """
    told = linearised_with_history(control), linearised_with_history(treatment)
    both = control + treatment
    all_told = linearised_with_history(both)
    if told[0] is None or told[1] is None or all_told is None:
        return None
    c, t = told[0].known, told[1].known
    theta = common_slope(all_told.known)
    if theta is None:
        return tea_tasting_mean(c, t, alpha)
    at = ratio_value(UnitMoments.of_totals(both.of("y0", "d0"), ("y", "d"))) or 0.0
    return tea_tasting_mean(with_slope(c, theta, at), with_slope(t, theta, at), alpha)


def common_slope(*arms: Totals) -> float | None:
    """Slope of y on its companion over all units laid together; None for a constant companion."""
    both = arms[0]
    for arm in arms[1:]:
        both += arm
    sums = _second_moments(both)
    return sums.cross / sums.x if sums.x > 0 else None


def even_slope(control: Totals, treatment: Totals) -> float | None:
    """Slope with the arms' covariances and variances added up unweighted; None for constant
    companions.
    """
    c, t = _second_moments(control), _second_moments(treatment)
    return (c.cross + t.cross) / (c.x + t.x) if c.x + t.x > 0 else None


def within_arm_slope(control: Totals, treatment: Totals) -> float | None:
    """Slope of the analysis of covariance: arms keep their own means; None for constant
    companions.
    """
    c, t = _second_moments(control), _second_moments(treatment)
    cross, x = (
        c.cross * (control.n - 1) + t.cross * (treatment.n - 1),
        c.x * (control.n - 1) + t.x * (treatment.n - 1),
    )
    return cross / x if x > 0 else None


def with_slope(totals: Totals, theta: float, at: float = 0.0) -> Totals:
    """Totals of y − θ·(x − at): an arm read off at one value of its covariate."""
    line = UnitMoments.of_totals(totals, ("y", "x")).combined({"y": 1.0, "x": -theta})
    return raised(line, theta * at)


def log_lift(control: Totals, treatment: Totals, alpha: float = 0.05) -> Interval | None:
    """The lift's interval from the logarithm's, exp(ln(ȳ_T/ȳ_C) ± t·se) − 1; None where the means
    are not of one sign.

    Its degrees of freedom are those of the logarithm's own variances, s²/(n·ȳ²).
    """
    checked_level(alpha)
    c, t, v_c, v_t = control.mean, treatment.mean, _of_mean(control), _of_mean(treatment)
    if c is None or t is None or v_c is None or v_t is None or not c * t > 0 or not v_c + v_t > 0:
        return None
    log_c, log_t = v_c / c / c, v_t / t / t
    effect = _effect(
        math.log(abs(t)) - math.log(abs(c)),
        log_c + log_t,
        _df(log_c, control.n, log_t, treatment.n),
        alpha,
    )
    return (
        None
        if effect is None
        else replace(effect.ci, low=math.expm1(effect.ci.low), high=math.expm1(effect.ci.high))
    )


@dataclass(frozen=True, slots=True)
class _Second:
    """Variances of y and x and their covariance, with n − 1."""

    y: float
    x: float
    cross: float


def _growthbook(
    c: float, v_c: float, n_c: int, t: float, v_t: float, n_t: int, alpha: float
) -> GrowthBook | None:
    if not v_c + v_t > 0:
        return None
    df = _df(v_c, n_c, v_t, n_t)
    absolute = _effect(t - c, v_c + v_t, df, alpha)
    relative = (
        _effect((t - c) / abs(c), v_t / c / c + v_c * (t / c / c) ** 2, df, alpha) if c else None
    )
    return None if absolute is None else GrowthBook(absolute, relative)


def _growthbook_adjusted(
    control: Totals, treatment: Totals, theta: float, ratio: float, alpha: float
) -> GrowthBook | None:
    """Lift = (adjusted difference)/(control's unadjusted mean): control's values enter as −ratio·y
    + θ·x.
    """
    c, t = with_slope(control, theta), with_slope(treatment, theta)
    absolute = welch(c, t, alpha)
    base = control.mean
    moments = UnitMoments.of_totals(control, ("y", "x"))
    v_t, v_c = _of_mean(t), _of_mean(moments.combined({"y": -ratio, "x": theta}))
    if absolute is None or base is None or v_c is None or v_t is None:
        return None
    return GrowthBook(
        absolute,
        _effect(absolute.value / abs(base), (v_t + v_c) / base / base, absolute.df, alpha)
        if base
        else None,
    )


def _effect(value: float, variance: float, df: float, alpha: float) -> ReconciledEffect | None:
    checked_level(alpha)
    if not variance > 0:
        return None
    se = math.sqrt(variance)
    half = float(-stdtrit(df, alpha / 2)) * se
    return ReconciledEffect(
        value,
        se,
        df,
        value / se,
        two_sided_t_p(value / se, df),
        Interval(value - half, value + half, 1 - alpha),
    )


def _df(v_c: float, n_c: int, v_t: float, n_t: int) -> float:
    """Satterthwaite's, from the variances of two means."""
    share_c, share_t = v_c / (v_c + v_t), v_t / (v_c + v_t)
    return 1 / (share_c**2 / (n_c - 1) + share_t**2 / (n_t - 1))


def _of_mean(totals: Totals) -> float | None:
    return None if totals.variance is None else totals.variance / totals.n


def _second_moments(totals: Totals) -> _Second:
    n, centred = totals.n, totals.centred
    if n < 2 or len(centred.scales) < 2:
        return _Second(totals.variance or 0.0, 0.0, 0.0)
    yy, xx, xy = (centred.at(*pair) / (n - 1) for pair in ((0, 0), (1, 1), (0, 1)))
    return _Second(yy, xx, xy)
