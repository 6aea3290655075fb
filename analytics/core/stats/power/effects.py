"""How many units does it take to find an effect, how surely is it found, and what is the smallest
that is?

Sizes are of control, for fixed tests times what looking repeatedly, clustering and several arms
cost. Proportions: the pooled variance under "no effect", the arms' own under the effect. Everything
else (means, counts, ratios, quantiles) is a mean of unit values with a standard deviation ``sd``:
see ``spread`` for a ratio's and a quantile's. Normal statistics; for small samples see ``student``.
References: Fleiss, Levin and Paik 2003, chapter 4; Jennison and Turnbull 1999.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack

from scipy.special import ndtri

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.roots import brentq
from analytics.core.stats.power.terms import Given, SampleSize, Terms, checked_units, sized


def proportion_sample(base: float, expected: float, **given: Unpack[Given]) -> SampleSize:
    """Units to see a rate move from ``base`` to ``expected`` (pooled variance under "no effect");
    75 → 80 %: 1,094 an arm.
    """
    terms = Terms(**given)
    _check_rates(base, expected)
    return sized(_proportion_n(base, expected, terms) * terms.enlarged, terms)


def mean_sample(sd: float, effect: float, **given: Unpack[Given]) -> SampleSize:
    """Units to see a mean move by ``effect`` (same units as ``sd``): (1 + 1/k)·σ²(1 − ρ²)(z +
    z)²/δ².
    """
    terms = Terms(**given)
    _check_spread(sd, effect)
    return sized(
        (1 + 1 / terms.ratio) * _squared(sd / effect * terms.z_sum) * terms.enlarged, terms
    )


def proportion_power(
    base: float,
    expected: float,
    n_control: float,
    *,
    wrong_way: bool = False,
    **given: Unpack[Given],
) -> float:
    """Chance that a test of this size finds ``expected`` instead of ``base``.

    ``wrong_way`` counts a significant fall where a rise is expected (and the reverse) as found too.
    """
    terms = Terms(**given)
    _check_rates(base, expected)
    null, effect = _spreads(base, expected, terms.ratio)
    distance = abs(expected - base) * math.sqrt(checked_units(n_control) / terms.spread)
    if effect == 0:
        return 1.0 if distance > null * terms.z_alpha else 0.0
    drift = (distance - null * terms.z_alpha) / effect + terms.z_alpha
    if not wrong_way or terms.looks > 1:
        return terms.chance(drift, wrong_way=wrong_way)
    against = (-distance - null * terms.z_alpha) / effect + terms.z_alpha
    return terms.chance(drift) + (terms.chance(against) if terms.sides == 2 else 0.0)


def mean_power(
    sd: float, effect: float, n_control: float, *, wrong_way: bool = False, **given: Unpack[Given]
) -> float:
    """Chance that a test of this size finds a shift of ``effect``."""
    terms = Terms(**given)
    _check_spread(sd, effect)
    se = sd * math.sqrt((1 + 1 / terms.ratio) * terms.spread / checked_units(n_control))
    return terms.chance(abs(effect) / se, wrong_way=wrong_way)


def proportion_mde(
    base: float, n_control: float, *, direction: str = "increase", **given: Unpack[Given]
) -> float | None:
    """The smallest change of a rate (in points, positive) that this size finds; None when no change
    within 0–1 would do.
    """
    terms = Terms(**given)
    if not 0 < base < 1:
        raise ImpossiblePlan(f"a base rate lies between 0 and 1, found {base!r}")
    room, sign = (1 - base, 1.0) if direction == "increase" else (base, -1.0)
    fixed = checked_units(n_control) / terms.enlarged

    def spare(change: float) -> float:
        return math.log(fixed) - math.log(_proportion_n(base, base + sign * change, terms))

    return _first_root(spare, room * (1 - 1e-9))


def mean_mde(sd: float, n_control: float, **given: Unpack[Given]) -> float:
    """The smallest shift of a mean (in its units) that this size finds."""
    terms = Terms(**given)
    _check_spread(sd, 1.0)
    return (
        sd
        * math.sqrt((1 + 1 / terms.ratio) * terms.enlarged / checked_units(n_control))
        * terms.z_sum
    )


def arcsine_effect(base: float, expected: float) -> float:
    """Cohen's h, 2·asin√p_T − 2·asin√p_C: a difference of rates on the scale where one unit's
    variance is 1.
    """
    _check_rates(base, expected)
    return 2 * math.asin(math.sqrt(expected)) - 2 * math.asin(math.sqrt(base))


def arcsine_sample(base: float, expected: float, **given: Unpack[Given]) -> SampleSize:
    """Units by the arcsine transformation, as many calculators do it; shown for comparison, plans
    use ``proportion_sample``.
    """
    return mean_sample(1.0, arcsine_effect(base, expected), **given)


def unpooled_sample(base: float, expected: float, **given: Unpack[Given]) -> SampleSize:
    """Units when the test itself uses the arms' own variances (Wald): (z + z)²(p_C·q_C +
    p_T·q_T/k)/δ²; for comparison.
    """
    terms = Terms(**given)
    _check_rates(base, expected)
    _, effect = _spreads(base, expected, terms.ratio)
    return sized(_squared(terms.z_sum * effect / (expected - base)) * terms.enlarged, terms)


def _proportion_n(base: float, expected: float, terms: Terms) -> float:
    null, effect = _spreads(base, expected, terms.ratio)
    return _squared((null * terms.z_alpha + effect * float(ndtri(terms.power))) / (expected - base))


def _spreads(base: float, expected: float, k: float) -> tuple[float, float]:
    """Standard deviations of √n_C·(p_T − p_C) under no effect and under the expected one."""
    pooled = (base + k * expected) / (1 + k)
    return math.sqrt((1 + 1 / k) * pooled * (1 - pooled)), math.sqrt(
        base * (1 - base) + expected * (1 - expected) / k
    )


def _check_rates(base: float, expected: float) -> None:
    if not (0 < base < 1 and 0 <= expected <= 1) or base == expected:
        raise ImpossiblePlan(
            f"rates lie between 0 and 1 and differ, found {base!r} and {expected!r}"
        )


def _check_spread(sd: float, effect: float) -> None:
    if not (math.isfinite(sd) and sd > 0 and math.isfinite(effect) and effect != 0):
        raise ImpossiblePlan(
            f"the standard deviation is above 0 and the effect is not 0, found {sd!r} and {effect!r}"
        )


def _squared(value: float) -> float:
    """Infinite where it overflows: that is refused as a size, with a reason."""
    return value * value


def _first_root(spare: Callable[[float], float], room: float) -> float | None:
    """Where there is enough for the first time; None when nowhere, the smallest looked at when
    everywhere.
    """
    low = room * 1e-9
    if spare(room) <= 0:
        return None
    return float(brentq(spare, low, room, xtol=1e-15, rtol=1e-12)) if spare(low) < 0 else low
