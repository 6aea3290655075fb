"""The comparisons of mean and proportion for many metrics × arms × looks at once.

Says what ``compare_means`` and ``compare_proportions`` say, element by element, as arrays: NaN
where a number cannot be said, with a code in ``reason`` (texts in ``NoNumber``). Two things are not
computed here: exact p-values of small tables (``exact`` marks where the score p is not the one to
quote) and Koopman's interval of a ratio of rates. Inputs broadcast against each other: a control of
shape (metrics, 1) meets arms of (metrics, arms).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from analytics.core.ground.centred import NO_SPREAD
from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import SUM_TOLERANCE, Totals
from analytics.core.stats.arms.comparison import checked_level
from analytics.core.stats.arms.mean import FEWEST_UNITS
from analytics.core.stats.arms.normal import t_as_z, upper_quantile
from analytics.core.stats.arms.proportion import EXACT_BELOW_EXPECTED, EXACT_BELOW_UNITS
from experiments.core.figures import SMALLEST_P

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

LARGEST_Z = t_as_z(1e9, 1e9)
"""Where z stops for a t whose tail is too small for a float."""


class NoNumber(IntEnum):
    """Why there is no number (or, from CONTROL_NOT_ABOVE_0 on, no relative one)."""

    SAID = 0
    CONTROL_TOO_SMALL = 1
    TREATMENT_TOO_SMALL = 2
    NO_SPREAD = 3
    CONTROL_EMPTY = 4
    TREATMENT_EMPTY = 5
    ALL_ALIKE = 6
    CONTROL_NOT_ABOVE_0 = 7
    LIFT_UNBOUNDED = 8

    @property
    def text(self) -> str | None:
        """The reason as a sentence; None when the number is said."""
        return _TEXTS[self]


_TEXTS = {
    NoNumber.SAID: None,
    NoNumber.CONTROL_TOO_SMALL: f"control has too few units; below {FEWEST_UNITS} an arm nothing can be said",
    NoNumber.TREATMENT_TOO_SMALL: f"treatment has too few units; below {FEWEST_UNITS} an arm nothing can be said",
    NoNumber.NO_SPREAD: "no spread in either arm: a standard error cannot be estimated",
    NoNumber.CONTROL_EMPTY: "no units in control",
    NoNumber.TREATMENT_EMPTY: "no units in treatment",
    NoNumber.ALL_ALIKE: "every unit answered alike: nothing to test",
    NoNumber.CONTROL_NOT_ABOVE_0: "control's value is not above 0: a relative change is undefined, see the difference",
    NoNumber.LIFT_UNBOUNDED: "unbounded: the control mean's confidence interval holds 0",
}


@dataclass(frozen=True, slots=True)
class ManyTotals:
    """n, Σy and Σy² of many arms, in arrays of one shape. Refuses what ``Totals`` refuses, naming
    the first place.

    ``spread`` is Σ(y − ȳ)² where whoever made the totals knows it better than the two sums do.
    """

    n: Floats
    sum_y: Floats
    sum_y2: Floats
    spread: Floats | None = None

    def __post_init__(self) -> None:
        parts = np.broadcast_arrays(
            *(np.asarray(part, dtype=float) for part in (self.n, self.sum_y, self.sum_y2))
        )
        for name, part in zip(("n", "sum_y", "sum_y2"), parts, strict=True):
            object.__setattr__(self, name, part)
        finite = np.isfinite(self.n) & np.isfinite(self.sum_y) & np.isfinite(self.sum_y2)
        self._refuse(~finite, "sums are finite numbers")
        self._refuse((self.n < 0) | (self.n != np.floor(self.n)), "n is a count of units")
        self._refuse(
            (self.sum_y2 < 0) | ((self.n == 0) & ((self.sum_y != 0) | (self.sum_y2 != 0))),
            "no units have such sums",
        )
        self._refuse(
            self.sum_y * _ratio(self.sum_y, self.n) > self.sum_y2 * (1 + SUM_TOLERANCE),
            "Σy² is smaller than (Σy)²/n",
        )

    @classmethod
    def of(cls, totals: Iterable[Totals]) -> ManyTotals:
        """Arrays of single totals, in their order."""
        rows = np.array([(t.n, t.sum_y, t.sum_y2, t.centred.at(0, 0)) for t in totals], dtype=float)
        return cls(*rows.reshape(-1, 4).T)

    @classmethod
    def of_rates(cls, events: ArrayLike, n: ArrayLike) -> ManyTotals:
        """Arrays of yes/no units."""
        yes = np.asarray(events, dtype=float)
        return cls(np.asarray(n, dtype=float), yes, yes)

    @property
    def mean(self) -> Floats:
        """ȳ; 0 without units."""
        return _ratio(self.sum_y, self.n)

    @property
    def variance(self) -> Floats:
        """s² with n − 1; 0 below two units and where the spread is below rounding."""
        if self.spread is not None:
            return _ratio(self.spread, np.maximum(self.n - 1, 0.0))
        centred = self.sum_y2 - self.sum_y * _ratio(self.sum_y, self.n)
        return np.where(
            centred > NO_SPREAD * self.sum_y2, _ratio(centred, np.maximum(self.n - 1, 0.0)), 0.0
        )

    @property
    def events(self) -> Floats:
        """Yes units; refuses totals that are not of zeros and ones."""
        whole = np.rint(self.sum_y)
        alike = np.abs(self.sum_y - self.sum_y2) <= np.maximum(
            1e-9 * np.maximum(np.abs(self.sum_y), self.sum_y2), 1e-6
        )
        self._refuse(
            ~alike | (np.abs(whole - self.sum_y) > 1e-6) | (whole < 0) | (whole > self.n),
            "a proportion needs one 0 or 1 a unit",
        )
        return whole

    def _refuse(self, wrong: Flags, wanted: str) -> None:
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise ImpossibleTotals(
                f"totals at {at}: {wanted}, found n={self.n[at]}, Σy={self.sum_y[at]}, Σy²={self.sum_y2[at]}"
            )


@dataclass(frozen=True, slots=True)
class ManyMeans:
    """What ``compare_means`` says, in arrays of one shape; NaN where it cannot be said."""

    difference: Floats
    se: Floats
    df: Floats
    t: Floats
    z: Floats
    p: Floats
    ci_low: Floats
    ci_high: Floats
    lift: Floats
    lift_low: Floats
    lift_high: Floats
    reason: Codes
    lift_reason: Codes


@dataclass(frozen=True, slots=True)
class ManyRates:
    """What ``compare_proportions`` says, in arrays of one shape; ``p`` is the score test's,
    ``exact``: an exact p belongs there.
    """

    difference: Floats
    se: Floats
    z: Floats
    p: Floats
    ci_low: Floats
    ci_high: Floats
    lift: Floats
    exact: Flags
    reason: Codes
    lift_reason: Codes


def many_means(control: ManyTotals, treatment: ManyTotals, alpha: float = 0.05) -> ManyMeans:
    """Treatments' means against control's: Welch's t, its interval, and the lift with Fieller's
    interval.
    """
    checked_level(alpha)
    mean_c, mean_t = np.broadcast_arrays(control.mean, treatment.mean)
    v_c, v_t = _ratio(control.variance, control.n), _ratio(treatment.variance, treatment.n)
    spread = v_c + v_t
    checks = [control.n < FEWEST_UNITS, treatment.n < FEWEST_UNITS, ~(spread > 0)]
    reason = _first(
        checks, [NoNumber.CONTROL_TOO_SMALL, NoNumber.TREATMENT_TOO_SMALL, NoNumber.NO_SPREAD]
    )
    said = reason == NoNumber.SAID
    spread = np.where(said, spread, np.nan)
    difference, se = np.where(said, mean_t - mean_c, np.nan), np.sqrt(spread)
    t = difference / se
    df = 1 / (
        (v_c / spread) ** 2 / np.maximum(control.n - 1, 1.0)
        + (v_t / spread) ** 2 / np.maximum(treatment.n - 1, 1.0)
    )
    q, tail = (
        np.asarray(-stdtrit(df, alpha / 2), dtype=float),
        np.asarray(stdtr(df, -np.abs(t)), dtype=float),
    )
    low, high, bounded = _fieller(mean_c, v_c, mean_t, v_t, q)
    positive = said & (mean_c > 0)
    lift_codes = [NoNumber.CONTROL_NOT_ABOVE_0, NoNumber.LIFT_UNBOUNDED]
    return ManyMeans(
        difference=difference,
        se=se,
        df=df,
        t=t,
        z=_t_as_z(t, tail),
        p=np.maximum(2 * tail, SMALLEST_P),
        ci_low=difference - q * se,
        ci_high=difference + q * se,
        lift=np.where(positive, _ratio(mean_t, mean_c) - 1, np.nan),
        lift_low=np.where(positive, low, np.nan),
        lift_high=np.where(positive, high, np.nan),
        reason=reason,
        lift_reason=np.where(said, _first([~(mean_c > 0), ~bounded], lift_codes), reason),
    )


def many_rates(control: ManyTotals, treatment: ManyTotals, alpha: float = 0.05) -> ManyRates:
    """Treatments' rates against control's: score z, Newcombe's interval, the lift without an
    interval.
    """
    z_limit = upper_quantile(checked_level(alpha) / 2)
    x_c, n_c, x_t, n_t = np.broadcast_arrays(
        control.events, control.n, treatment.events, treatment.n
    )
    present = (n_c > 0) & (n_t > 0)
    rate_c, rate_t = (
        np.where(present, _ratio(x_c, n_c), np.nan),
        np.where(present, _ratio(x_t, n_t), np.nan),
    )
    events, n = x_c + x_t, n_c + n_t
    varied = present & (events > 0) & (events < n)
    pooled = np.where(varied, _ratio(events, n), np.nan)
    z = (rate_t - rate_c) / np.sqrt(
        pooled * (1 - pooled) * (_ratio(np.ones_like(n), n_t) + _ratio(np.ones_like(n), n_c))
    )
    unpooled = _ratio(rate_c * (1 - rate_c), n_c) + _ratio(rate_t * (1 - rate_t), n_t)
    expected = np.minimum(events, n - events) * _ratio(np.minimum(n_c, n_t), n)
    low, high = _newcombe(x_c, n_c, x_t, n_t, z_limit)
    codes = [NoNumber.CONTROL_EMPTY, NoNumber.TREATMENT_EMPTY, NoNumber.ALL_ALIKE]
    reason = _first([n_c == 0, n_t == 0, ~varied], codes)
    return ManyRates(
        difference=rate_t - rate_c,
        se=np.where(unpooled > 0, np.sqrt(unpooled), np.nan),
        z=z,
        p=np.maximum(2 * ndtr(-np.abs(z)), SMALLEST_P),
        ci_low=np.where(present, low, np.nan),
        ci_high=np.where(present, high, np.nan),
        lift=np.where(
            present & (x_c > 0), _ratio(rate_t, np.where(x_c > 0, rate_c, 0.0)) - 1, np.nan
        ),
        exact=varied & ((n < EXACT_BELOW_UNITS) | (expected < EXACT_BELOW_EXPECTED)),
        reason=reason,
        lift_reason=np.where(present, _first([x_c == 0], [NoNumber.CONTROL_NOT_ABOVE_0]), reason),
    )


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """top / bottom, 0 where bottom is 0."""
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.zeros(top.shape), where=bottom != 0)


def _first(checks: list[Flags], codes: list[NoNumber]) -> Codes:
    """The code of the first check that is true, SAID where none is."""
    return np.select(
        np.broadcast_arrays(*checks),
        [np.int8(code) for code in codes],
        default=np.int8(NoNumber.SAID),
    )


def _fieller(
    mean_c: Floats, v_c: Floats, mean_t: Floats, v_t: Floats, q: Floats
) -> tuple[Floats, Floats, Flags]:
    """(low, high, bounded) of all ratios r − 1 for which ȳ_T − r·ȳ_C does not differ from 0."""
    q2 = q**2
    a = mean_c**2 - q2 * v_c
    bounded = a > 0
    a = np.where(bounded, a, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = mean_c * mean_t / a
        root = np.sqrt(np.maximum(centre**2 - (mean_t**2 - q2 * v_t) / a, 0.0))
    # A ratio too large for floats has no limit that could be said.
    root = np.where(np.isfinite(root), root, np.nan)
    return centre - root - 1, centre + root - 1, bounded & ~np.isnan(root)


def _t_as_z(t: Floats, tail: Floats) -> Floats:
    """``t_as_z`` of each, given P(T ≤ −|t|)."""
    beyond = np.where(tail > 0, -ndtri(np.where(tail > 0, tail, 0.5)), LARGEST_Z)
    return np.copysign(np.minimum(np.where(np.isnan(tail), np.nan, beyond), np.abs(t)), t)


def _wilson(x: Floats, n: Floats, z: float) -> tuple[Floats, Floats]:
    rate, spread = _ratio(x, n), z * z * _ratio(np.ones_like(n), n)
    centre = (rate + spread / 2) / (1 + spread)
    half = np.sqrt(rate * (1 - rate) * spread + spread * spread / 4) / (1 + spread)
    return np.where(x == 0, 0.0, np.maximum(0.0, centre - half)), np.where(
        x == n, 1.0, np.minimum(1.0, centre + half)
    )


def _newcombe(
    x_c: Floats, n_c: Floats, x_t: Floats, n_t: Floats, z: float
) -> tuple[Floats, Floats]:
    (low_c, high_c), (low_t, high_t) = _wilson(x_c, n_c, z), _wilson(x_t, n_t, z)
    rate_c, rate_t = _ratio(x_c, n_c), _ratio(x_t, n_t)
    difference = rate_t - rate_c
    return difference - np.hypot(rate_t - low_t, high_c - rate_c), difference + np.hypot(
        high_t - rate_t, rate_c - low_c
    )
