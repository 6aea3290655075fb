"""Sufficient totals: all that crosses from a store to statistics.

A unit contributes one value y (and, where a plan asks for it, one companion x: a covariate from
before the first exposure, or the denominator of a ratio). Totals of disjoint sets of units add up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from analytics.core.ground.centred import NO_SPREAD, Centred
from analytics.core.ground.errors import ImpossibleTotals

SUM_TOLERANCE = 1e-9
"""Relative slack of the Cauchy–Schwarz check: naive float sums over 10⁷ rows lose about this much.
"""
LOST = 2.3e-162
"""The square of a smaller value is 0 as a float, while its product with a larger one is not."""
FAR = 1e-3
"""Values whose range is below this share of their size are counted from the least of them."""


@dataclass(frozen=True, slots=True)
class Totals:
    """n units, Σy and Σy² of their values, and optionally Σx, Σx², Σxy of their companions.

    ``centred`` holds the spread. It comes from the sums unless whoever made the totals counted from
    an origin near the values (``about``, ``of_values``): Σy² alone loses the spread of values far
    from 0. Refuses (``ImpossibleTotals``) NaN and infinity, a negative or fractional n, sums over
    no units and sums that contradict each other.
    """

    n: int
    sum_y: float
    sum_y2: float
    sum_x: float | None = None
    sum_x2: float | None = None
    sum_xy: float | None = None
    centred: Centred = field(default=Centred((), ()), compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", checked_count(self.n))
        for name in ("sum_y", "sum_y2", "sum_x", "sum_x2", "sum_xy"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        _check_pair("y", self.n, self.sum_y, self.sum_y2)
        _check_companion(self)
        if not self.centred.scales:
            object.__setattr__(self, "centred", Centred.about(self.n, *self._sums()))

    def _sums(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.sum_x is None or self.sum_x2 is None or self.sum_xy is None:
            return (self.sum_y,), (self.sum_y2,)
        return (self.sum_y, self.sum_x), (self.sum_y2, self.sum_xy, self.sum_x2)

    @classmethod
    def of_values(
        cls, values: Iterable[float], companions: Iterable[float] | None = None
    ) -> Totals:
        """Totals of rows, for tests and notebooks; a store computes them itself."""
        ys = [float(v) for v in values]
        if companions is None:
            return cls.about(len(ys), *_about_first(ys))
        xs = [float(v) for v in companions]
        if len(xs) != len(ys):
            raise ImpossibleTotals(
                f"{len(ys)} values but {len(xs)} companions: every unit needs both"
            )
        return cls.about(len(ys), *_about_first(ys, xs))

    @classmethod
    def about(
        cls, n: int, origins: Sequence[float], sums: Sequence[float], products: Sequence[float]
    ) -> Totals:
        """Totals of values y (and companions x) from sums of what is left of them above their
        origins.
        """
        centred = Centred.about(n, sums, products, origins)
        whole, squares = from_origins(n, origins, sums, products)
        if len(whole) == 1:
            return cls(n, whole[0], squares[0], centred=centred)
        return cls(n, whole[0], squares[0], whole[1], squares[2], squares[1], centred)

    @classmethod
    def of_rate(cls, events: int, n: int) -> Totals:
        """Totals of n yes/no units of which ``events`` are yes."""
        return cls(n, float(events), float(events))

    def __add__(self, other: Totals) -> Totals:
        x, x2, xy = (_both(self, other, name) for name in ("sum_x", "sum_x2", "sum_xy"))
        y, y2 = self.sum_y + other.sum_y, self.sum_y2 + other.sum_y2
        return Totals(self.n + other.n, y, y2, x, x2, xy, _centred_sum(self, other))

    def __sub__(self, other: Totals) -> Totals:
        """What is left of y after some of the units are taken out; sums of nobody are nothing."""
        n = self.n - other.n
        if n <= 0:
            return NOTHING
        y = self.sum_y - other.sum_y
        squares = max(self.sum_y2 - other.sum_y2, y * (y / n))
        return Totals(n, y, squares, centred=_centred_rest(self, other, n, y / n))

    @property
    def alone(self) -> Totals:
        """y, its companion left aside."""
        return Totals(self.n, self.sum_y, self.sum_y2, centred=self.centred.only((0,)))

    @property
    def negated(self) -> Totals:
        """Of −y."""
        return Totals(self.n, -self.sum_y, self.sum_y2, centred=self.centred.only((0,)))

    @property
    def mean(self) -> float | None:
        """ȳ; None without units."""
        return self.sum_y / self.n if self.n else None

    @property
    def variance(self) -> float | None:
        """s² with n − 1; None below two units; 0 when the spread is below rounding."""
        return self.centred.at(0, 0) / (self.n - 1) if self.n >= 2 else None

    @property
    def events(self) -> int:
        """Yes units of a yes/no metric; refuses totals that are not of zeros and ones."""
        whole = round(self.sum_y)
        alike = math.isclose(self.sum_y, self.sum_y2, rel_tol=1e-9, abs_tol=1e-6)
        if not alike or abs(whole - self.sum_y) > 1e-6 or not 0 <= whole <= self.n:
            raise ImpossibleTotals(
                f"a proportion needs one 0 or 1 a unit; found n={self.n}, Σy={self.sum_y!r}, Σy²={self.sum_y2!r}"
            )
        return whole


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """Totals by variant key, with the name of the control among them."""

    control: str
    arms: Mapping[str, Totals]

    def __post_init__(self) -> None:
        if self.control not in self.arms:
            raise ImpossibleTotals(
                f"control {self.control!r} has no totals; arms found: {sorted(self.arms)}"
            )

    @property
    def control_totals(self) -> Totals:
        return self.arms[self.control]

    @property
    def test_arms(self) -> dict[str, Totals]:
        """The arms compared with control, in their given order."""
        return {key: totals for key, totals in self.arms.items() if key != self.control}

    def __add__(self, other: ArmTotals) -> ArmTotals:
        if other.control != self.control:
            raise ImpossibleTotals(
                f"totals of two experiments do not add: controls {self.control!r} and {other.control!r}"
            )
        keys = [*self.arms, *(k for k in other.arms if k not in self.arms)]
        return ArmTotals(self.control, {k: _sum(self.arms.get(k), other.arms.get(k)) for k in keys})


def from_origins(
    n: int, origins: Sequence[float], sums: Sequence[float], products: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Sums and products of whole values, from those of what is left of them above their origins."""
    whole = tuple(s + n * o for s, o in zip(sums, origins, strict=True))
    pairs = combinations_with_replacement(range(len(origins)), 2)
    squares = tuple(
        p + origins[j] * sums[i] + origins[i] * sums[j] + n * origins[i] * origins[j]
        for p, (i, j) in zip(products, pairs, strict=True)
    )
    return whole, squares


