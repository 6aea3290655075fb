"""The registry of metric kinds. A new kind is one file in this folder and one line below."""

from __future__ import annotations

from typing import Any

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.kinds.base import Kind
from analytics.core.kinds.means import COUNT, MEAN
from analytics.core.kinds.proportions import PROPORTION
from analytics.core.kinds.quantiles import DURATION, QUANTILE
from analytics.core.kinds.ratios import RATIO

AnyKind = Kind[Any]
"""A kind whatever its totals are: who asks the registry hands over what the store gave."""
KINDS: dict[str, AnyKind] = {
    kind.name: kind for kind in (PROPORTION, MEAN, COUNT, RATIO, QUANTILE, DURATION)
}


def kind_of(name: str) -> AnyKind:
    """The kind of this name; refuses one that nobody registered."""
    if name not in KINDS:
        raise ImpossiblePlan(f"metric kind {name!r}: there are {', '.join(KINDS)}")
    return KINDS[name]


def level_of(kind: str, quantile: float | None) -> float:
    """The quantile that is asked for: the metric's own, else its kind's usual one; refuses kinds
    that have none.
    """
    level = quantile if quantile is not None else kind_of(kind).level
    if level is None:
        raise ImpossiblePlan(f"a {kind} has no quantile")
    return level
