"""Did a ratio ΣY/ΣX (errors per request, cost per session) differ between a test arm and control?

The unit of randomisation contributes a numerator ``y`` and a denominator ``d``; requests of one
unit are not independent trials. Delta method: a unit's linearised value is R + (y − R·d)/d̄, whose
mean is the ratio R and whose variance over n is Var(R) = [s²y − 2R·s_yd + R²·s²d]/(n·d̄²).
Everything for means then applies to linearised values. Assumes independent units and a mean
denominator well above 0 (a note says when it is within five standard errors of it).

The interval of the lift R_T/R_C − 1 is Fieller's, on the linearised totals. R_T and R_C are
independent, and each is nearly normal once its own denominator is well above 0, so R_T − r·R_C has
the variance V_T + r²·V_C at every r, exactly as for two means. A delta interval would linearise
once more, in 1/R_C, where a rare numerator hurts; a Fieller set built from the four means would
only repeat at every r what the first step has settled.

The delta method is a little too sure of few units: a unit with many requests pulls the ratio
towards itself. Below 200 units an arm its variance is therefore multiplied by 1 + 3·v²/n, v the
denominators' coefficient of variation. That is the jackknife's variance to the first order, halfway
between units whose squared residuals grow with d (2·v²) and with d² (4·v²); it needs no rows (ADR
0036, simulated).

Cannot say below 10 units an arm, where denominators add up to nothing, or without spread.
References: Cochran 1977 (ratio estimator); Deng, Knoblich and Lu 2018; Fieller 1954.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analytics.core.ground.centred import NO_SPREAD, Centred
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, checked_level
from analytics.core.stats.arms.mean import DELTA_BEYOND, WelchT, compare_means, welch_t, why_not
from analytics.core.stats.arms.uneven import uneven_t

METHOD = "ratio, delta method"
FEW_UNITS = 200
"""Below this many units an arm's variance is the jackknife's, to the first order."""
FEWEST_FOR_SPREAD = 2


@dataclass(frozen=True, slots=True)
class PerUnit:
    """A ratio's two halves: mean numerator and mean denominator of a unit."""

    numerator: float
    denominator: float


def ratio_value(m: UnitMoments) -> float | None:
    """Σy/Σd; None where denominators do not add up to more than 0."""
    if not m.sum("d") > 0:
        return None
    value = m.sum("y") / m.sum("d")
    return value if math.isfinite(value) else None


def per_unit(m: UnitMoments) -> PerUnit | None:
    """Numerator and denominator per unit, shown beside a ratio: a ratio may fall because its
    denominator rose.
    """
    return PerUnit(m.sum("y") / m.n, m.sum("d") / m.n) if m.n else None


def linearised(m: UnitMoments, ratio: float | None = None) -> Totals | None:
    """Totals of R + (y − R·d)/d̄: their mean is the ratio, their variance over n the delta method's
    Var(R).

    ``ratio`` linearises around another R (the pooled one, say); the mean stays Σy/Σd. None without
    units or with Σd ≤ 0.
    """
    own = ratio_value(m)
    if own is None:
        return None
    around, d = own if ratio is None else ratio, m.sum("d") / m.n
    level, centred = m.n * own * own, _linearised_spread(m, around, d)
    if not math.isfinite(level + centred.at(0, 0) + centred.scales[0]):
        return None
    return Totals(m.n, m.n * own, level + centred.at(0, 0), centred=centred)


def _linearised_spread(m: UnitMoments, around: float, d: float) -> Centred:
    """Σ of the squares of (y − R·d)/d̄ about their mean; what cancels between y and R·d leaves
    rounding, which is no spread.
    """
    at_y, at_d = m.names.index("y"), m.names.index("d")
    yy, yd, dd = (m.spread(*pair) / d / d for pair in (("y", "y"), ("y", "d"), ("d", "d")))
    spread = yy - 2 * around * yd + around * dd * around
    scale = m.centred.scales[at_y] / d / d + around * (m.centred.scales[at_d] / d / d) * around
    return Centred((spread if spread > NO_SPREAD * scale else 0.0,), (scale,))


