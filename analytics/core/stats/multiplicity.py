"""Several hypotheses at once: adjusted p-values to be held against the plain level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Probabilities = Sequence[float | None]


def holm(p: Probabilities) -> list[float | None]:
    """Holm's step-down p (any dependence; controls the chance of one false rejection). Holm 1979.

    A hypothesis that cannot say (None) stays None and still counts among those asked.
    """
    known, order, m = _ordered(p)
    adjusted = np.maximum.accumulate(known[order] * (m - np.arange(len(order))))
    return _placed(p, order, np.minimum(adjusted, 1.0))


def benjamini_hochberg(p: Probabilities) -> list[float | None]:
    """Benjamini–Hochberg's p (the expected share of false finds among finds; exploratory). 1995."""
    known, order, m = _ordered(p)
    scaled = known[order] * m / np.arange(1, len(order) + 1)
    adjusted = np.minimum.accumulate(scaled[::-1])[::-1]
    return _placed(p, order, np.minimum(adjusted, 1.0))


def _ordered(p: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    known = np.array([q for q in p if q is not None], dtype=float)
    if np.any(~((known >= 0) & (known <= 1))):
        raise ValueError(f"p-values lie between 0 and 1, found {known.tolist()}")
    return known, np.argsort(known, kind="stable"), len(p)


def _placed(p: Probabilities, order: NDArray[np.intp], adjusted: NDArray[np.float64]) -> list[float | None]:
    back = np.empty(len(order))
    back[order] = adjusted
    values = iter(back.tolist())
    return [None if q is None else next(values) for q in p]
