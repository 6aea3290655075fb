"""Several hypotheses at once: adjusted p-values to be held against the plain level.

Decisions use Holm's, exploration Benjamini and Hochberg's. The others are what other tools print: a
hypothesis that cannot say (None) stays None and still counts among those asked, in all of them; where the
rest must be ranked below it, it is taken for a p of 1.
References: Holm 1979; Šidák 1967; Hochberg 1988; Hommel 1988; Benjamini and Hochberg 1995; Benjamini and
Yekutieli 2001.
"""

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


def bonferroni(p: Probabilities) -> list[float | None]:
    """m·p: any dependence, and never better than Holm's."""
    known, order, m = _ordered(p)
    return _placed(p, order, np.minimum(known[order] * m, 1.0))


def sidak(p: Probabilities) -> list[float | None]:
    """1 − (1 − p)^m, for independent hypotheses."""
    known, order, m = _ordered(p)
    return _placed(p, order, _any_of(known[order], np.full(len(order), m)))


def holm_sidak(p: Probabilities) -> list[float | None]:
    """Šidák's step-down p, for independent hypotheses."""
    known, order, m = _ordered(p)
    return _placed(p, order, np.maximum.accumulate(_any_of(known[order], m - np.arange(len(order)))))


def hochberg(p: Probabilities) -> list[float | None]:
    """Hochberg's step-up p: Holm's factors from the largest down; for independent or positively dependent hypotheses."""
    known, order, m = _ordered(p)
    scaled = known[order] * (m - np.arange(len(order)))
    return _placed(p, order, np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0))


def hommel(p: Probabilities) -> list[float | None]:
    """Hommel's p: the closed test built of Simes' tests; as Hochberg's, and never larger."""
    known, order, m = _ordered(p)
    ranked = np.concatenate([known[order], np.ones(m - len(order))])
    adjusted = ranked.copy()
    for size in range(m, 1, -1):
        # Simes' tests of every set of ``size``: of a small p with the size − 1 largest, or of the size largest.
        small = m - size + 1
        others = float((size * ranked[small:] / np.arange(2, size + 1)).min())
        bound = np.minimum(size * ranked, others)
        bound[small:] = bound[small - 1]
        adjusted = np.maximum(adjusted, bound)
    return _placed(p, order, np.minimum(adjusted, 1.0)[: len(order)])


def benjamini_yekutieli(p: Probabilities) -> list[float | None]:
    """Benjamini–Hochberg's p times 1 + ½ + … + 1/m: holds under any dependence."""
    known, order, m = _ordered(p)
    penalty = float((1 / np.arange(1, m + 1)).sum())
    scaled = known[order] * m * penalty / np.arange(1, len(order) + 1)
    return _placed(p, order, np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0))


def _any_of(p: NDArray[np.float64], among: NDArray[np.int_]) -> NDArray[np.float64]:
    """1 − (1 − p)^m without losing small p."""
    with np.errstate(divide="ignore"):
        return -np.expm1(among * np.log1p(-p))


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
