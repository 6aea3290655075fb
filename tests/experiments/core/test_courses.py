from __future__ import annotations

from experiments.drawing.courses import LEFT, RIGHT, Point, course
from experiments.drawing.geometry import DrawnEstimate, intervals

TIMES = [(1.0, "1"), (2.0, "2"), (3.0, "3")]


def said(value: float) -> str:
    return f"{value:g}"


def test_course__larger_values_lie_higher__later_ones_further_right() -> None:
    found = course([("A", [Point(1, 0.0), Point(2, 1.0), Point(3, 2.0)])], TIMES, said)
    assert found is not None
    dots = found.lines[0].dots
    assert [x for x, _, _ in dots] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    assert dots[0][1] > dots[1][1] > dots[2][1]
    assert dots[0][1] == found.zero


def test_course__a_day_that_cannot_be_said__breaks_line_and_band() -> None:
    points = [Point(1, 1.0, 0.0, 2.0), Point(2, None), Point(3, 1.0, 0.0, 2.0)]
    line = course([("A", points)], TIMES, said).lines[0]
    assert line.path.count("M") == 2 and "L" not in line.path
    assert line.band == "" and len(line.dots) == 2
    assert line.dots[0][2] == "A: 1, between 0 and 2"


def test_course__intervals_in_a_row__are_one_outline() -> None:
    line = course([("A", [Point(i, 1.0, 0.5, 1.5) for i in (1, 2, 3)])], TIMES, said).lines[0]
    assert line.band.count("M") == 1 and line.band.endswith("Z")


def test_course__nothing_to_say__is_none() -> None:
    assert course([("A", [Point(1, None)])], TIMES, said) is None
    assert course([], [], said) is None


def test_course__marks_outside_the_days__are_left_out() -> None:
    found = course([("A", [Point(1, 1.0)])], TIMES, said, marks=[(0.0, "before"), (2.0, "inside")])
    assert [text for _, text in found.marks] == ["inside"]


def test_course__many_days__few_labels_both_ends_among_them() -> None:
    times = [(float(i), str(i)) for i in range(90)]
    found = course([("A", [Point(i, i) for i in range(90)])], times, said)
    assert len(found.times) <= 8 and (found.times[0][1], found.times[-1][1]) == ("0", "89")


def test_intervals__harm_begins_at_the_margin_and_lies_away_from_zero() -> None:
    found = intervals(
        [DrawnEstimate("A", 0.0, -1.0, 1.0, margin=-0.5, always_low=-2.0, always_high=2.0)]
    )
    left, right = found.harm
    assert left < right == found.margin < found.zero
    bar = found.bars[0]
    assert bar.w0 < bar.x0 < bar.x < bar.x1 < bar.w1
    assert intervals([DrawnEstimate("A", 0.0, -1.0, 1.0)]).harm is None