def more_of_few(m: UnitMoments) -> float:
    """What multiplies the delta method's variance of so few units; 1 from 200 units on."""
    if not FEWEST_FOR_SPREAD <= m.n < FEW_UNITS or not m.sum("d") > 0:
        return 1.0
    mean = m.sum("d") / m.n
    return 1 + 3 * (m.spread("d", "d") / (m.n - 1) / mean / mean) / m.n


def of_few(m: UnitMoments) -> Totals | None:
    """Linearised totals whose variance is right for few units too: below 200 the jackknife's, to
    the first order.
    """
    line, more = linearised(m), more_of_few(m)
    if line is None or not math.isfinite(line.sum_y2 + more * line.centred.at(0, 0)):
        return None
    return widened(line, more)


def widened(line: Totals, more: float) -> Totals:
    """Totals of y alone with ``more`` times their variance, and the same mean."""
    if more == 1.0:
        return line
    spread = line.centred.at(0, 0)
    squares = line.sum_y2 + (more * spread - spread)
    return Totals(
        line.n, line.sum_y, squares, centred=Centred((more * spread,), line.centred.scales)
    )


def ratio_t(
    control: UnitMoments, treatment: UnitMoments, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """R_T − factor·R_C − shift with its t; None where a ratio is undefined, below two units an arm
    or without spread.
    """
    c, t = of_few(control), of_few(treatment)
    return None if c is None or t is None else welch_t(c, t, factor, shift)


def uneven_ratio_t(
    control: UnitMoments, treatment: UnitMoments, factor: float = 1.0, shift: float = 0.0
) -> WelchT | None:
    """The same for skewed units in uneven arms (see ``uneven``)."""
    c, t = of_few(control), of_few(treatment)
    return None if c is None or t is None else uneven_t(c, t, factor, shift)


def compare_ratios(control: UnitMoments, treatment: UnitMoments, alpha: float = 0.05) -> Comparison:
    """Treatment's ratio against control's, in numerator units per denominator unit; Fieller's lift.

    The first note gives both halves per unit. The lift is undefined for a control ratio ≤ 0.
    """
    checked_level(alpha)
    c, t = of_few(control), of_few(treatment)
    notes = _notes(control, treatment)
    if c is None or t is None:
        reason = why_not(Totals(control.n, 0.0, 0.0), Totals(treatment.n, 0.0, 0.0))
        reason = reason or (
            _undefined("control", control) if c is None else _undefined("treatment", treatment)
        )
        return Comparison(
            METHOD,
            control.n,
            treatment.n,
            ratio_value(control),
            ratio_value(treatment),
            reason=reason,
            notes=notes,
        )
    found = compare_means(c, t, alpha)
    return replace(found, method=METHOD, notes=(*notes, *found.notes))


def _undefined(name: str, arm: UnitMoments) -> str:
    if arm.sum("d") > 0:
        return f"the ratio of {name} is too large for its spread to be computed"
    return f"the denominators of {name} add up to nothing: its ratio is undefined"


def _notes(control: UnitMoments, treatment: UnitMoments) -> tuple[str, ...]:
    rough = []
    for name, arm in (("control", control), ("treatment", treatment)):
        d = arm.of("d")
        if (
            d.mean is not None
            and d.variance is not None
            and d.mean > 0
            and d.mean**2 <= DELTA_BEYOND**2 * (d.variance / d.n)
        ):
            rough.append(
                f"{name}'s mean denominator is within {DELTA_BEYOND:g} standard errors of 0: its ratio's spread is rough"
            )
    c, t = per_unit(control), per_unit(treatment)
    if c is None or t is None:
        return tuple(rough)
    shown = f"per unit, treatment and control: numerator {t.numerator:.6g} and {c.numerator:.6g}"
    return (f"{shown}, denominator {t.denominator:.6g} and {c.denominator:.6g}", *rough)
