"""How many units until a guardrail can be said to be SAFE, if there is no harm?

SAFE is the one-sided 5 % upper bound of harm below the margin, at looks; its power is the chance to
get there when both arms are the same, and must leave room for all required guardrails together.
Margins in points, milliseconds or money compare T − C with the margin; relative ones T with (1 +
m)·C. Where more is better, harm is a fall: (1 − m)·C.

The verdict on a rate takes its standard error at the two rates on the margin's edge that fit the
data best, not at the observed ones. Two errors are therefore planned with: that of the edge, which
the critical value multiplies, and the true one without harm, which the power multiplies. Events as
if rare (``safe_events``) are on the log scale. References: Farrington and Manning 1990; the
log-ratio for rare events, Blackwelder 1993.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypedDict, Unpack

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.roots import brentq
from analytics.core.stats.arms.score import difference_edge_rate, ratio_edge_rate
from analytics.core.stats.arms.sizes import are_even
from analytics.core.stats.arms.uneven import ArmMean, held
from analytics.core.stats.power.terms import (
    Given,
    SampleSize,
    Terms,
    checked_units,
    sized,
    whole_units,
)

SAFE_ALPHA = 0.05
"""One-sided level of the SAFE verdict."""
JOINT_BETA = 0.2
"""Chance that at least something required fails although there is a gain and no harm."""
LARGEST_MARGIN = 1e6
"""Margins are looked for up to so many times the baseline, or standard deviations."""
MOST_ROUNDS, SAME_MARGIN = 20, 1e-9


class GivenOfSafety(TypedDict, total=False):
    """What a question about safety is told beside the guardrail."""

    required_guardrails: int
    ratio: float
    looks: int
    test_arms: int
    correlation: float
    design_effect: float


@dataclass(frozen=True, slots=True)
class UnitErrors:
    """One control unit's standard error of harm: as the verdict takes it ``on_edge`` of the margin,
    and the ``true`` one.
    """

    on_edge: float
    true: float

    @property
    def stretch(self) -> float:
        return self.on_edge / self.true


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guardrail today: its rate or mean, one unit's ``sd`` (of a rate: None), and whether the
    margin is relative.
    """

    baseline: float | None = None
    sd: float | None = None
    relative: bool = False
    better: Literal["increase", "decrease"] = "decrease"

    def __post_init__(self) -> None:
        if self.sd is None and not (self.baseline is not None and 0 < self.baseline < 1):
            raise ImpossiblePlan(f"a rate lies between 0 and 1, found {self.baseline!r}")
        if self.sd is not None and not (math.isfinite(self.sd) and self.sd > 0):
            raise ImpossiblePlan(f"the standard deviation is above 0, found {self.sd!r}")
        if self.relative and not (
            self.baseline is not None and math.isfinite(self.baseline) and self.baseline > 0
        ):
            raise ImpossiblePlan(
                f"a relative margin needs a baseline above 0, found {self.baseline!r}"
            )

    @property
    def sign(self) -> int:
        """1 where more is harm, −1 where less is."""
        return 1 if self.better == "decrease" else -1

    def unit_errors(self, margin: float, ratio: float) -> UnitErrors:
        """Standard errors of harm with one control unit (and ``ratio`` test units), in margins,
        when there is no harm.
        """
        self._check(margin)
        base, size = (
            self.baseline or 0.0,
            margin * (self.baseline or 0.0) if self.relative else margin,
        )
        factor = 1 + self.sign * margin if self.relative else 1.0
        if self.sd is not None:
            error = self._spread_error(self.sd, margin, ratio, factor)
            return UnitErrors(error, error)
        true = math.sqrt(base * (1 - base) * (factor**2 + 1 / ratio)) / size
        return UnitErrors(self._edge_error(margin, ratio, factor) / size, true)

    def _spread_error(self, sd: float, margin: float, ratio: float, factor: float) -> float:
        """Of means, on the scale of the verdict: plain for even arms or without a baseline, else
        see ``uneven``.
        """
        shift = 0.0 if self.relative else self.sign * margin
        if self.baseline is None or are_even(1.0, ratio):
            size = margin * (self.baseline or 0.0) if self.relative else margin
            return sd * math.sqrt(factor**2 + 1 / ratio) / size
        found = held(
            ArmMean(1.0, self.baseline, sd * sd),
            ArmMean(ratio, self.baseline, sd * sd),
            factor,
            shift,
        )
        return found.se / abs(found.distance)

    def _edge_error(self, margin: float, ratio: float, factor: float) -> float:
        """Of T − factor·C at the rates on the margin's edge that fit arms without harm best
        (Farrington–Manning).
        """
        base = self.baseline or 0.0
        if self.relative:
            control = ratio_edge_rate(base, 1.0, base * ratio, ratio, factor)
            treatment = min(1.0, factor * control)
        else:
            control = difference_edge_rate(base, 1.0, base * ratio, ratio, self.sign * margin)
            treatment = min(1.0, max(0.0, control + self.sign * margin))
        return math.sqrt(factor**2 * control * (1 - control) + treatment * (1 - treatment) / ratio)

    @property
    def largest(self) -> float:
        """The largest margin worth asking about."""
        if self.relative:
            return LARGEST_MARGIN if self.sign > 0 else 1.0
        if self.sd is not None:
            return LARGEST_MARGIN * self.sd
        rate = self.baseline or 0.0
        return 1 - rate if self.sign > 0 else rate

    def _check(self, margin: float) -> None:
        if not (math.isfinite(margin) and margin > 0):
            raise ImpossiblePlan(f"a margin is above 0, found {margin!r}")
        if self.relative and self.sign < 0 and margin >= 1:
            raise ImpossiblePlan(f"a fall by a relative margin stays below 100 %, found {margin!r}")


