"""Which margins a guardrail may have: the kinds that fit its metric's kind, and the range of each.

A margin says how much worse a metric may get. ``points`` of a share are parts of 1 (.02 = two
percentage points), of other metrics their own unit; ``relative`` is a part of control's value (.15
= 15 %). Designs, plans and the analysis all use this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from experiments.core.errors import Problem
from experiments.core.types import Direction, MarginKind, MetricKind

LARGEST_RISE = 10.0
"""A metric may be allowed to rise by less than 1,000 %; a larger number is a percentage typed as a
share.
"""

_POINTS, _RELATIVE, _MS, _MONEY = (
    MarginKind.POINTS,
    MarginKind.RELATIVE,
    MarginKind.MILLISECONDS,
    MarginKind.MONEY,
)

MARGIN_KINDS: Mapping[str, tuple[MarginKind, ...]] = {
    MetricKind.PROPORTION.value: (_POINTS, _RELATIVE),
    MetricKind.MEAN.value: (_POINTS, _RELATIVE, _MS, _MONEY),
    MetricKind.COUNT.value: (_POINTS, _RELATIVE, _MS, _MONEY),
    MetricKind.RATIO.value: (_POINTS, _RELATIVE, _MS, _MONEY),
    MetricKind.QUANTILE.value: (_POINTS, _RELATIVE, _MS, _MONEY),
    MetricKind.DURATION.value: (_POINTS, _RELATIVE, _MS),
}
"""The margin kinds of each metric kind, in the order in which messages name them."""


def margin_problem(
    kind: str,
    direction: str,
    margin: float | None,
    margin_kind: str,
    *,
    baseline: float | None = None,
) -> Problem | None:
    """Why a metric of this kind cannot have this margin, and which ones it can have; None when it
    can.

    ``baseline`` is the planned rate of a share. The field of the problem is ``margin`` or
    ``margin_kind``.
    """
    wanted = f"a {kind} takes a margin of {allowed(kind, direction)}"
    if margin is None or not margin > 0 or margin_kind not in list(MarginKind):
        return Problem(
            "margin_missing",
            f"{wanted}; found {_shown(margin)} {margin_kind or 'of no kind'}",
            "margin",
        )
    if margin_kind not in MARGIN_KINDS[kind]:
        return Problem(
            "margin_kind", f"{wanted}; found {_shown(margin)} {margin_kind}", "margin_kind"
        )
    if not margin < _end(kind, direction, margin_kind):
        return Problem("margin_range", f"{wanted}; found {_shown(margin)} {margin_kind}", "margin")
    return _off_the_scale(kind, direction, margin, margin_kind, baseline)


def allowed(kind: str, direction: str) -> str:
    """The margins that a metric of this kind can have, each with its range, in words."""
    return " or ".join(_range(kind, direction, margin) for margin in MARGIN_KINDS[kind])


def _end(kind: str, direction: str, margin_kind: str) -> float:
    """The value that a margin must stay below."""
    if margin_kind == _POINTS and kind == MetricKind.PROPORTION:
        return 1.0
    if margin_kind == _RELATIVE:
        return 1.0 if direction == Direction.INCREASE else LARGEST_RISE
    return math.inf


def _range(kind: str, direction: str, margin: MarginKind) -> str:
    end = _end(kind, direction, margin)
    if margin is _RELATIVE:
        example = "a fall stays below 100 %" if direction == Direction.INCREASE else "0.15 = 15 %"
        return f"relative (above 0, below {end:g}; {example})"
    if math.isfinite(end):
        return f"points (above 0, below {end:g}; 0.02 = 2 percentage points)"
    return f"{margin.value} (above 0)"


def _off_the_scale(
    kind: str, direction: str, margin: float, margin_kind: str, baseline: float | None
) -> Problem | None:
    """A share is between 0 and 1, so nothing could ever exceed a margin that leads outside."""
    if kind != MetricKind.PROPORTION or baseline is None or not 0 < baseline < 1:
        return None
    change = margin * baseline if margin_kind == _RELATIVE else margin
    worst = baseline + (-change if direction == Direction.INCREASE else change)
    if 0 < worst < 1:
        return None
    message = f"from a baseline of {baseline:g} a margin of {margin:g} {margin_kind} allows {worst:g}; a share stays between 0 and 1"
    return Problem("margin_range", message, "margin")


def _shown(margin: float | None) -> str:
    return "no margin" if margin is None else f"{margin:g}"