def sums_about(
    origins: Sequence[float], columns: Sequence[Sequence[float]]
) -> tuple[Sequence[float], tuple[float, ...], tuple[float, ...]]:
    """(origins, sums, products) of columns of values, each counted from its origin."""
    parts = [[v - o for v in column] for column, o in zip(columns, origins, strict=True)]
    pairs = combinations_with_replacement(parts, 2)
    products = tuple(math.fsum(map(operator.mul, one, other)) for one, other in pairs)
    return origins, tuple(map(math.fsum, parts)), products


def _about_first(
    *columns: Sequence[float],
) -> tuple[Sequence[float], tuple[float, ...], tuple[float, ...]]:
    """Each column counted from its first value, if its values lie far from 0 beside their
    spread.
    """
    return sums_about([origin_of(column) for column in columns], columns)


def origin_of(values: Sequence[float]) -> float:
    """Where values are counted from: 0, or the least where the spread is small beside the level."""
    least, most = min(values, default=0.0), max(values, default=0.0)
    return least if most - least < FAR * max(abs(least), abs(most)) else 0.0


def _centred_sum(one: Totals, other: Totals) -> Centred:
    if one.n == 0 or other.n == 0:
        return other.centred if one.n == 0 else one.centred
    k, n = len(one.centred.scales), one.n + other.n
    gaps = [one.sum_y / one.n - other.sum_y / other.n]
    if k == 2:
        gaps.append((one.sum_x or 0.0) / one.n - (other.sum_x or 0.0) / other.n)
    return (one.centred + other.centred).merged(one.n * (other.n / n), gaps)


def _centred_rest(whole: Totals, part: Totals, n: int, mean: float) -> Centred:
    if part.n == 0:
        return whole.centred.only((0,))
    gap, scale = part.sum_y / part.n - mean, whole.centred.scales[0]
    left = whole.centred.at(0, 0) - part.centred.at(0, 0) - part.n * (n / whole.n) * gap * gap
    return Centred((left if left > NO_SPREAD * scale else 0.0,), (scale,))


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
        raise ImpossibleTotals(
            f"{name} is known for one part only: companions must be summed over all units or none"
        )
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
        raise ImpossibleTotals(
            f"Σ{name}²={squares!r} is smaller than (Σ{name})²/n={total * (total / n)!r}: the sums are of different rows"
        )


def _check_companion(totals: Totals) -> None:
    x, x2, xy = totals.sum_x, totals.sum_x2, totals.sum_xy
    if x is None and x2 is None and xy is None:
        return
    if x is None or x2 is None or xy is None:
        raise ImpossibleTotals("Σx, Σx² and Σxy come together or not at all")
    _check_pair("x", totals.n, x, x2)
    x_size, y_size = math.sqrt(x2), math.sqrt(totals.sum_y2)
    lost = LOST * math.sqrt(totals.n) * (x_size + y_size)
    if abs(xy) > x_size * y_size * (1 + SUM_TOLERANCE) + lost:
        raise ImpossibleTotals(
            f"Σxy={xy!r} is larger than √(Σx²·Σy²): the sums are of different rows"
        )


NOTHING = Totals(0, 0.0, 0.0)
"""Totals of no units: what addition starts from."""
