"""Is an effect above an edge, or below it? One statistic, and a p-value for each of the two
claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import ndtr, stdtr

from experiments.core.figures import positive_p


@dataclass(frozen=True, slots=True)
class EdgeTest:
    """An effect held against an edge (a margin, or a factor of control).

    ``p_above`` is small when the effect is proven above the edge, ``p_below`` when it is proven
    below; they add up to 1 for continuous statistics. All None with a ``reason`` where nothing can
    be said.
    """

    method: str
    statistic: float | None = None
    p_above: float | None = None
    p_below: float | None = None
    df: float | None = None
    reason: str | None = None


def normal_edge(method: str, z: float | None, reason: str) -> EdgeTest:
    """Both p-values of a z; the reason is kept only where there is no z."""
    if z is None:
        return EdgeTest(method, reason=reason)
    return EdgeTest(method, z, positive_p(float(ndtr(-z))), positive_p(float(ndtr(z))))


def t_edge(method: str, t: float, df: float) -> EdgeTest:
    """Both p-values of a t on df degrees of freedom."""
    return EdgeTest(
        method, t, positive_p(float(stdtr(df, -t))), positive_p(float(stdtr(df, t))), df
    )
