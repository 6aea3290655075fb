"""Sums of squares and products about the means, which keep the spread of values far from zero.

Of values near 1.7·10⁹ that differ by seconds, Σy² holds the spread only in digits that a float does
not have. So spread comes from sums about an origin near the values: a store counts from the least
value, Python from the first. Sums about the means add up over disjoint units (Chan, Golub and
LeVeque 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NO_SPREAD = 1e-12
"""A centred sum below this share of the squares about the origin is rounding, not variance."""
ROUNDED_UNITS = 2e-16
"""What a unit's own rounding weighs beside that: with it, values that differ by less than 1.4·10⁻¹⁴
of their size (a mean of ten equal prices) have no spread."""


@dataclass(frozen=True, slots=True)
class Centred:
    """For each pair of variables (a ≤ b) Σ(a − ā)(b − b̄), row by row; and the squares that
    rounding comes from.
    """

    products: tuple[float, ...]
    scales: tuple[float, ...]

    @classmethod
    def about(
        cls, n: int, sums: Sequence[float], products: Sequence[float], origins: Sequence[float] = ()
    ) -> Centred:
        """From sums and products of values less their origins; what is only rounding becomes 0."""
        k = len(sums)
        if n == 0:
            return cls((0.0,) * len(products), (0.0,) * k)
        squares = [products[place(k, i, i)] for i in range(k)]
        scales = tuple(map(float, squares))
        if origins:
            scales = tuple(
                s + ROUNDED_UNITS * n * o * o for s, o in zip(scales, origins, strict=True)
            )
        squares = [_spread(squares[i] - sums[i] * (sums[i] / n), scales[i]) for i in range(k)]

        def product(i: int, j: int) -> float:
            if i == j:
                return squares[i]
            limit = math.sqrt(squares[i]) * math.sqrt(squares[j])
            return min(limit, max(-limit, products[place(k, i, j)] - sums[i] * (sums[j] / n)))

        return cls(tuple(product(i, j) for i in range(k) for j in range(i, k)), scales)

    def at(self, i: int, j: int) -> float:
        """Σ(a − ā)(b − b̄) of the variables at two places."""
        return self.products[place(len(self.scales), *sorted((i, j)))]

    def merged(self, share: float, gaps: Sequence[float]) -> Centred:
        """With n·m/(n + m) = ``share`` for the gaps between the two parts' means; add the other
        part's first.
        """
        k = len(gaps)
        between = [share * gaps[i] * gaps[j] for i in range(k) for j in range(i, k)]
        scales = [scale + abs(between[place(k, i, i)]) for i, scale in enumerate(self.scales)]
        return Centred(
            tuple(a + b for a, b in zip(self.products, between, strict=True)), tuple(scales)
        )

    def __add__(self, other: Centred) -> Centred:
        return Centred(
            tuple(a + b for a, b in zip(self.products, other.products, strict=True)),
            tuple(a + b for a, b in zip(self.scales, other.scales, strict=True)),
        )

    def only(self, places: Sequence[int]) -> Centred:
        """Of some of the variables, in this order."""
        pairs = [(i, j) for a, i in enumerate(places) for j in places[a:]]
        return Centred(
            tuple(self.at(i, j) for i, j in pairs), tuple(self.scales[i] for i in places)
        )

    def combined(self, one: Mapping[int, float], other: Mapping[int, float]) -> float:
        """Σ of the product of two weighted sums of the variables, each about its mean."""
        return math.fsum(a * b * self.at(i, j) for i, a in one.items() for j, b in other.items())

    def scale_of(self, weights: Mapping[int, float]) -> float:
        """The squares that the rounding of a weighted sum of the variables comes from."""
        return math.fsum(weight * weight * self.scales[i] for i, weight in weights.items())

    def square(self, weights: Mapping[int, float]) -> float:
        """Σ of the squares of a weighted sum of the variables about its mean; 0 where only rounding
        is left.
        """
        return _spread(self.combined(weights, weights), self.scale_of(weights))


def place(k: int, i: int, j: int) -> int:
    """Where the pair i ≤ j of k variables is in an upper triangle that is written row by row."""
    return i * k - i * (i - 1) // 2 + j - i


def _spread(squares: float, scale: float) -> float:
    return squares if squares > NO_SPREAD * scale else 0.0
