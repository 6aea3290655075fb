"""Do two experiments that run at the same time change each other's effect?

Units meet one arm of each; their cells (arm of A × arm of B) are compared by the contrast ȳ_ab −
ȳ_a0 − ȳ_0b + ȳ_00: the effect of a where b is served minus the effect of a where B's control is.
That is the interaction of ordinary least squares on both experiments; with every cell free, its HC2
variance is Σ s²/n over the four cells. With more arms all contrasts are tested together (Wald F;
degrees of freedom the smallest of the contrasts', after Satterthwaite). Every pair of concurrent
experiments is asked nightly; Benjamini–Hochberg over pairs, alert at .01. Assumes that the two
assign independently. Cannot say with fewer than 10 units in a cell or without spread. References:
MacKinnon and White 1985 (HC2); Kohavi, Tang and Xu 2020, chapter 16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.arms.mean import FEWEST_UNITS
from analytics.core.stats.arms.normal import two_sided_t_p
from analytics.core.stats.multiplicity import benjamini_hochberg
from experiments.core.figures import positive_p

ALERT_AT = 0.01
"""Adjusted p at or below which a pair of experiments is shown as an alert."""

Cell = tuple[str, str]
"""(arm of the first experiment, arm of the second)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two concurrent experiments on one metric: their keys, their controls, and totals by cell."""

    first: str
    second: str
    controls: Cell
    cells: Mapping[Cell, Totals]


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much more arm ``first`` gains where arm ``second`` is served than where control is, in
    the metric's units.
    """

    first: str
    second: str
    difference: float
    se: float
    df: float
    p: float
    ci: Interval


@dataclass(frozen=True, slots=True)
class Interaction:
    """All contrasts of a pair and their joint p; ``adjusted_p`` and ``alert`` are over all pairs
    asked that night.
    """

    first: str
    second: str
    contrasts: tuple[Contrast, ...] = ()
    p: float | None = None
    adjusted_p: float | None = None
    alert: bool = False
    reason: str | None = None


def interaction(pair: Pair, alpha: float = 0.05) -> Interaction:
    """The interaction of one pair. Refuses totals that lack a cell of the table."""
    checked_level(alpha)
    rows, columns = _arms(pair)
    reason = _why_not(pair, rows, columns)
    if reason is not None:
        return Interaction(pair.first, pair.second, reason=reason)
    contrasts = tuple(_contrast(pair, a, b, alpha) for a in rows[1:] for b in columns[1:])
    return Interaction(pair.first, pair.second, contrasts, _joint_p(pair, rows, columns, contrasts))


def interactions(pairs: Sequence[Pair], alpha: float = 0.05) -> list[Interaction]:
    """Every pair of a night in the given order; pairs that cannot say count among those asked."""
    found = [interaction(pair, alpha) for pair in pairs]
    adjusted = benjamini_hochberg([i.p for i in found])
    return [
        Interaction(
            i.first, i.second, i.contrasts, i.p, q, q is not None and q <= ALERT_AT, i.reason
        )
        for i, q in zip(found, adjusted, strict=True)
    ]


def _arms(pair: Pair) -> tuple[list[str], list[str]]:
    """Both experiments' arms, control first, the others by key."""
    rows, columns = ({cell[k] for cell in pair.cells} for k in (0, 1))
    missing = [
        (a, b)
        for a in rows | {pair.controls[0]}
        for b in columns | {pair.controls[1]}
        if (a, b) not in pair.cells
    ]
    if missing:
        raise ImpossibleTotals(
            f"{pair.first} × {pair.second}: totals of every cell are wanted, be it of no units; missing {missing}"
        )
    first, second = (
        [control, *sorted(arms - {control})]
        for arms, control in ((rows, pair.controls[0]), (columns, pair.controls[1]))
    )
    return first, second


def _why_not(pair: Pair, rows: Sequence[str], columns: Sequence[str]) -> str | None:
    if len(rows) < 2 or len(columns) < 2:
        return "an interaction needs a test arm in each experiment"
    small = min(
        ((pair.cells[a, b].n, f"{a} × {b}") for a in rows for b in columns),
        key=lambda cell: cell[0],
    )
    if small[0] < FEWEST_UNITS:
        return f"cell {small[1]} has {small[0]} units; below {FEWEST_UNITS} nothing can be said"
    if any(
        not sum(_error(pair.cells[c]) for c in _corners(pair, a, b)) > 0
        for a in rows[1:]
        for b in columns[1:]
    ):
        return "no spread in any of four cells: a standard error cannot be estimated"
    return None


def _contrast(pair: Pair, a: str, b: str, alpha: float) -> Contrast:
    both, only_a, only_b, neither = (pair.cells[cell] for cell in _corners(pair, a, b))
    difference = (_mean(both) - _mean(only_a)) - (_mean(only_b) - _mean(neither))
    errors = [_error(t) for t in (both, only_a, only_b, neither)]
    variance = sum(errors)
    df = 1 / sum(
        (e / variance) ** 2 / (t.n - 1)
        for e, t in zip(errors, (both, only_a, only_b, neither), strict=True)
    )
    se = math.sqrt(variance)
    half = float(-stdtrit(df, alpha / 2)) * se
    p = two_sided_t_p(difference / se, df)
    return Contrast(
        a, b, difference, se, df, p, Interval(difference - half, difference + half, 1 - alpha)
    )


def _joint_p(
    pair: Pair, rows: Sequence[str], columns: Sequence[str], contrasts: Sequence[Contrast]
) -> float | None:
    """Wald's F that all contrasts are 0; one contrast's own p when there is one. None when some
    have no spread of their own.
    """
    if len(contrasts) == 1:
        return contrasts[0].p
    differences = np.array([c.difference for c in contrasts])
    ses = np.array([c.se for c in contrasts])
    correlation = _covariance(pair, rows, columns) / np.outer(ses, ses)
    if np.linalg.matrix_rank(correlation, hermitian=True) < len(contrasts):
        return None
    z = differences / ses
    wald = float(z @ np.linalg.solve(correlation, z))
    return positive_p(
        float(fdtrc(len(contrasts), min(c.df for c in contrasts), wald / len(contrasts)))
    )


def _covariance(pair: Pair, rows: Sequence[str], columns: Sequence[str]) -> NDArray[np.float64]:
    """Of all contrasts: two of them share the cells of control, of an arm, or both."""
    errors = np.array([[_error(pair.cells[a, b]) for b in columns] for a in rows])
    first = np.hstack([-np.ones((len(rows) - 1, 1)), np.eye(len(rows) - 1)])
    second = np.hstack([-np.ones((len(columns) - 1, 1)), np.eye(len(columns) - 1)])
    weights = np.kron(first, second)
    return np.asarray((weights * errors.ravel()) @ weights.T)


def _corners(pair: Pair, a: str, b: str) -> tuple[Cell, Cell, Cell, Cell]:
    zero_a, zero_b = pair.controls
    return (a, b), (a, zero_b), (zero_a, b), (zero_a, zero_b)


def _mean(totals: Totals) -> float:
    return totals.sum_y / totals.n


def _error(totals: Totals) -> float:
    return (totals.variance or 0.0) / totals.n
