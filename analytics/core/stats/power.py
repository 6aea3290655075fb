"""How many units does a plan need, and how long does that take?

Sizes are per arm, for fixed samples times the inflation of looking repeatedly. ``ratio`` is the
size of one test arm over control's, ``hypotheses`` the number of hypotheses that share α
(test arms × primary metrics), ``design_effect`` the loss from clustering.
References: Fleiss, Levin and Paik 2003, chapter 4; Jennison and Turnbull 1999.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from analytics.core.errors import ImpossiblePlan
from analytics.core.stats.group_sequential import inflation

SAFE_ALPHA = 0.05
"""One-sided level of the SAFE verdict."""
JOINT_BETA = 0.2
"""Chance that at least something required fails although there is a gain and no harm."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Units needed: control, one test arm, and all arms together; ``exact_control`` before rounding up."""

    control: int
    treatment: int
    total: int
    exact_control: float

    @property
    def information(self) -> float:
        """n = 1/(1/n_T + 1/n_C): the scale on which looks measure progress."""
        return 1 / (1 / self.control + 1 / self.treatment)


@dataclass(frozen=True, slots=True)
class Duration:
    """Enrolment + window + grace, in whole weeks, never shorter than the clock."""

    days: int
    weeks: int
    bound_by: Literal["sample", "clock"]


def proportion_sample(
    base: float,
    expected: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    hypotheses: int = 1,
    design_effect: float = 1.0,
    looks: int = 1,
    test_arms: int = 1,
) -> SampleSize:
    """Units to see a rate move from ``base`` to ``expected`` (pooled variance under "no effect"); 75 → 80 %: 1,094 an arm."""
    _check_rates(base, expected)
    n = _proportion_n(base, expected, _level(alpha, hypotheses), power, ratio) * _enlarged(alpha, power, hypotheses, looks, design_effect)
    return _rounded(n, ratio, test_arms)


def mean_sample(
    sd: float,
    effect: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    hypotheses: int = 1,
    correlation: float = 0.0,
    design_effect: float = 1.0,
    looks: int = 1,
    test_arms: int = 1,
) -> SampleSize:
    """Units to see a mean move by ``effect`` (same units as ``sd``): (1 + 1/k)·σ²(1 − ρ²)(z + z)²/δ²."""
    _check_spread(sd, effect)
    if not -1 < correlation < 1:
        raise ImpossiblePlan(f"the correlation with the covariate lies between −1 and 1, found {correlation!r}")
    fixed = (1 + 1 / _checked_ratio(ratio)) * (sd / effect) ** 2 * (1 - correlation**2) * _z_sum(_level(alpha, hypotheses) / 2, power) ** 2
    return _rounded(fixed * _enlarged(alpha, power, hypotheses, looks, design_effect), ratio, test_arms)


def proportion_power(
    base: float, expected: float, n_control: float, *, alpha: float = 0.05, ratio: float = 1.0, hypotheses: int = 1
) -> float:
    """Chance that a fixed test of this size finds ``expected`` instead of ``base``."""
    _check_rates(base, expected)
    null, effect = _spreads(base, expected, ratio)
    z = (abs(expected - base) * math.sqrt(n_control) - null * float(-ndtri(_level(alpha, hypotheses) / 2))) / effect
    return float(ndtr(z))


def mean_power(sd: float, effect: float, n_control: float, *, alpha: float = 0.05, ratio: float = 1.0, hypotheses: int = 1) -> float:
    """Chance that a fixed test of this size finds a shift of ``effect``."""
    _check_spread(sd, effect)
    z = abs(effect) / (sd * math.sqrt((1 + 1 / _checked_ratio(ratio)) / n_control))
    return float(ndtr(z + ndtri(_level(alpha, hypotheses) / 2)))


def proportion_mde(
    base: float,
    n_control: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    hypotheses: int = 1,
    direction: str = "increase",
) -> float | None:
    """The smallest change of a rate (in points, positive) that this size finds; None when no change within 0–1 would do."""
    if not 0 < base < 1:
        raise ImpossiblePlan(f"a base rate lies between 0 and 1, found {base!r}")
    room, sign = (1 - base, 1.0) if direction == "increase" else (base, -1.0)

    def short(change: float) -> float:
        return proportion_power(base, base + sign * change, n_control, alpha=alpha, ratio=ratio, hypotheses=hypotheses) - power

    return _first_root(short, room * (1 - 1e-9))


def mean_mde(sd: float, n_control: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0, hypotheses: int = 1) -> float:
    """The smallest shift of a mean (in its units) that this size finds."""
    _check_spread(sd, 1.0)
    return sd * math.sqrt((1 + 1 / _checked_ratio(ratio)) / n_control) * _z_sum(_level(alpha, hypotheses) / 2, power)


def joint_beta(required_guardrails: int) -> float:
    """β for each of the required guardrails and the primary metric together: .2/(1 + guardrails)."""
    return JOINT_BETA / (1 + required_guardrails)


def safe_events(margin: float, *, required_guardrails: int = 1, ratio: float = 1.0, looks: int = 1) -> int:
    """Bad events control must collect for SAFE against a relative margin (.15) when there is no harm.

    (z_.95 + z_{1−β})²(1 + 1/k)/ln²(1 + margin); rare events. Five required guardrails, 15 %: 1,240.
    """
    if not margin > 0:
        raise ImpossiblePlan(f"a relative margin is above 0, found {margin!r}")
    beta = joint_beta(required_guardrails)
    fixed = _z_sum(SAFE_ALPHA, 1 - beta) ** 2 * (1 + 1 / _checked_ratio(ratio)) / math.log1p(margin) ** 2
    return _ceil(fixed * inflation(looks, SAFE_ALPHA, 1 - beta, 1))


