"""Sufficient totals of several numbers per unit: what ratios, covariates and both together need.

A unit contributes one value of each named variable: ``y`` the metric (a ratio's numerator), ``d`` a
ratio's denominator, ``y0`` and ``d0`` the same from before its first exposure. Moments of disjoint
sets of units add up, and any linear combination of the variables has its own totals without going
back to rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from analytics.core.ground.centred import Centred, place
from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import (
    SUM_TOLERANCE,
    Totals,
    checked_count,
    from_origins,
    origin_of,
    sums_about,
)


@dataclass(frozen=True, slots=True)
class UnitMoments:
    """n units; for each variable Σ, and for each pair of variables (a ≤ b in ``names``' order) Σab.

    ``products`` holds the upper triangle row by row: for (y, d) that is Σyy, Σyd, Σdd. ``centred``
    holds the spread, as in ``Totals``. Refuses (``ImpossibleTotals``) NaN, infinity, a wrong number
    of sums, and sums that no rows could have.
    """

    n: int
    names: tuple[str, ...]
    sums: tuple[float, ...]
    products: tuple[float, ...]
    centred: Centred = field(default=Centred((), ()), compare=False, repr=False)

    def __post_init__(self) -> None:
        k = len(self.names)
        object.__setattr__(self, "n", checked_count(self.n))
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "sums", tuple(float(s) for s in self.sums))
        object.__setattr__(self, "products", tuple(float(s) for s in self.products))
        if (
            k == 0
            or len(set(self.names)) != k
            or len(self.sums) != k
            or len(self.products) != k * (k + 1) // 2
        ):
            raise ImpossibleTotals(
                f"moments of {self.names}: {k} sums and {k * (k + 1) // 2} products are wanted, found {self}"
            )
        _check(self)
        if not self.centred.scales:
            centred = Centred.about(self.n, self.sums, self.products)
            object.__setattr__(self, "centred", centred)

    @classmethod
    def of_rows(cls, **columns: Iterable[float]) -> UnitMoments:
        """Moments of rows, for tests and notebooks; a store computes them itself."""
        rows = {name: [float(v) for v in values] for name, values in columns.items()}
        lengths = {len(values) for values in rows.values()}
        if len(lengths) > 1:
            raise ImpossibleTotals(
                f"every unit needs a value of each of {tuple(rows)}, found columns of {sorted(lengths)} values"
            )
        values, n = list(rows.values()), lengths.pop() if lengths else 0
        return cls.about(n, tuple(rows), *sums_about([origin_of(v) for v in values], values))

    @classmethod
    def about(
        cls,
        n: int,
        names: Sequence[str],
        origins: Sequence[float],
        sums: Sequence[float],
        products: Sequence[float],
    ) -> UnitMoments:
        """Moments of variables from sums of what is left of their values above the origins."""
        centred = Centred.about(n, sums, products, origins)
        return cls(n, tuple(names), *from_origins(n, origins, sums, products), centred)

    @classmethod
    def of_totals(cls, totals: Totals, names: Sequence[str] = ("y", "x")) -> UnitMoments:
        """Totals of one value, or of a value and its companion, under the given names."""
        if totals.sum_x is None or totals.sum_x2 is None or totals.sum_xy is None:
            return cls(totals.n, (names[0],), (totals.sum_y,), (totals.sum_y2,), totals.centred)
        sums, products = (totals.sum_y, totals.sum_x), (totals.sum_y2, totals.sum_xy, totals.sum_x2)
        return cls(totals.n, tuple(names[:2]), sums, products, totals.centred)

    def __add__(self, other: UnitMoments) -> UnitMoments:
        if self.names != other.names:
            raise ImpossibleTotals(f"moments of {self.names} and of {other.names} do not add")
        return UnitMoments(
            self.n + other.n,
            self.names,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(a + b for a, b in zip(self.products, other.products, strict=True)),
            self._centred_with(other),
        )

    def _centred_with(self, other: UnitMoments) -> Centred:
        if self.n == 0 or other.n == 0:
            return other.centred if self.n == 0 else self.centred
        n = self.n + other.n
        gaps = [a / self.n - b / other.n for a, b in zip(self.sums, other.sums, strict=True)]
        return (self.centred + other.centred).merged(self.n * (other.n / n), gaps)

    def sum(self, name: str) -> float:
        """Σ of one variable."""
        return self.sums[self._at(name)]

    def product(self, one: str, two: str) -> float:
        """Σ of the product of two variables."""
        i, j = sorted((self._at(one), self._at(two)))
        return self.products[place(len(self.names), i, j)]

    def spread(self, one: str, two: str) -> float:
        """Σ of the product of two variables, each less its mean."""
        return self.centred.at(self._at(one), self._at(two))

    def mean(self, name: str) -> float | None:
        """The mean of one variable; None without units."""
        return self.sum(name) / self.n if self.n else None

    def above(self, origins: Sequence[float]) -> tuple[list[float], list[float]]:
        """Sums and products of what is left of the values above the origins."""
        left = [s - self.n * o for s, o in zip(self.sums, origins, strict=True)]
        pairs = combinations_with_replacement(range(len(left)), 2)
        share = 1 / self.n if self.n else 0.0
        products = zip(self.centred.products, pairs, strict=True)
        return left, [spread + share * left[i] * left[j] for spread, (i, j) in products]

    def only(self, names: Sequence[str]) -> UnitMoments:
        """Moments of some of the variables, in the order given."""
        sums = tuple(self.sum(name) for name in names)
        products = tuple(self.product(one, two) for one, two in _pairs(names))
        centred = self.centred.only([self._at(name) for name in names])
        return UnitMoments(self.n, tuple(names), sums, products, centred)

    def of(self, y: str, x: str | None = None) -> Totals:
        """Totals of one variable, with another as its companion."""
        return self.combined({y: 1.0}, None if x is None else {x: 1.0})

    def combined(self, y: Mapping[str, float], x: Mapping[str, float] | None = None) -> Totals:
        """Totals of Σ weight·variable, with another combination as its companion."""
        sum_y, sum_y2 = self._linear(y), max(0.0, self._quadratic(y, y))
        centred = self._centred_of(y, x)
        if x is None:
            return Totals(self.n, sum_y, _at_least(sum_y2, sum_y, self.n), centred=centred)
        sum_x, sum_x2 = self._linear(x), max(0.0, self._quadratic(x, x))
        sum_y2, sum_x2 = _at_least(sum_y2, sum_y, self.n), _at_least(sum_x2, sum_x, self.n)
        limit = math.sqrt(sum_y2) * math.sqrt(sum_x2)
        cross = min(limit, max(-limit, self._quadratic(y, x)))
        return Totals(self.n, sum_y, sum_y2, sum_x, sum_x2, cross, centred)

    def _centred_of(self, y: Mapping[str, float], x: Mapping[str, float] | None) -> Centred:
        one = {self._at(name): weight for name, weight in y.items()}
        yy, scale = self.centred.square(one), self.centred.scale_of(one)
        if x is None:
            return Centred((yy,), (scale,))
        other = {self._at(name): weight for name, weight in x.items()}
        xx = self.centred.square(other)
        limit = math.sqrt(yy) * math.sqrt(xx)
        xy = min(limit, max(-limit, self.centred.combined(one, other)))
        return Centred((yy, xy, xx), (scale, self.centred.scale_of(other)))

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise ImpossibleTotals(f"these moments hold {', '.join(self.names)}, not {name!r}")
        return self.names.index(name)

    def _linear(self, weights: Mapping[str, float]) -> float:
        return math.fsum(w * self.sum(name) for name, w in weights.items())

    def _quadratic(self, one: Mapping[str, float], two: Mapping[str, float]) -> float:
        return math.fsum(a * b * self.product(p, q) for p, a in one.items() for q, b in two.items())


def raised(totals: Totals, y: float, x: float = 0.0) -> Totals:
    """Totals after a constant was added to every value, and another to every companion."""
    n, sum_y = totals.n, totals.sum_y + totals.n * y
    sum_y2 = _at_least(totals.sum_y2 + 2 * y * totals.sum_y + n * y * y, sum_y, n)
    if totals.sum_x is None or totals.sum_x2 is None or totals.sum_xy is None:
        return Totals(n, sum_y, sum_y2, centred=totals.centred)
    sum_x = totals.sum_x + n * x
    sum_x2 = _at_least(totals.sum_x2 + 2 * x * totals.sum_x + n * x * x, sum_x, n)
    limit = math.sqrt(sum_y2) * math.sqrt(sum_x2)
    cross = totals.sum_xy + x * totals.sum_y + y * totals.sum_x + n * x * y
    cross = min(limit, max(-limit, cross))
    return Totals(n, sum_y, sum_y2, sum_x, sum_x2, cross, totals.centred)


def _at_least(squares: float, total: float, n: int) -> float:
    """Σz² of a combination: what cancels in it may not fall below (Σz)²/n by rounding."""
    return max(squares, total * (total / n)) if n else 0.0


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(one, two) for i, one in enumerate(names) for two in names[i:]]


def _check(moments: UnitMoments) -> None:
    """Finite sums, and none that contradict each other pair by pair (Cauchy–Schwarz)."""
    for name, value in [
        *zip(moments.names, moments.sums, strict=True),
        *zip(_pairs(moments.names), moments.products, strict=True),
    ]:
        if not math.isfinite(value):
            raise ImpossibleTotals(f"moments: the sum of {name} must be finite, found {value!r}")
    for one, two in _pairs(moments.names):
        if one == two:
            Totals(moments.n, moments.sum(one), moments.product(one, one))
        elif abs(moments.product(one, two)) > math.sqrt(moments.product(one, one)) * math.sqrt(
            moments.product(two, two)
        ) * (1 + SUM_TOLERANCE):
            raise ImpossibleTotals(
                f"Σ{one}·{two}={moments.product(one, two)!r} is larger than the squares of {one} and {two} allow"
            )
