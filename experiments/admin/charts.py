"""Geometry of the drawings on the pages: buckets as squares, intervals from the core; the templates
write the SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.drawing.geometry import DrawnEstimate, Intervals, intervals

__all__ = ["DrawnEstimate", "Intervals", "Squares", "intervals", "squares"]

COLUMNS = 50
SQUARE = 10
GAP = 2


@dataclass(frozen=True)
class Squares:
    """All squares of one kind as one SVG path, with the words of the legend."""

    css: str
    label: str
    count: int
    path: str


def squares(kinds: Iterable[tuple[str, str, Sequence[int]]]) -> list[Squares]:
    """Bucket indexes by kind (class, label, indexes) as paths on a grid of 50 by 20."""
    return [
        Squares(css, label, len(indexes), " ".join(_square(i) for i in indexes))
        for css, label, indexes in kinds
        if indexes
    ]


def _square(index: int) -> str:
    row, column = divmod(index, COLUMNS)
    side = SQUARE - GAP
    return f"M{column * SQUARE} {row * SQUARE}h{side}v{side}h-{side}z"