def detect_events(increase: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> int:
    """Control events to detect a relative increase of rare events against zero, two-sided; +15 % at power .8: 752."""
    if not increase > 0:
        raise ImpossiblePlan(f"an increase is above 0, found {increase!r}")
    spread = 1 + 1 / (_checked_ratio(ratio) * (1 + increase))
    return _ceil(_z_sum(alpha / 2, power) ** 2 * spread / math.log1p(increase) ** 2)


def safe_relative_sample(
    base: float, margin: float, *, required_guardrails: int = 1, ratio: float = 1.0, looks: int = 1, test_arms: int = 1
) -> SampleSize:
    """Units for SAFE of a rate with a relative margin when there is no harm: the events needed over the base rate."""
    _check_rates(base, base / 2)
    events = safe_events(margin, required_guardrails=required_guardrails, ratio=ratio, looks=looks)
    return _rounded(events / base, ratio, test_arms)


def safe_points_sample(
    variance: float, margin: float, *, required_guardrails: int = 1, ratio: float = 1.0, looks: int = 1, test_arms: int = 1
) -> SampleSize:
    """Units for SAFE against an absolute margin (points, ms, money) when there is no harm: (z + z)²(V_C + V_T/k)/margin².

    ``variance`` is one unit's: p(1 − p) for a rate.
    """
    if not (variance > 0 and margin > 0):
        raise ImpossiblePlan(f"variance and margin are above 0, found {variance!r} and {margin!r}")
    beta = joint_beta(required_guardrails)
    fixed = _z_sum(SAFE_ALPHA, 1 - beta) ** 2 * variance * (1 + 1 / _checked_ratio(ratio)) / margin**2
    return _rounded(fixed * inflation(looks, SAFE_ALPHA, 1 - beta, 1), ratio, test_arms)


def duration(
    total_units: int, units_per_day: float, *, window_days: float = 0.0, grace_days: float = 1.0, clock_weeks: int = 1
) -> Duration | None:
    """How long enrolment, the last unit's window and the grace take; None without traffic."""
    if not units_per_day > 0:
        return None
    days = _ceil(total_units / units_per_day + window_days + grace_days)
    weeks = max(_ceil(days / 7), clock_weeks)
    return Duration(days, weeks, "clock" if days <= 7 * clock_weeks else "sample")


def _proportion_n(base: float, expected: float, level: float, power: float, ratio: float) -> float:
    null, effect = _spreads(base, expected, ratio)
    _z_sum(level / 2, power)
    return ((null * float(-ndtri(level / 2)) + effect * float(ndtri(power))) / (expected - base)) ** 2


def _spreads(base: float, expected: float, ratio: float) -> tuple[float, float]:
    """Standard deviations of √n_C·(p_T − p_C) under no effect and under the expected one."""
    k = _checked_ratio(ratio)
    pooled = (base + k * expected) / (1 + k)
    return math.sqrt((1 + 1 / k) * pooled * (1 - pooled)), math.sqrt(base * (1 - base) + expected * (1 - expected) / k)


def _enlarged(alpha: float, power: float, hypotheses: int, looks: int, design_effect: float) -> float:
    if not design_effect > 0:
        raise ImpossiblePlan(f"a design effect is above 0, found {design_effect!r}")
    return design_effect * inflation(looks, _level(alpha, hypotheses), power)


def _rounded(n: float, ratio: float, test_arms: int) -> SampleSize:
    control, treatment = _ceil(n), _ceil(n * ratio)
    return SampleSize(control, treatment, control + test_arms * treatment, n)


def _ceil(value: float) -> int:
    if not math.isfinite(value):
        raise ImpossiblePlan(f"no number of units would do, found {value!r}")
    return math.ceil(value - 1e-9)


def _level(alpha: float, hypotheses: int) -> float:
    if not 0 < alpha < 1 or hypotheses < 1:
        raise ImpossiblePlan(f"alpha lies between 0 and 1 and there is at least one hypothesis, found {alpha!r} and {hypotheses!r}")
    return alpha / hypotheses


def _z_sum(tail: float, power: float) -> float:
    if not 0 < tail < power < 1:
        raise ImpossiblePlan(f"power lies between alpha and 1, found {power!r}")
    return float(ndtri(power) - ndtri(tail))


def _checked_ratio(ratio: float) -> float:
    if not (math.isfinite(ratio) and ratio > 0):
        raise ImpossiblePlan(f"the ratio of arm sizes is above 0, found {ratio!r}")
    return ratio


def _check_rates(base: float, expected: float) -> None:
    if not (0 < base < 1 and 0 <= expected <= 1) or base == expected:
        raise ImpossiblePlan(f"rates lie between 0 and 1 and differ, found {base!r} and {expected!r}")


def _check_spread(sd: float, effect: float) -> None:
    if not (math.isfinite(sd) and sd > 0 and math.isfinite(effect) and effect != 0):
        raise ImpossiblePlan(f"the standard deviation is above 0 and the effect is not 0, found {sd!r} and {effect!r}")


def _first_root(short: Callable[[float], float], room: float) -> float | None:
    return float(brentq(short, room * 1e-12, room, xtol=1e-12)) if short(room) > 0 else None
