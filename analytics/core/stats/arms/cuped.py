"""Did a mean differ between arms, once what was known of each unit before its first exposure is
taken out?

Lin's interacted regression, computed from totals: every arm has its own slope β_a on the covariate
x, and both arms are read off at x̄, the mean over both. Then Δ = m_T − m_C with m_a = ȳ_a −
β_a·(x̄_a − x̄) and

    V = Σ_a RSS_a/(n_a − 2)·(1/n_a + (x̄ − x̄_a)²/S_xx,a) + (β_T − β_C)²·s²_x/N,

the last term because x̄ is itself a sample's mean. The same x̄ moves both adjusted means, so they
covary by β_T·β_C·s²_x/N; the lift's interval is Fieller's with that covariance.

Units without a covariate are a stratum of their own: strata are combined with their shares w_k of
all units of both arms (post-stratification), and, like x̄, those shares are a sample's: the
variance has w_1·w_0·(δ_T − δ_C)²/N for them, δ_a the difference of the strata's means within an
arm.

Assumes x from strictly before first exposure, and independent units. A constant covariate is no
CUPED: the answer is Welch's. Below 10 units an arm: cannot say. Degrees of freedom: Satterthwaite
over the parts of V, with n_a − 2 for an adjusted arm, n_a − 1 for an arm's units without covariate,
N − 1 for what both arms share; without a covariate that is Welch's df. References: Deng, Xu, Kohavi
and Walker 2013; Lin 2013; Miratrix, Sekhon and Yu 2013; Negi and Wooldridge 2021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import stdtrit

from analytics.core.ground.centred import NO_SPREAD
from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments, raised
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.mean import (
    FEWEST_UNITS,
    WelchT,
    compare_means,
    correlated_fieller,
    lift_of,
    welch_t,
    why_not,
)
from analytics.core.stats.arms.normal import t_as_z, two_sided_t_p
from analytics.core.stats.arms.ratio import linearised, more_of_few, of_few, widened

METHOD = "CUPED (Lin)"
FEWEST_IN_STRATUM = FEWEST_UNITS
"""A stratum with fewer units in either arm is merged."""


@dataclass(frozen=True, slots=True)
class Covaried:
    """One arm: totals of y with its covariate as companion, and totals of y of the units without
    one.

    ``more`` multiplies the arm's variance: a ratio of few units needs more than the delta method
    gives (ADR 0036). ``known`` and ``missing`` are without it.
    """

    known: Totals
    missing: Totals = NOTHING
    more: float = 1.0

    def __post_init__(self) -> None:
        if self.known.n and self.known.sum_x is None:
            raise ImpossibleTotals(
                f"{self.known.n} units with a covariate need Σx, Σx² and Σxy beside Σy, found {self.known}"
            )

    def __add__(self, other: Covaried) -> Covaried:
        if self.more != other.more:
            found = f"{self.more:g} and {other.more:g}"
            raise ImpossibleTotals(
                f"arms of a ratio add up before they are linearised; factors of few units found: {found}"
            )
        return Covaried(self.known + other.known, self.missing + other.missing, self.more)

    @property
    def whole(self) -> Totals:
        """y of all units with the arm's variance, the covariate left aside."""
        return widened(self.known.alone + self.missing.alone, self.more)


