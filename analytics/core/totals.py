"""Sufficient totals: all that crosses from a store to statistics.

A unit contributes one value y (and, where a plan asks for it, one companion x: a covariate from
before the first exposure, or the denominator of a ratio). Totals of disjoint sets of units add up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analytics.core.errors import ImpossibleTotals

SUM_TOLERANCE = 1e-9
"""Relative slack of the Cauchy–Schwarz check: naive float sums over 10⁷ rows lose about this much."""
NO_SPREAD = 1e-12
"""A centred sum below this share of Σy² is rounding, not variance."""


@dataclass(frozen=True, slots=True)
class Totals:
    """n units, Σy and Σy² of their values, and optionally Σx, Σx², Σxy of their companions.

    Refuses (``ImpossibleTotals``) NaN and infinity, a negative or fractional n, sums over no units
    and sums that contradict each other.
    """

    n: int
    sum_y: float
    sum_y2: float
    sum_x: float | None = None
    sum_x2: float | None = None
    sum_xy: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", checked_count(self.n))
        for name in ("sum_y", "sum_y2", "sum_x", "sum_x2", "sum_xy"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        _check_pair("y", self.n, self.sum_y, self.sum_y2)
        _check_companion(self)

    @classmethod
    def of_values(cls, values: Iterable[float], companions: Iterable[float] | None = None) -> Totals:
        """Totals of rows, for tests and notebooks; a store computes them itself."""
        ys = [float(v) for v in values]
        n, sy, sy2 = len(ys), math.fsum(ys), math.fsum(y * y for y in ys)
        if companions is None:
            return cls(n, sy, sy2)
        xs = [float(v) for v in companions]
        if len(xs) != n:
            raise ImpossibleTotals(f"{n} values but {len(xs)} companions: every unit needs both")
        cross = math.fsum(x * y for x, y in zip(xs, ys, strict=True))
        return cls(n, sy, sy2, math.fsum(xs), math.fsum(x * x for x in xs), cross)

    @classmethod
    def of_rate(cls, events: int, n: int) -> Totals:
        """Totals of n yes/no units of which ``events`` are yes."""
        return cls(n, float(events), float(events))

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.n + other.n,
            self.sum_y + other.sum_y,
            self.sum_y2 + other.sum_y2,
            *(_both(self, other, name) for name in ("sum_x", "sum_x2", "sum_xy")),
        )

    @property
    def mean(self) -> float | None:
        """ȳ; None without units."""
        return self.sum_y / self.n if self.n else None

    @property
    def variance(self) -> float | None:
        """s² with n − 1; None below two units; 0 when the spread is below rounding."""
        if self.n < 2:
            return None
        centred = self.sum_y2 - self.sum_y * (self.sum_y / self.n)
        return centred / (self.n - 1) if centred > NO_SPREAD * self.sum_y2 else 0.0

    @property
    def events(self) -> int:
        """Yes units of a yes/no metric; refuses totals that are not of zeros and ones."""
        whole = round(self.sum_y)
        alike = math.isclose(self.sum_y, self.sum_y2, rel_tol=1e-9, abs_tol=1e-6)
        if not alike or abs(whole - self.sum_y) > 1e-6 or not 0 <= whole <= self.n:
            raise ImpossibleTotals(f"a proportion needs one 0 or 1 a unit; found n={self.n}, Σy={self.sum_y!r}, Σy²={self.sum_y2!r}")
        return whole


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """Totals by variant key, with the name of the control among them."""

    control: str
    arms: Mapping[str, Totals]

    def __post_init__(self) -> None:
        if self.control not in self.arms:
            raise ImpossibleTotals(f"control {self.control!r} has no totals; arms found: {sorted(self.arms)}")

    @property
    def control_totals(self) -> Totals:
        return self.arms[self.control]

    @property
    def test_arms(self) -> dict[str, Totals]:
        """The arms compared with control, in their given order."""
        return {key: totals for key, totals in self.arms.items() if key != self.control}

    def __add__(self, other: ArmTotals) -> ArmTotals:
        if other.control != self.control:
            raise ImpossibleTotals(f"totals of two experiments do not add: controls {self.control!r} and {other.control!r}")
        keys = [*self.arms, *(k for k in other.arms if k not in self.arms)]
        return ArmTotals(self.control, {k: _sum(self.arms.get(k), other.arms.get(k)) for k in keys})


def _sum(one: Totals | None, other: Totals | None) -> Totals:
    if one is None or other is None:
        return one or other or NOTHING
    return one + other


def _both(one: Totals, other: Totals, name: str) -> float | None:
    """A companion's sum over both parts; a part without units has nothing to add."""
    a, b = getattr(one, name), getattr(other, name)
    if one.n == 0 and a is None:
        return None if b is None else float(b)
    if other.n == 0 and b is None:
        return None if a is None else float(a)
    if (a is None) != (b is None):
        raise ImpossibleTotals(f"{name} is known for one part only: companions must be summed over all units or none")
    return None if a is None else float(a + b)


def checked_count(n: object) -> int:
    """A whole number of units that is not negative, or a refusal."""
    if isinstance(n, bool):
        raise ImpossibleTotals(f"n is a count of units, found {n!r}")
    try:
        whole = operator.index(n)  # type: ignore[arg-type]  # any integer type, numpy's too
    except TypeError:
        raise ImpossibleTotals(f"n is a count of units, found {n!r}") from None
    if whole < 0:
        raise ImpossibleTotals(f"n is a count of units, found {whole}")
    return whole


def _finite(name: str, value: object) -> float | None:
    if value is None and name not in ("sum_y", "sum_y2"):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # Decimal and numpy numbers come from stores
    except (TypeError, ValueError, OverflowError):
        raise ImpossibleTotals(f"{name} must be a number, found {value!r}") from None
    if not math.isfinite(number):
        raise ImpossibleTotals(f"{name} must be finite, found {number}")
    return number


def _check_pair(name: str, n: int, total: float, squares: float) -> None:
    if squares < 0 or (n == 0 and (total or squares)):
        raise ImpossibleTotals(f"no {n} units have Σ{name}={total!r} and Σ{name}²={squares!r}")
    if n and total * (total / n) > squares * (1 + SUM_TOLERANCE):
        raise ImpossibleTotals(f"Σ{name}²={squares!r} is smaller than (Σ{name})²/n={total * (total / n)!r}: the sums are of different rows")


def _check_companion(totals: Totals) -> None:
    x, x2, xy = totals.sum_x, totals.sum_x2, totals.sum_xy
    if x is None and x2 is None and xy is None:
        return
    if x is None or x2 is None or xy is None:
        raise ImpossibleTotals("Σx, Σx² and Σxy come together or not at all")
    _check_pair("x", totals.n, x, x2)
    if abs(xy) > math.sqrt(x2) * math.sqrt(totals.sum_y2) * (1 + SUM_TOLERANCE):
        raise ImpossibleTotals(f"Σxy={xy!r} is larger than √(Σx²·Σy²): the sums are of different rows")


NOTHING = Totals(0, 0.0, 0.0)
"""Totals of no units: what addition starts from."""