def joint_beta(required_guardrails: int) -> float:
    """β of each required guardrail, one share being the primary metric's: .2/(1 + guardrails)."""
    return JOINT_BETA / (1 + required_guardrails)


def safe_sample(guard: Guard, margin: float, **given: Unpack[GivenOfSafety]) -> SampleSize:
    """Units for SAFE within the margin when there is no harm, with power 1 − .2/(1 + required
    guardrails).
    """
    terms = _terms(given)
    return sized(_control_units(guard.unit_errors(margin, terms.ratio), terms), terms)


def safe_power(
    guard: Guard, margin: float, n_control: float, **given: Unpack[GivenOfSafety]
) -> float:
    """Chance of SAFE within the margin, at one of the looks, when there is no harm."""
    terms = _terms(given)
    errors = guard.unit_errors(margin, terms.ratio)
    se = errors.true * math.sqrt(terms.spread / checked_units(n_control))
    return terms.chance(1 / se, stretch=errors.stretch)


def safe_margin(guard: Guard, n_control: float, **given: Unpack[GivenOfSafety]) -> float | None:
    """The smallest margin that this size can show to be kept when there is no harm; None when none
    would do.

    What looks cost depends a little on the margin, so it is computed anew at the margin found,
    until that stays.
    """
    terms = _terms(given)
    checked_units(n_control)
    one_look, cost, found = replace(terms, looks=1), 1.0, None
    for _ in range(MOST_ROUNDS):
        before, found = found, _margin_of(guard, n_control / cost, one_look)
        if (
            found is None
            or terms.looks == 1
            or (before is not None and abs(found - before) <= SAME_MARGIN * found)
        ):
            break
        errors = guard.unit_errors(found, terms.ratio)
        cost = _control_units(errors, terms) / _control_units(errors, one_look)
    return found


def _control_units(errors: UnitErrors, terms: Terms) -> float:
    worth = errors.true * terms.drift(errors.stretch)
    return worth * worth * terms.spread


def _margin_of(guard: Guard, n_control: float, terms: Terms) -> float | None:
    def spare(log_margin: float) -> float:
        return math.log(n_control) - math.log(
            _control_units(guard.unit_errors(math.exp(log_margin), terms.ratio), terms)
        )

    low, high = math.log(guard.largest * 1e-15), math.log(guard.largest * (1 - 1e-12))
    if spare(high) <= 0:
        return None
    return (
        math.exp(brentq(spare, low, high, xtol=1e-13, rtol=1e-13))
        if spare(low) < 0
        else math.exp(low)
    )


def safe_points_sample(
    variance: float, margin: float, **given: Unpack[GivenOfSafety]
) -> SampleSize:
    """Units for SAFE against an absolute margin, from one unit's variance: (z + z)²·V·(1 +
    1/k)/margin².
    """
    if not (math.isfinite(variance) and variance > 0):
        raise ImpossiblePlan(f"variance and margin are above 0, found {variance!r} and {margin!r}")
    return safe_sample(Guard(sd=math.sqrt(variance)), margin, **given)


def safe_relative_sample(base: float, margin: float, **given: Unpack[GivenOfSafety]) -> SampleSize:
    """Units for SAFE of a rate with a relative margin, as the verdict tests it: T against (1 +
    m)·C.
    """
    return safe_sample(Guard(baseline=base, relative=True), margin, **given)


def safe_events(margin: float, **given: Unpack[GivenOfSafety]) -> int:
    """Bad events control must collect for SAFE against a relative margin (.15) when there is no
    harm.

    (z_.95 + z_{1−β})²(1 + 1/k)/ln²(1 + margin); rare events. Five required guardrails, 15 %: 1,240.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ImpossiblePlan(f"a relative margin is above 0, found {margin!r}")
    terms = _terms(given)
    return whole_units(
        terms.z_sum**2 * (1 + 1 / terms.ratio) / math.log1p(margin) ** 2 * terms.enlarged
    )


def detect_events(increase: float, **given: Unpack[Given]) -> int:
    """Control events to detect a relative increase of rare events against zero, two-sided; +15 % at
    power .8: 752.
    """
    if not (math.isfinite(increase) and increase > 0):
        raise ImpossiblePlan(f"an increase is above 0, found {increase!r}")
    terms = Terms(**given)
    spread = 1 + 1 / (terms.ratio * (1 + increase))
    return whole_units(terms.z_sum**2 * spread / math.log1p(increase) ** 2 * terms.enlarged)


def _terms(given: GivenOfSafety) -> Terms:
    required = given.get("required_guardrails", 1)
    if required < 0:
        raise ImpossiblePlan(
            f"the number of required guardrails is not negative, found {required!r}"
        )
    return Terms(
        alpha=SAFE_ALPHA,
        power=1 - joint_beta(required),
        sides=1,
        ratio=given.get("ratio", 1.0),
        looks=given.get("looks", 1),
        test_arms=given.get("test_arms", 1),
        correlation=given.get("correlation", 0.0),
        design_effect=given.get("design_effect", 1.0),
    )
