"""Sufficient totals of several numbers per unit: what ratios, covariates and both together need.

A unit contributes one value of each named variable: ``y`` the metric (a ratio's numerator), ``d`` a
ratio's denominator, ``y0`` and ``d0`` the same from before its first exposure. Moments of disjoint sets
of units add up, and any linear combination of the variables has its own totals without going back to rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics.core.errors import ImpossibleTotals
from analytics.core.totals import SUM_TOLERANCE, Totals, checked_count


@dataclass(frozen=True, slots=True)
class Moments:
    """n units; for each variable Σ, and for each pair of variables (a ≤ b in ``names``' order) Σab.

    ``products`` holds the upper triangle row by row: for (y, d) that is Σyy, Σyd, Σdd. Refuses
    (``ImpossibleTotals``) NaN, infinity, a wrong number of sums, and sums that no rows could have.
    """

    n: int
    names: tuple[str, ...]
    sums: tuple[float, ...]
    products: tuple[float, ...]

    def __post_init__(self) -> None:
        k = len(self.names)
        object.__setattr__(self, "n", checked_count(self.n))
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "sums", tuple(float(s) for s in self.sums))
        object.__setattr__(self, "products", tuple(float(s) for s in self.products))
        if k == 0 or len(set(self.names)) != k or len(self.sums) != k or len(self.products) != k * (k + 1) // 2:
            raise ImpossibleTotals(f"moments of {self.names}: {k} sums and {k * (k + 1) // 2} products are wanted, found {self}")
        _check(self)

    @classmethod
    def of_rows(cls, **columns: Iterable[float]) -> Moments:
        """Moments of rows, for tests and notebooks; a store computes them itself."""
        rows = {name: [float(v) for v in values] for name, values in columns.items()}
        lengths = {len(values) for values in rows.values()}
        if len(lengths) > 1:
            raise ImpossibleTotals(f"every unit needs a value of each of {tuple(rows)}, found columns of {sorted(lengths)} values")
        names = tuple(rows)
        products = [math.fsum(a * b for a, b in zip(rows[one], rows[two], strict=True)) for one, two in _pairs(names)]
        return cls(lengths.pop() if lengths else 0, names, tuple(math.fsum(rows[name]) for name in names), tuple(products))

    @classmethod
    def of_totals(cls, totals: Totals, names: Sequence[str] = ("y", "x")) -> Moments:
        """Totals of one value, or of a value and its companion, under the given names."""
        if totals.sum_x is None or totals.sum_x2 is None or totals.sum_xy is None:
            return cls(totals.n, (names[0],), (totals.sum_y,), (totals.sum_y2,))
        return cls(totals.n, tuple(names[:2]), (totals.sum_y, totals.sum_x), (totals.sum_y2, totals.sum_xy, totals.sum_x2))

    def __add__(self, other: Moments) -> Moments:
        if self.names != other.names:
            raise ImpossibleTotals(f"moments of {self.names} and of {other.names} do not add")
        return Moments(
            self.n + other.n,
            self.names,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(a + b for a, b in zip(self.products, other.products, strict=True)),
        )

    def sum(self, name: str) -> float:
        """Σ of one variable."""
        return self.sums[self._at(name)]

    def product(self, one: str, two: str) -> float:
        """Σ of the product of two variables."""
        i, j = sorted((self._at(one), self._at(two)))
        return self.products[i * len(self.names) - i * (i - 1) // 2 + j - i]

    def mean(self, name: str) -> float | None:
        """The mean of one variable; None without units."""
        return self.sum(name) / self.n if self.n else None

    def only(self, names: Sequence[str]) -> Moments:
        """Moments of some of the variables, in the order given."""
        return Moments(
            self.n, tuple(names), tuple(self.sum(name) for name in names), tuple(self.product(one, two) for one, two in _pairs(names))
        )

    def of(self, y: str, x: str | None = None) -> Totals:
        """Totals of one variable, with another as its companion."""
        return self.combined({y: 1.0}, None if x is None else {x: 1.0})

    def combined(self, y: Mapping[str, float], x: Mapping[str, float] | None = None) -> Totals:
        """Totals of Σ weight·variable, with another combination as its companion."""
        sum_y, sum_y2 = self._linear(y), max(0.0, self._quadratic(y, y))
        if x is None:
            return Totals(self.n, sum_y, _at_least(sum_y2, sum_y, self.n))
        sum_x, sum_x2 = self._linear(x), max(0.0, self._quadratic(x, x))
        sum_y2, sum_x2 = _at_least(sum_y2, sum_y, self.n), _at_least(sum_x2, sum_x, self.n)
        limit = math.sqrt(sum_y2) * math.sqrt(sum_x2)
        cross = min(limit, max(-limit, self._quadratic(y, x)))
        return Totals(self.n, sum_y, sum_y2, sum_x, sum_x2, cross)

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
        return Totals(n, sum_y, sum_y2)
    sum_x = totals.sum_x + n * x
    sum_x2 = _at_least(totals.sum_x2 + 2 * x * totals.sum_x + n * x * x, sum_x, n)
    limit = math.sqrt(sum_y2) * math.sqrt(sum_x2)
    cross = totals.sum_xy + x * totals.sum_y + y * totals.sum_x + n * x * y
    return Totals(n, sum_y, sum_y2, sum_x, sum_x2, min(limit, max(-limit, cross)))


def _at_least(squares: float, total: float, n: int) -> float:
    """Σz² of a combination: what cancels in it may not fall below (Σz)²/n by rounding."""
    return max(squares, total * (total / n)) if n else 0.0


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(one, two) for i, one in enumerate(names) for two in names[i:]]


def _check(moments: Moments) -> None:
    """Finite sums, and none that contradict each other pair by pair (Cauchy–Schwarz)."""
    for name, value in [*zip(moments.names, moments.sums, strict=True), *zip(_pairs(moments.names), moments.products, strict=True)]:
        if not math.isfinite(value):
            raise ImpossibleTotals(f"moments: the sum of {name} must be finite, found {value!r}")
    for one, two in _pairs(moments.names):
        if one == two:
            Totals(moments.n, moments.sum(one), moments.product(one, one))
        elif abs(moments.product(one, two)) > math.sqrt(moments.product(one, one)) * math.sqrt(moments.product(two, two)) * (
            1 + SUM_TOLERANCE
        ):
            raise ImpossibleTotals(f"Σ{one}·{two}={moments.product(one, two)!r} is larger than the squares of {one} and {two} allow")
