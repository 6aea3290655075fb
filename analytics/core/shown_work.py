"""The arithmetic behind a difference, written out from stored totals, so that anybody can follow it
by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analytics.core.stats.arms.ratio import FEW_UNITS

Sums = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorkLine:
    """One line of the arithmetic: what, the formula, the same with its numbers, and what comes
    out.
    """

    what: str
    formula: str
    filled: str
    value: float


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm's value with the variance of one unit around it, and how both come about."""

    value: float
    variance: float | None
    steps: tuple[WorkLine, ...]


def steps(kind: str, control: Sums, treatment: Sums) -> tuple[WorkLine, ...]:
    """Each arm's value and variance, the difference, and its standard error; nothing where totals
    do not suffice.

    A quantile's totals are counts on either side of it, from which neither it nor its error can be
    had by hand.
    """
    ways = {"proportion": _rate, "mean": _mean, "count": _mean, "ratio": _ratio}
    way = ways.get(kind)
    if way is None:
        return ()
    c, t = way("control", control), way("arm", treatment)
    if c is None or t is None:
        return ()
    difference = t.value - c.value
    found = [
        *c.steps,
        *t.steps,
        WorkLine("difference", "arm − control", f"{_n(t.value)} − {_n(c.value)}", difference),
    ]
    if c.variance is not None and t.variance is not None:
        n_c, n_t = control["n"], treatment["n"]
        se = math.sqrt(t.variance / n_t + c.variance / n_c)
        filled = f"√({_n(t.variance)}/{_n(n_t)} + {_n(c.variance)}/{_n(n_c)})"
        found.append(
            WorkLine("standard error", "√(s²(arm)/n(arm) + s²(control)/n(control))", filled, se)
        )
    return tuple(found)


def _rate(who: str, sums: Sums) -> _Arm | None:
    n, y = sums.get("n", 0), sums.get("y", 0.0)
    if not n:
        return None
    rate = y / n
    value = WorkLine(f"rate of {who}", "Σy / n", f"{_n(y)} / {_n(n)}", rate)
    variance = WorkLine(
        f"s² of {who}", "rate · (1 − rate)", f"{_n(rate)} · (1 − {_n(rate)})", rate * (1 - rate)
    )
    return _Arm(rate, variance.value, (value, variance))


def _mean(who: str, sums: Sums) -> _Arm | None:
    n, y, yy = sums.get("n", 0), sums.get("y", 0.0), sums.get("y·y", 0.0)
    if not n:
        return None
    value = WorkLine(f"mean of {who}", "Σy / n", f"{_n(y)} / {_n(n)}", y / n)
    if n < 2:
        return _Arm(value.value, None, (value,))
    filled = f"({_n(yy)} − {_n(y)}²/{_n(n)}) / ({_n(n)} − 1)"
    variance = WorkLine(
        f"s² of {who}", "(Σy² − (Σy)²/n) / (n − 1)", filled, (yy - y * (y / n)) / (n - 1)
    )
    return _Arm(value.value, variance.value, (value, variance))


def _ratio(who: str, sums: Sums) -> _Arm | None:
    n, y, d = sums.get("n", 0), sums.get("y", 0.0), sums.get("d", 0.0)
    if not n or not d > 0:
        return None
    ratio, per_unit = y / d, d / n
    value = WorkLine(f"ratio of {who}", "Σy / Σd", f"{_n(y)} / {_n(d)}", ratio)
    if n < 2:
        return _Arm(ratio, None, (value,))
    yy, yd, dd = (sums.get(name, 0.0) for name in ("y·y", "y·d", "d·d"))
    formula = "(Σy² − 2R·Σyd + R²·Σd²) / (n − 1) / (Σd/n)²"
    filled = f"({_n(yy)} − 2·{_n(ratio)}·{_n(yd)} + {_n(ratio)}²·{_n(dd)}) / ({_n(n)} − 1) / {_n(per_unit)}²"
    spread = (yy - 2 * ratio * yd + ratio * ratio * dd) / (n - 1) / per_unit**2
    told = WorkLine(f"s² of {who}", formula, filled, spread)
    if n >= FEW_UNITS:
        return _Arm(ratio, spread, (value, told))
    v2 = (dd - d * (d / n)) / (n - 1) / per_unit**2
    few = WorkLine(
        f"s² of {who}, few units",
        f"s² · (1 + 3·v²/n) below {FEW_UNITS} units, v² = (Σd² − (Σd)²/n) / (n − 1) / (Σd/n)²",
        f"{_n(spread)} · (1 + 3·{_n(v2)}/{_n(n)})",
        spread * (1 + 3 * v2 / n),
    )
    return _Arm(ratio, few.value, (value, told, few))


def _n(value: float) -> str:
    """Enough digits to get the same result by hand."""
    return f"{value:.10g}".replace("-", "−")
