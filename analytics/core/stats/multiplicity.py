"""Several hypotheses at once: adjusted p-values to be held against the plain level.

Decisions use Holm's, exploration Benjamini and Hochberg's: written out here, since they are asked
at every analysis and simulated a million times, and agree with statsmodels'. The others are what
other tools print, by statsmodels. A hypothesis that cannot say (None) stays None and still counts
among those asked, in all of them; where the rest must be ranked below it, it is taken for a p of 1.
References: Holm 1979; Šidák 1967; Hochberg 1988; Hommel 1988; Benjamini and Hochberg 1995;
Benjamini and Yekutieli 2001.
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
    return _by_statsmodels(p, "sidak")


def holm_sidak(p: Probabilities) -> list[float | None]:
    """Šidák's step-down p, for independent hypotheses."""
    return _by_statsmodels(p, "holm-sidak")


def hochberg(p: Probabilities) -> list[float | None]:
    """Hochberg's step-up p: Holm's factors from the largest down; for independent or positively
    dependent hypotheses.
    """
    return _by_statsmodels(p, "simes-hochberg")


def hommel(p: Probabilities) -> list[float | None]:
    """Hommel's p: the closed test built of Simes' tests; as Hochberg's, and never larger."""
    return _by_statsmodels(p, "hommel")


def benjamini_yekutieli(p: Probabilities) -> list[float | None]:
    """Benjamini–Hochberg's p times 1 + ½ + … + 1/m: holds under any dependence."""
    return _by_statsmodels(p, "fdr_by")


def _by_statsmodels(p: Probabilities, method: str) -> list[float | None]:
    """What cannot be said is asked as a p of 1, which ranks last and changes no other."""
    from statsmodels.stats.multitest import (
        multipletests,
    )  # here, so that nothing that serves loads it

    _ordered(p)
    if not p:
        return []
    with np.errstate(divide="ignore"):  # of a p of 1
        adjusted = multipletests([1.0 if q is None else q for q in p], method=method)[1].tolist()
    return [
        None if q is None else min(1.0, float(found)) for q, found in zip(p, adjusted, strict=True)
    ]


def _ordered(p: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    known = np.array([q for q in p if q is not None], dtype=float)
    if np.any(~((known >= 0) & (known <= 1))):
        raise ValueError(f"p-values lie between 0 and 1, found {known.tolist()}")
    return known, np.argsort(known, kind="stable"), len(p)


def _placed(
    p: Probabilities, order: NDArray[np.intp], adjusted: NDArray[np.float64]
) -> list[float | None]:
    back = np.empty(len(order))
    back[order] = adjusted
    values = iter(back.tolist())
    return [None if q is None else next(values) for q in p]