@dataclass(frozen=True, slots=True)
class Noise:
    """A part of an arm's variance that no other arm shares, with its degrees of freedom."""

    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class Shared:
    """Something estimated from both arms that moves each adjusted mean by its own loading."""

    on_control: float
    on_treatment: float
    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Two adjusted means and what their variances consist of."""

    control_mean: float
    treatment_mean: float
    control_noise: tuple[Noise, ...]
    treatment_noise: tuple[Noise, ...]
    shared: tuple[Shared, ...]

    def covariance(self) -> tuple[float, float, float]:
        """(variance of control's mean, variance of treatment's mean, their covariance)."""
        v_c = math.fsum(part.variance for part in self.control_noise)
        v_t = math.fsum(part.variance for part in self.treatment_noise)
        return (
            v_c + math.fsum(s.on_control**2 * s.variance for s in self.shared),
            v_t + math.fsum(s.on_treatment**2 * s.variance for s in self.shared),
            math.fsum(s.on_control * s.on_treatment * s.variance for s in self.shared),
        )

    def contrast(self, factor: float = 1.0, shift: float = 0.0) -> WelchT | None:
        """m_T − factor·m_C − shift with its t; None where units do not scatter around their
        regression.
        """
        own = [Noise(factor**2 * part.variance, part.df) for part in self.control_noise] + list(
            self.treatment_noise
        )
        if not sum(part.variance for part in own) > 0:
            return None
        parts = [
            *own,
            *(
                Noise((s.on_treatment - factor * s.on_control) ** 2 * s.variance, s.df)
                for s in self.shared
            ),
        ]
        variance = math.fsum(part.variance for part in parts)
        df = 1 / math.fsum((part.variance / variance) ** 2 / part.df for part in parts)
        difference, se = (
            self.treatment_mean - factor * self.control_mean - shift,
            math.sqrt(variance),
        )
        return WelchT(difference, se, difference / se, df)


def adjust(control: Covaried, treatment: Covaried) -> tuple[Adjusted | None, tuple[str, ...]]:
    """(adjusted means or None where the covariate is of no use, notes on what was merged or left
    out).
    """
    if min(control.known.n, treatment.known.n) < FEWEST_IN_STRATUM:
        return None, (f"no CUPED: fewer than {FEWEST_IN_STRATUM} units of an arm have a covariate",)
    few = control.missing.n + treatment.missing.n
    stratum = min(control.missing.n, treatment.missing.n) >= FEWEST_IN_STRATUM
    known_c, known_t = (
        (control.known, treatment.known) if stratum or not few else _merged(control, treatment)
    )
    c, t = _line(known_c, control.more), _line(known_t, treatment.more)
    if c is None or t is None:
        return None, ("no CUPED: the covariate is constant within an arm",)
    adjusted = _at_common_mean(c, t)
    if stratum:
        return _post_stratified(adjusted, control, treatment), ()
    merged = (
        f"{few} units without a covariate are too few for a stratum: they take the covariate's mean"
    )
    return adjusted, (merged,) if few else ()


def adjusted_t(
    control: Covaried, treatment: Covaried, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """m_T − factor·m_C − shift with its t (df: see the module); Welch's where the covariate is of
    no use.
    """
    adjusted, _ = adjust(control, treatment)
    return (
        welch_t(control.whole, treatment.whole, factor, shift)
        if adjusted is None
        else adjusted.contrast(factor, shift)
    )


def compare_adjusted(control: Covaried, treatment: Covaried, alpha: float = 0.05) -> Comparison:
    """Treatment's adjusted mean against control's, in the metric's units; Welch's where there is
    nothing to adjust.

    The means shown are the adjusted ones, so that their difference is the difference shown.
    """
    checked_level(alpha)
    adjusted, notes = adjust(control, treatment)
    if adjusted is None:
        return replace(compare_means(control.whole, treatment.whole, alpha), notes=notes)
    whole_c, whole_t = control.whole, treatment.whole
    bare = Comparison(
        METHOD, whole_c.n, whole_t.n, adjusted.control_mean, adjusted.treatment_mean, notes=notes
    )
    reason = why_not(whole_c, whole_t)
    found = adjusted.contrast()
    if reason is not None or found is None:
        return replace(
            bare,
            reason=reason
            or "no spread around the covariate in either arm: a standard error cannot be estimated",
        )
    lift, lift_ci, lift_reason = _lift(adjusted, found.df, alpha)
    half = float(-stdtrit(found.df, alpha / 2)) * found.se
    return replace(
        bare,
        difference=found.difference,
        ci=Interval(found.difference - half, found.difference + half, 1 - alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=two_sided_t_p(found.t, found.df),
        z=t_as_z(found.t, found.df),
        se=found.se,
        df=found.df,
    )


def variance_reduction(control: Covaried, treatment: Covaried) -> float | None:
    """1 − Var(CUPED)/Var(raw) of the difference, .3 = 30 % fewer units needed; 0 where there is
    nothing to adjust.

    Slightly below 0 for a covariate that explains nothing. None where a variance cannot be
    estimated.
    """
    raw, found = welch_t(control.whole, treatment.whole), adjusted_t(control, treatment)
    return None if raw is None or found is None else 1 - (found.se / raw.se) ** 2


def pooled_rho2(control: Covaried, treatment: Covaried) -> float | None:
    """ρ² of metric and covariate within arms, units without a covariate left aside; None without
    spread in either.

    A page may say that CUPED leaves about 1 − ρ² of the variance, if every unit has a covariate.
    """
    sums = [_centred(arm.known) for arm in (control, treatment) if arm.known.n]
    yy, xx, xy = (
        (math.fsum(column) for column in zip(*sums, strict=True)) if sums else (0.0, 0.0, 0.0)
    )
    return min(1.0, (xy / xx) * (xy / yy)) if xx > 0 and yy > 0 else None


def linearised_with_history(
    known: UnitMoments, missing: UnitMoments | None = None
) -> Covaried | None:
    """One arm of a ratio metric with its own past as covariate: y/d now, y0/d0 before first
    exposure.

    Both are linearised before anything is adjusted: the metric around the ratio of all units of the
    arm, the covariate around the past ratio of those that have one. Where the past denominators add
    up to nothing the covariate is constant. None where Σd ≤ 0. Few units have the variance of a
    plain ratio of few units, so a past that explains nothing leaves that ratio's error.
    """
    now, past = known.of("y", "d"), UnitMoments.of_totals(known.of("y0", "d0"), ("y", "d"))
    whole = UnitMoments.of_totals(
        now if missing is None else now + missing.of("y", "d"), ("y", "d")
    )
    line, history = linearised(whole), linearised(past)
    if line is None or line.mean is None or of_few(whole) is None:
        return None
    metric, covariate, level = _weights(whole, "y", "d", line.mean), {"y0": 0.0}, 0.0
    if history is not None and history.mean is not None:
        covariate, level = _weights(past, "y0", "d0", history.mean), history.mean
    told = raised(known.combined(metric, covariate), line.mean, level)
    rest = NOTHING if missing is None else raised(missing.combined(metric), line.mean)
    return Covaried(told, rest, more_of_few(whole))


def _weights(m: UnitMoments, y: str, d: str, ratio: float) -> dict[str, float]:
    """What y and d weigh in a unit's linearised value, without its constant."""
    mean = m.sum("d") / m.n
    return {y: 1 / mean, d: -ratio / mean}


