"""Totals: they add up over any partition of the rows, and impossible ones are refused."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import NOTHING, ArmTotals, Totals

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(VALUES, st.data())
def test_totals__any_partition_of_rows__equal_the_whole(
    values: list[float], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(values)))
    parts = Totals.of_values(values[:cut]) + Totals.of_values(values[cut:])
    whole = Totals.of_values(values)
    assert parts.n == whole.n
    assert parts.sum_y == pytest.approx(whole.sum_y, rel=1e-12, abs=1e-6)
    assert parts.sum_y2 == pytest.approx(whole.sum_y2, rel=1e-12, abs=1e-6)


def test_totals__mean_and_variance__are_the_rows() -> None:
    totals = Totals.of_values([1.0, 2.0, 3.0, 6.0])
    assert totals.mean == 3.0
    assert totals.variance == pytest.approx(14 / 3)


def test_totals__with_companions__carry_their_cross_sums_through_addition() -> None:
    both = Totals.of_values([1.0, 2.0], [3.0, 4.0]) + Totals.of_values([5.0], [6.0])
    assert (both.sum_x, both.sum_x2, both.sum_xy) == (13.0, 61.0, 41.0)
    assert (NOTHING + both).sum_xy == 41.0


@pytest.mark.parametrize(
    "sums",
    [
        (-1, 0.0, 0.0),
        (2.5, 1.0, 1.0),
        (True, 1.0, 1.0),
        (0, 1.0, 1.0),
        (10, math.nan, 1.0),
        (10, 1.0, math.inf),
        (10, 5.0, -1.0),
        (10, 10.0, 9.0),
        (10, None, 1.0),
        (10, 1.0, 1.0, 2.0),
        (10, 1.0, 1.0, 2.0, 4.0, 99.0),
    ],
)
def test_totals__that_no_rows_could_make__are_refused(sums: tuple[float, ...]) -> None:
    with pytest.raises(ImpossibleTotals):
        Totals(*sums)  # type: ignore[arg-type]  # what must be refused


def test_totals__of_part_of_the_units_with_companions__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="one part only"):
        Totals.of_values([1.0], [1.0]) + Totals.of_values([1.0])


def test_totals__numbers_as_stores_give_them__are_taken() -> None:
    totals = Totals(np.int64(4), Decimal(2), np.float64(2))  # type: ignore[arg-type]  # as stores send them
    assert (totals.n, totals.sum_y, totals.events) == (4, 2.0, 2)


def test_events__values_that_are_not_zero_or_one__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="0 or 1"):
        _ = Totals.of_values([0.0, 2.0]).events


def test_variance__the_same_value_everywhere__is_zero_not_rounding() -> None:
    assert Totals.of_values([0.1] * 1001).variance == 0.0


def test_arm_totals__without_control__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="control"):
        ArmTotals("control", {"b": Totals.of_rate(1, 2)})


def test_arm_totals__of_two_days__add_up_by_arm() -> None:
    monday = ArmTotals("a", {"a": Totals.of_rate(1, 2), "b": Totals.of_rate(2, 3)})
    tuesday = ArmTotals("a", {"a": Totals.of_rate(1, 4), "c": Totals.of_rate(0, 5)})
    both = monday + tuesday
    assert both.control_totals == Totals.of_rate(2, 6)
    assert list(both.test_arms) == ["b", "c"]
