"""Geometry of the drawings: numbers in, coordinates out; whoever shows them writes the SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

LEFT, RIGHT, ROW, TOP = 150.0, 700.0, 30.0, 8.0
HEIGHT = 220.0
"""Of the drawing of looks."""


@dataclass(frozen=True)
class DrawnEstimate:
    """A difference to draw: estimate, interval, and the one that may be read at any time; any of
    them missing when it cannot be said.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    tone: str = ""
    margin: float | None = None
    always_low: float | None = None
    always_high: float | None = None


@dataclass(frozen=True)
class IntervalBar:
    """One row of the interval chart, in SVG units."""

    label: str
    y: float
    x: float | None
    x0: float | None
    x1: float | None
    tone: str
    margin: float | None
    w0: float | None = None
    w1: float | None = None


@dataclass(frozen=True)
class Intervals:
    """The interval chart: rows, the zero line and the ticks."""

    bars: list[IntervalBar]
    zero: float
    ticks: list[tuple[float, str]]
    width: float
    height: float
    floor: float
    margin: float | None = None
    harm: tuple[float, float] | None = None
    """From where to where a difference is harm: beyond the margin, away from zero."""

    @property
    def harm_width(self) -> float:
        """Of that band."""
        return 0.0 if self.harm is None else round(self.harm[1] - self.harm[0], 1)

    @property
    def winged(self) -> bool:
        """Whether any row has an interval that may be read at any time."""
        return any(bar.w0 is not None for bar in self.bars)


def intervals(estimates: Sequence[DrawnEstimate], *, points: bool = False) -> Intervals | None:
    """Intervals around zero on one scale; None when no estimate can be said."""
    drawn = [e for e in estimates if e.value is not None]
    if not drawn:
        return None
    marks = [
        m
        for e in drawn
        for m in (e.value, e.low, e.high, e.margin, e.always_low, e.always_high, 0.0)
        if m is not None
    ]
    step = step_of(max(marks) - min(marks))
    low, high = floor(min(marks) / step) * step, -floor(-max(marks) / step) * step

    def at(value: float | None) -> float | None:
        return (
            None
            if value is None
            else round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)
        )

    bars = [
        IntervalBar(
            e.label,
            TOP + ROW * (i + 0.5),
            at(e.value),
            at(e.low),
            at(e.high),
            e.tone,
            at(e.margin),
            at(e.always_low),
            at(e.always_high),
        )
        for i, e in enumerate(drawn)
    ]
    count = round((high - low) / step)
    ticks = [(at(low + i * step) or 0.0, _tick(low + i * step, points)) for i in range(count + 1)]
    bottom = TOP + ROW * len(bars)
    margin = next((bar.margin for bar in bars if bar.margin is not None), None)
    zero = at(0.0) or LEFT
    harm = None if margin is None else (LEFT, margin) if margin < zero else (margin, RIGHT)
    return Intervals(bars, zero, ticks, RIGHT + 20, bottom + 22, bottom, margin, harm)


@dataclass(frozen=True)
class Path:
    """One arm's z over information time: its points and those of the boundary on both sides, also
    as SVG point lists.
    """

    label: str
    dots: list[tuple[float, float]]
    edges: list[tuple[float, float]]
    line: str
    upper: str
    lower: str


@dataclass(frozen=True)
class Looks:
    """The drawing of looks: paths, where z is 0, ticks of z (y) and of information (x), and its
    size.
    """

    paths: list[Path]
    zero: float
    ticks: list[tuple[float, str]]
    times: list[tuple[float, str]]
    left: float
    right: float
    width: float
    height: float
    floor: float


def looks(paths: Sequence[tuple[str, Sequence[tuple[float, float, float | None]]]]) -> Looks | None:
    """z and its boundary by information time, arm by arm: (t, z, boundary of |z|); None when there
    is no look.

    Early boundaries may be far out: what lies beyond twice the last one or the largest |z| is drawn
    at the edge.
    """
    points = [point for _, path in paths for point in path]
    if not points:
        return None
    least = min((b for _, _, b in points if b is not None), default=2.0)
    most = max(1.2 * max(abs(z) for _, z, _ in points), 2 * least)
    left, bottom = 48.0, TOP + HEIGHT

    def x(t: float) -> float:
        return round(left + t * (RIGHT - left), 1)

    def y(z: float) -> float:
        return round(TOP + (1 - max(-most, min(most, z)) / most) * HEIGHT / 2, 1)

    def drawn(label: str, path: Sequence[tuple[float, float, float | None]]) -> Path:
        dots = [(x(t), y(z)) for t, z, _ in path]
        edges = [(t, b) for t, _, b in path if b is not None]
        upper, lower = [(x(t), y(b)) for t, b in edges], [(x(t), y(-b)) for t, b in edges]
        return Path(label, dots, [*upper, *lower], _points(dots), _points(upper), _points(lower))

    step = step_of(2 * most)
    marks = range(-int(most / step), int(most / step) + 1)
    ticks = [(y(i * step), _tick(i * step, False)) for i in marks]
    times = [(x(i / 4), f"{25 * i} %") for i in range(5)]
    return Looks(
        [drawn(*one) for one in paths],
        y(0.0),
        ticks,
        times,
        left,
        RIGHT,
        RIGHT + 20,
        bottom + 22,
        bottom,
    )


def _points(dots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in dots)


def step_of(spread: float) -> float:
    """A round step that divides the spread into about five."""
    raw = (spread or 1.0) / 5
    power = 10.0 ** floor(log10(raw))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw))


def _tick(value: float, points: bool) -> str:
    value = 0.0 if abs(value) < 1e-12 else value
    if not value:
        return "0"
    whole = 1000 <= abs(value) < 1e15
    return f"{value * 100:+.3g} pp" if points else f"{value:+,.0f}" if whole else f"{value:+.3g}"