@dataclass(frozen=True, slots=True)
class _Line:
    """One arm's regression on the covariate."""

    slope: float
    residual_variance: float
    s_xx: float
    mean_x: float
    mean_y: float
    n: int

    def mean_at(self, x: float) -> float:
        return self.mean_y - self.slope * (self.mean_x - x)

    def noise_at(self, x: float) -> Noise:
        return Noise(
            self.residual_variance * (1 / self.n + (x - self.mean_x) ** 2 / self.s_xx), self.n - 2
        )


def _centred(totals: Totals) -> tuple[float, float, float]:
    """(S_yy, S_xx, S_xy) around the arm's means; 0 where only rounding is left."""
    c = totals.centred
    return (c.at(0, 0), c.at(1, 1), c.at(0, 1)) if len(c.scales) == 2 else (c.at(0, 0), 0.0, 0.0)


def _line(totals: Totals, more: float) -> _Line | None:
    """The regression of y on x within an arm, residuals with the arm's variance; None where x is
    constant.
    """
    yy, xx, xy = _centred(totals)
    if not xx > 0:
        return None
    slope = xy / xx
    rss = yy - slope * xy
    rss = rss if rss > NO_SPREAD * totals.centred.scales[0] else 0.0
    n = totals.n
    return _Line(slope, more * rss / (n - 2), xx, (totals.sum_x or 0.0) / n, totals.sum_y / n, n)


def _at_common_mean(c: _Line, t: _Line) -> Adjusted:
    n = c.n + t.n
    mean_x = c.mean_x * (c.n / n) + t.mean_x * (t.n / n)
    between = c.n * (c.mean_x - mean_x) ** 2 + t.n * (t.mean_x - mean_x) ** 2
    spread = (c.s_xx + t.s_xx + between) / (n - 1)
    shared = Shared(c.slope, t.slope, spread / n, n - 1)
    return Adjusted(
        c.mean_at(mean_x),
        t.mean_at(mean_x),
        (c.noise_at(mean_x),),
        (t.noise_at(mean_x),),
        (shared,),
    )


def _post_stratified(known: Adjusted, control: Covaried, treatment: Covaried) -> Adjusted:
    """The adjusted stratum and the units without a covariate, each with its share of all units."""
    n_known, n_missing = (
        control.known.n + treatment.known.n,
        control.missing.n + treatment.missing.n,
    )
    n = n_known + n_missing
    w, v = n_known / n, n_missing / n
    mean_c, mean_t = (
        control.missing.sum_y / control.missing.n,
        treatment.missing.sum_y / treatment.missing.n,
    )
    shares = Shared(known.control_mean - mean_c, known.treatment_mean - mean_t, w * v / n, n - 1)
    return Adjusted(
        w * known.control_mean + v * mean_c,
        w * known.treatment_mean + v * mean_t,
        (
            *(Noise(w * w * part.variance, part.df) for part in known.control_noise),
            _unadjusted(control, v),
        ),
        (
            *(Noise(w * w * part.variance, part.df) for part in known.treatment_noise),
            _unadjusted(treatment, v),
        ),
        (
            *(Shared(w * s.on_control, w * s.on_treatment, s.variance, s.df) for s in known.shared),
            shares,
        ),
    )


def _unadjusted(arm: Covaried, share: float) -> Noise:
    missing = arm.missing
    return Noise(share * share * arm.more * (missing.variance or 0.0) / missing.n, missing.n - 1)


def _merged(control: Covaried, treatment: Covaried) -> tuple[Totals, Totals]:
    """Units without a covariate take the mean of those with one, of both arms: a constant known
    before exposure.
    """
    n = control.known.n + treatment.known.n
    mean_x = (control.known.sum_x or 0.0) / n + (treatment.known.sum_x or 0.0) / n

    def filled(arm: Covaried) -> Totals:
        m = arm.missing
        return arm.known + Totals(
            m.n, m.sum_y, m.sum_y2, m.n * mean_x, m.n * mean_x * mean_x, mean_x * m.sum_y
        )

    return filled(control), filled(treatment)


def _lift(
    adjusted: Adjusted, df: float, alpha: float
) -> tuple[float | None, Interval | None, str | None]:
    c, t = adjusted.control_mean, adjusted.treatment_mean
    ci = correlated_fieller(c, t, *adjusted.covariance(), df=df, alpha=alpha)
    return lift_of(c, t, ci, "control's adjusted mean")
