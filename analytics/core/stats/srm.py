"""Did the arms get the shares of units they should have got (sample ratio mismatch)?

A mismatch means that assignment, exposure or logging depends on the arm, and then no comparison of
the arms can be believed. Looks and completion use χ² (exact multinomial with few units); between
looks, where one peeks freely, a Dirichlet–multinomial Bayes factor that may be watched at any time
(Lindon and Malek 2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln, xlogy

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from experiments.core.figures import positive_p

RED_BELOW = 0.001
YELLOW_BELOW = 0.01
EXACT_BELOW_EXPECTED = 5.0
CONCENTRATION = 1000.0
"""Prior weight of the planned shares, in units."""
MASKING_FACTOR = 1000.0
"""Bayes factor above which results are masked between looks."""
MOST_TABLES = 2_000_000

SrmVerdict = Literal["green", "yellow", "red"]


@dataclass(frozen=True, slots=True)
class SrmCheck:
    """χ² or exact test of observed counts against planned shares; ``verdict`` None means: cannot
    say.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    chi2: float | None
    df: int
    p: float | None
    verdict: SrmVerdict | None
    method: str
    log_bayes_factor: float | None
    masks: bool
    reason: str | None = None


def check_shares(observed: Sequence[int], weights: Sequence[float]) -> SrmCheck:
    """Observed units per arm against weights (any scale: thousandths, buckets, shares).

    Arms of weight 0 take no part. ``verdict`` red (p < .001) gates looks and completion, yellow
    (p < .01) warns; ``masks`` (Bayes factor > 1,000) hides results between looks.
    """
    counts, shares = _planned(observed, weights)
    n, k = int(counts.sum()), len(counts)
    seen = tuple(int(c) for c in counts)
    expected = tuple(float(n * s) for s in shares)
    if n == 0 or k < 2:
        why = "no units yet" if n == 0 else "fewer than two arms have a share"
        return SrmCheck(seen, expected, None, max(k - 1, 0), None, None, "χ²", None, False, why)
    chi2 = float((((counts - n * shares) ** 2) / (n * shares)).sum())
    method, p = _p_value(counts, shares, chi2)
    factor = log_bayes_factor(seen, shares.tolist())
    masks = factor > math.log(MASKING_FACTOR)
    reason = None if p is not None else "too few units for χ² and too many tables for an exact test"
    return SrmCheck(seen, expected, chi2, k - 1, p, _verdict(p), method, factor, masks, reason)


def log_bayes_factor(
    observed: Sequence[int], weights: Sequence[float], concentration: float = CONCENTRATION
) -> float:
    """ln of (probability under shares drawn around the plan) / (probability under the plan); 0
    without units.

    Its inverse is an anytime-valid p: under the planned shares it exceeds 1,000 with probability at
    most .001, however often one looks.
    """
    counts, shares = _planned(observed, weights)
    prior = concentration * shares
    drawn = (
        gammaln(concentration)
        - gammaln(concentration + counts.sum())
        + (gammaln(prior + counts) - gammaln(prior)).sum()
    )
    return float(drawn - xlogy(counts, shares).sum())


def _planned(
    observed: Sequence[int], weights: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(observed) != len(weights):
        raise ImpossiblePlan(
            f"{len(observed)} counts but {len(weights)} weights: every arm needs both"
        )
    counts, shares = np.array(observed, dtype=float), np.array(weights, dtype=float)
    if not np.all(np.isfinite(counts)) or np.any(counts < 0) or np.any(counts != np.round(counts)):
        raise ImpossibleTotals(f"arms hold whole numbers of units, found {list(observed)}")
    if not np.all(np.isfinite(shares)) or np.any(shares < 0) or not shares.sum() > 0:
        raise ImpossiblePlan(f"weights are ≥ 0 and not all 0, found {list(weights)}")
    kept = shares > 0
    return counts[kept], shares[kept] / shares[kept].sum()


def _p_value(
    counts: NDArray[np.float64], shares: NDArray[np.float64], chi2: float
) -> tuple[str, float | None]:
    n, k = int(counts.sum()), len(counts)
    if n * shares.min() >= EXACT_BELOW_EXPECTED:
        return "χ²", positive_p(float(chdtrc(k - 1, chi2)))
    if math.comb(n + k - 1, k - 1) > MOST_TABLES:
        return "exact multinomial", None
    return "exact multinomial", exact_multinomial_p(counts, shares)


def exact_multinomial_p(counts: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Probability of all outcomes no likelier than the observed one."""
    observed = float(_log_pmf(counts[None, :], shares)[0])
    total = 0.0
    for block in _tables(int(counts.sum()), len(counts)):
        logs = _log_pmf(block, shares)
        total += float(np.exp(logs[logs <= observed + 1e-7]).sum())
    return positive_p(min(1.0, total))


def _tables(n: int, k: int) -> Iterator[NDArray[np.float64]]:
    """Every way to place n units in k arms, in blocks by the counts of all arms but the last
    two.
    """
    if k == 2:
        first = np.arange(n + 1, dtype=float)
        yield np.stack([first, n - first], axis=1)
        return
    for head in range(n + 1):
        for block in _tables(n - head, k - 1):
            yield np.concatenate([np.full((len(block), 1), float(head)), block], axis=1)


def _log_pmf(tables: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    n = tables.sum(axis=1)
    logs: NDArray[np.float64] = (
        gammaln(n + 1) - gammaln(tables + 1).sum(axis=1) + xlogy(tables, shares).sum(axis=1)
    )
    return logs


def _verdict(p: float | None) -> SrmVerdict | None:
    if p is None:
        return None
    return "red" if p < RED_BELOW else "yellow" if p < YELLOW_BELOW else "green"
