"""Sizes and power of t tests, exact for normal values: what small samples cost beside the normal
formulas.

The statistic has n_C + n_T − 2 degrees of freedom and, under the effect, a noncentral t
distribution with noncentrality δ/se. One look only: looks carry t over to z first. With 200 units
an arm and more the difference from ``effects`` is below one unit in a hundred. Reference: Cohen
1988, chapter 2; Owen 1965.
"""

from __future__ import annotations

import math
from typing import Unpack

from scipy.special import nctdtr, stdtrit

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.roots import brentq
from analytics.core.stats.power.effects import mean_sample
from analytics.core.stats.power.terms import Given, SampleSize, Terms, checked_units, sized

FURTHEST = 1e3
"""Effects are looked for up to so many standard deviations."""


def student_power(
    sd: float, effect: float, n_control: float, *, wrong_way: bool = False, **given: Unpack[Given]
) -> float:
    """Chance that a t test of this size finds a shift of ``effect``."""
    terms = _one_look(Terms(**given))
    if not (math.isfinite(sd) and sd > 0 and math.isfinite(effect)):
        raise ImpossiblePlan(
            f"the standard deviation is above 0 and the effect is finite, found {sd!r} and {effect!r}"
        )
    df = checked_units(n_control) * (1 + terms.ratio) - 2
    if not df >= 1:
        raise ImpossiblePlan(
            f"a t test needs at least three units, found {n_control!r} in control at a ratio of {terms.ratio!r}"
        )
    return _chance(
        abs(effect) / (sd * math.sqrt(terms.spread * (1 + 1 / terms.ratio) / n_control)),
        df,
        terms,
        wrong_way,
    )


def student_sample(sd: float, effect: float, **given: Unpack[Given]) -> SampleSize:
    """Units for a t test to see a mean move by ``effect``; always a little more than the normal
    formula's.
    """
    terms = _one_look(Terms(**given))
    normal = mean_sample(sd, effect, **given).exact_control
    fewest = 3 / (1 + terms.ratio)  # one degree of freedom

    def short(n: float) -> float:
        return student_power(sd, effect, n, **given) - terms.power

    high = max(normal, fewest) + 2 + terms.z_alpha**2
    while short(high) < 0:
        high *= 2
    return sized(
        float(brentq(short, fewest, high, xtol=1e-9, rtol=1e-12)) if short(fewest) < 0 else fewest,
        terms,
    )


def student_mde(sd: float, n_control: float, **given: Unpack[Given]) -> float:
    """The smallest shift of a mean (in its units) that a t test of this size finds."""
    terms = _one_look(Terms(**given))

    def short(effect: float) -> float:
        return student_power(1.0, effect, n_control, **given) - terms.power

    return sd * float(brentq(short, 1e-12, FURTHEST, xtol=1e-14, rtol=1e-12))


def _chance(shift: float, df: float, terms: Terms, wrong_way: bool) -> float:
    critical = float(-stdtrit(df, terms.level / terms.sides))
    against = _below(-critical, df, shift) if wrong_way and terms.sides == 2 else 0.0
    return 1 - _below(critical, df, shift) + against


def _below(value: float, df: float, shift: float) -> float:
    """The noncentral t's distribution function. Its series gives up far below the shift, where next
    to nothing lies.
    """
    found = float(nctdtr(df, shift, value))
    return 0.0 if math.isnan(found) and shift > value else found


def _one_look(terms: Terms) -> Terms:
    if terms.looks != 1:
        raise ImpossiblePlan(f"a t test's size is of one look, found {terms.looks}")
    return terms
