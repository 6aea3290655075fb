"""Geometry of the drawings: numbers in, coordinates out; the templates write the SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

COLUMNS = 50
SQUARE = 10
GAP = 2
LEFT, RIGHT, ROW, TOP = 150.0, 700.0, 30.0, 8.0


@dataclass(frozen=True)
class Squares:
    """All squares of one kind as one SVG path, with the words of the legend."""

    css: str
    label: str
    count: int
    path: str


def squares(kinds: Iterable[tuple[str, str, Sequence[int]]]) -> list[Squares]:
    """Bucket indexes by kind (class, label, indexes) as paths on a grid of 50 by 20."""
    return [Squares(css, label, len(indexes), " ".join(_square(i) for i in indexes)) for css, label, indexes in kinds if indexes]


def _square(index: int) -> str:
    row, column = divmod(index, COLUMNS)
    side = SQUARE - GAP
    return f"M{column * SQUARE} {row * SQUARE}h{side}v{side}h-{side}z"


@dataclass(frozen=True)
class Estimate:
    """A difference to draw: estimate and interval, any of them missing when it cannot be said."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    tone: str = ""
    margin: float | None = None


@dataclass(frozen=True)
class Bar:
    """One row of the interval chart, in SVG units."""

    label: str
    y: float
    x: float | None
    x0: float | None
    x1: float | None
    tone: str
    margin: float | None


@dataclass(frozen=True)
class Intervals:
    """The interval chart: rows, the zero line and the ticks."""

    bars: list[Bar]
    zero: float
    ticks: list[tuple[float, str]]
    width: float
    height: float
    floor: float
    margin: float | None = None


def intervals(estimates: Sequence[Estimate], *, points: bool = False) -> Intervals | None:
    """Intervals around zero on one scale; None when no estimate can be said."""
    drawn = [e for e in estimates if e.value is not None]
    if not drawn:
        return None
    marks = [m for e in drawn for m in (e.value, e.low, e.high, e.margin, 0.0) if m is not None]
    step = _step(max(marks) - min(marks))
    low, high = floor(min(marks) / step) * step, -floor(-max(marks) / step) * step

    def at(value: float | None) -> float | None:
        return None if value is None else round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)

    bars = [Bar(e.label, TOP + ROW * (i + 0.5), at(e.value), at(e.low), at(e.high), e.tone, at(e.margin)) for i, e in enumerate(drawn)]
    count = round((high - low) / step)
    ticks = [(at(low + i * step) or 0.0, _tick(low + i * step, points)) for i in range(count + 1)]
    bottom = TOP + ROW * len(bars)
    margin = next((bar.margin for bar in bars if bar.margin is not None), None)
    return Intervals(bars, at(0.0) or LEFT, ticks, RIGHT + 20, bottom + 22, bottom, margin)


def _step(spread: float) -> float:
    """A round step that divides the spread into about five."""
    raw = (spread or 1.0) / 5
    power = 10.0 ** floor(log10(raw))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw))


def _tick(value: float, points: bool) -> str:
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value * 100:+.3g} pp" if points and value else f"{value:+.3g}" if value else "0"
