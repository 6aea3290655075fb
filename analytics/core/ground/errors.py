"""Refusals of the pure analytics core: what a caller handed over cannot be true."""

from __future__ import annotations


class ImpossibleTotals(ValueError):
    """Totals that no set of rows could have produced: NaN, a negative count, Σy² smaller than
    (Σy)²/n.
    """


class ImpossiblePlan(ValueError):
    """A plan whose numbers contradict each other: a rate above 1, an effect of nothing, a level
    outside 0–1.
    """
