"""What does a regression with robust errors say, from rows?

Ordinary least squares with heteroscedasticity-consistent errors (HC2: squared residuals over one
minus their leverage), by statsmodels, and t on n − k degrees of freedom. HC2 needs every row's
leverage, so it cannot come from totals; notebooks and reconciliation use it, the engine's CUPED is
in ``cuped``. None where the design has no unique solution or nothing is left to estimate errors
from. References: MacKinnon and White 1985 (HC2); Lin 2013; Freedman 2008 (analysis of covariance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.stats.arms.normal import two_sided_t_p

HIGHEST_LEVERAGE = 1 - 1e-9
"""A row beyond this determines its own fit: its residual says nothing about error."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """An estimate with its robust standard error, t and two-sided p."""

    value: float
    se: float
    df: int
    t: float
    p: float


def lin_effect(
    treated: Sequence[float], y: Sequence[float], x: Sequence[float]
) -> Coefficient | None:
    """Lin's effect from rows: y on t, x − x̄ and t·(x − x̄). ``treated`` holds 0 and 1."""
    t, values, centred = _columns(treated, y, x)
    return robust_coefficient(
        np.column_stack([np.ones_like(t), t, centred, t * centred]), values, 1
    )


def ancova_effect(
    treated: Sequence[float], y: Sequence[float], x: Sequence[float]
) -> Coefficient | None:
    """Analysis of covariance from rows: y on t and x, one slope for both arms."""
    t, values, centred = _columns(treated, y, x)
    return robust_coefficient(np.column_stack([np.ones_like(t), t, centred]), values, 1)


def robust_coefficient(
    design: NDArray[np.float64], y: NDArray[np.float64], column: int
) -> Coefficient | None:
    """One column's least-squares coefficient with its HC2 error."""
    from statsmodels.regression.linear_model import (
        OLS,
    )  # here, so that nothing that serves loads it

    rows, k = design.shape
    if rows <= k or np.linalg.matrix_rank(design) < k:
        return None
    fitted = OLS(y, design).fit()
    if fitted.get_influence().hat_matrix_diag.max() > HIGHEST_LEVERAGE:
        return None
    value, se = float(fitted.params[column]), float(fitted.HC2_se[column])
    if not se > 0:
        return None
    return Coefficient(value, se, rows - k, value / se, two_sided_t_p(value / se, rows - k))


def _columns(
    treated: Sequence[float], y: Sequence[float], x: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    t, values, covariate = (np.asarray(column, dtype=float) for column in (treated, y, x))
    if not len(t) == len(values) == len(covariate) > 0:
        raise ImpossibleTotals(
            f"rows need an arm, y and x each, found {len(t)}, {len(values)} and {len(covariate)} of them"
        )
    if not all(np.all(np.isfinite(column)) for column in (t, values, covariate)) or not np.all(
        (t == 0) | (t == 1)
    ):
        raise ImpossibleTotals("rows hold finite numbers and arms are 0 or 1")
    return t, values, covariate - covariate.mean()
