"""Lines over days or weeks: numbers in, coordinates out; whoever shows them writes the SVG.

A point without a value breaks its line: nothing is drawn where nothing can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor

from experiments.drawing.geometry import step_of

LEFT, RIGHT, TOP, HEIGHT = 64.0, 700.0, 10.0, 200.0
MOST_LABELS = 8


@dataclass(frozen=True)
class Point:
    """One value at a position on the axis, with its interval where it has one."""

    at: float
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CourseLine:
    """One series as SVG: the path of its values, the outline of its intervals, and its dots with
    what they say.
    """

    label: str
    path: str
    band: str
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Course:
    """The drawing: lines, ticks of the values (y) and of the axis (x), where zero lies, marks, and
    the size.
    """

    lines: list[CourseLine]
    ticks: list[tuple[float, str]]
    times: list[tuple[float, str]]
    zero: float | None
    marks: list[tuple[float, str]]
    left: float = LEFT
    right: float = RIGHT
    width: float = RIGHT + 36
    floor: float = TOP + HEIGHT
    height: float = TOP + HEIGHT + 22


def course(
    series: Sequence[tuple[str, Sequence[Point]]],
    times: Sequence[tuple[float, str]],
    say: Callable[[float], str],
    *,
    zero: bool = True,
    marks: Sequence[tuple[float, str]] = (),
) -> Course | None:
    """Series on one scale; ``times`` are the positions of the axis with their names, ``say`` words
    a value.

    None when there is nothing to draw. ``zero``: the scale includes it and its line is drawn.
    """
    values = [
        v for _, points in series for p in points for v in (p.value, p.low, p.high) if v is not None
    ]
    if not values or not times:
        return None
    low, high, step = _scale([*values, 0.0] if zero else values)
    first, last = min(at for at, _ in times), max(at for at, _ in times)

    def x(at: float) -> float:
        return round(
            (LEFT + RIGHT) / 2
            if last == first
            else LEFT + (at - first) / (last - first) * (RIGHT - LEFT),
            1,
        )

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * HEIGHT, 1)

    return Course(
        lines=[_line(label, points, x, y, say) for label, points in series],
        ticks=[
            (y(low + i * step), say(low + i * step)) for i in range(round((high - low) / step) + 1)
        ],
        times=[(x(at), name) for at, name in _few(times)],
        zero=y(0.0) if zero else None,
        marks=[(x(at), text) for at, text in marks if first <= at <= last],
    )


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """From below the least to above the largest, and the step between; a flat series gets room
    around it.
    """
    least, most = min(values), max(values)
    step = step_of(most - least or abs(most) or 1.0)
    low, high = floor(least / step) * step, -floor(-most / step) * step
    return (low, high, step) if high > low else (low - step, high + step, step)


Place = Callable[[float], float]


def _line(
    label: str, points: Sequence[Point], x: Place, y: Place, say: Callable[[float], str]
) -> CourseLine:
    dots, path, broken = [], [], True
    for point in points:
        if point.value is None:
            broken = True
            continue
        here = (x(point.at), y(point.value))
        path.append(f"{'M' if broken else 'L'}{here[0]} {here[1]}")
        broken = False
        dots.append((*here, _said(label, point, say)))
    return CourseLine(label, "".join(path), _band(points, x, y), dots)


def _said(label: str, point: Point, say: Callable[[float], str]) -> str:
    between = (
        ""
        if point.low is None or point.high is None
        else f", between {say(point.low)} and {say(point.high)}"
    )
    return f"{label}: {say(point.value or 0.0)}{between}"


def _band(points: Sequence[Point], x: Place, y: Place) -> str:
    """The outline of the intervals of unbroken runs of points; nothing for a single one."""
    outlines, run = [], list[tuple[float, float, float]]()
    for point in [*points, Point(0.0, None)]:
        if point.low is not None and point.high is not None:
            run.append((x(point.at), y(point.low), y(point.high)))
            continue
        if len(run) > 1:
            upper = "L".join(f"{at} {top}" for at, _, top in run)
            lower = "L".join(f"{at} {bottom}" for at, bottom, _ in reversed(run))
            outlines.append(f"M{upper}L{lower}Z")
        run = []
    return "".join(outlines)


def _few(times: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Not more labels than fit, the first and the last among them."""
    if len(times) <= MOST_LABELS:
        return list(times)
    every = (len(times) - 1) / (MOST_LABELS - 1)
    return [times[round(i * every)] for i in range(MOST_LABELS)]
