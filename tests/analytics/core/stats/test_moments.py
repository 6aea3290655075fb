"""Moments: they add up over any partition, combine like the rows themselves, and impossible ones
are refused.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments, raised
from analytics.core.ground.totals import Totals

VALUE = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))
ROWS = st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=40)
WEIGHT = st.floats(-5, 5).map(lambda v: round(v, 2))


def _moments(rows: list[tuple[float, float, float]]) -> UnitMoments:
    y, d, x = zip(*rows, strict=True) if rows else ((), (), ())
    return UnitMoments.of_rows(y=y, d=d, x=x)


@given(ROWS, st.data())
def test_moments__any_partition_of_rows__equal_the_whole(
    rows: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    parts, whole = _moments(rows[:cut]) + _moments(rows[cut:]), _moments(rows)
    assert (parts.n, parts.names) == (whole.n, whole.names)
    assert parts.sums == pytest.approx(whole.sums, rel=1e-12, abs=1e-8)
    assert parts.products == pytest.approx(whole.products, rel=1e-12, abs=1e-6)


@given(ROWS, WEIGHT, WEIGHT, WEIGHT)
def test_combined__any_weights__is_the_total_of_combined_rows(
    rows: list[tuple[float, float, float]], a: float, b: float, c: float
) -> None:
    found = _moments(rows).combined({"y": a, "d": b}, {"x": c, "y": 1.0})
    table = np.array(rows)
    one, two = a * table[:, 0] + b * table[:, 1], c * table[:, 2] + table[:, 0]
    assert found.n == len(rows)
    assert (found.sum_y, found.sum_x) == pytest.approx((one.sum(), two.sum()), rel=1e-9, abs=1e-6)
    assert (found.sum_y2, found.sum_x2, found.sum_xy) == pytest.approx(
        ((one * one).sum(), (two * two).sum(), (one * two).sum()), rel=1e-7, abs=1e-2
    )


@given(ROWS, WEIGHT, WEIGHT)
def test_raised__by_constants__is_the_total_of_raised_rows(
    rows: list[tuple[float, float, float]], up: float, across: float
) -> None:
    y, _, x = zip(*rows, strict=True)
    found = raised(Totals.of_values(y, x), up, across)
    wanted = Totals.of_values([v + up for v in y], [v + across for v in x])
    assert (found.sum_y, found.sum_y2, found.sum_x, found.sum_x2, found.sum_xy) == pytest.approx(
        (wanted.sum_y, wanted.sum_y2, wanted.sum_x, wanted.sum_x2, wanted.sum_xy),
        rel=1e-9,
        abs=1e-5,
    )
    assert raised(Totals.of_values(y), up).sum_y2 == pytest.approx(
        wanted.sum_y2, rel=1e-9, abs=1e-5
    )


def test_products__hand_computed__are_found_in_either_order() -> None:
    m = UnitMoments.of_rows(y=[1.0, 2.0], d=[3.0, 4.0], x=[5.0, 6.0])
    assert m.products == (5.0, 11.0, 17.0, 25.0, 39.0, 61.0)
    assert [m.product(*pair) for pair in (("y", "d"), ("d", "y"), ("x", "d"), ("x", "x"))] == [
        11.0,
        11.0,
        39.0,
        61.0,
    ]
    assert (m.mean("d"), m.sum("x")) == (3.5, 11.0)


def test_only__some_variables_in_another_order__keeps_their_sums() -> None:
    m = UnitMoments.of_rows(y=[1.0, 2.0], d=[3.0, 4.0], x=[5.0, 6.0]).only(("x", "y"))
    assert m == UnitMoments.of_rows(x=[5.0, 6.0], y=[1.0, 2.0])


def test_of_totals__and_back__is_the_same() -> None:
    totals = Totals.of_values([1.0, 5.0, 2.0], [3.0, 4.0, 9.0])
    assert UnitMoments.of_totals(totals).of("y", "x") == totals
    assert UnitMoments.of_totals(Totals.of_values([1.0, 5.0])).of("y") == Totals.of_values(
        [1.0, 5.0]
    )


def test_combined__of_what_cancels__is_nothing_and_not_a_refusal() -> None:
    m = UnitMoments.of_rows(y=[0.1, 0.7, 1e6], d=[0.2, 1.4, 2e6])
    found = m.combined({"y": 1.0, "d": -0.5}, {"y": 1.0, "d": -0.5})
    assert (found.sum_y, found.sum_y2) == pytest.approx((0.0, 0.0), abs=1e-3)
    assert found.variance == pytest.approx(0.0, abs=1e-3)


def test_moments__without_units__have_no_mean_and_add() -> None:
    none = UnitMoments(0, ("y", "d"), (0.0, 0.0), (0.0, 0.0, 0.0))
    some = UnitMoments.of_rows(y=[1.0], d=[2.0])
    assert none.mean("y") is None
    assert none + some == some


def test_moments__of_counts_of_a_trillion__are_taken() -> None:
    m = UnitMoments(10**12, ("y", "d"), (1e9, 5e12), (1e9, 5e9, 3e13))
    assert m.mean("d") == 5.0
    assert m.of("y", "d").sum_xy == 5e9


@pytest.mark.parametrize(
    "given_",
    [
        (-1, ("y",), (0.0,), (0.0,)),
        (2.5, ("y",), (1.0,), (1.0,)),
        (2, (), (), ()),
        (2, ("y", "y"), (1.0, 1.0), (1.0, 1.0, 1.0)),
        (2, ("y", "d"), (1.0,), (1.0, 1.0, 1.0)),
        (2, ("y", "d"), (1.0, 1.0), (1.0, 1.0)),
        (2, ("y",), (math.nan,), (1.0,)),
        (2, ("y",), (1.0,), (math.inf,)),
        (2, ("y", "d"), (1.0, 1.0), (1.0, math.nan, 1.0)),
        (0, ("y",), (1.0,), (1.0,)),
        (2, ("y",), (5.0,), (1.0,)),
        (2, ("y",), (1.0,), (-1.0,)),
        (2, ("y", "d"), (1.0, 1.0), (1.0, 9.0, 1.0)),
    ],
)
def test_moments__that_no_rows_could_make__are_refused(
    given_: tuple[int, tuple[str, ...], tuple[float, ...], tuple[float, ...]],
) -> None:
    with pytest.raises(ImpossibleTotals):
        UnitMoments(*given_)


def test_moments__asked_for_what_they_do_not_hold__are_refused() -> None:
    m = UnitMoments.of_rows(y=[1.0], d=[2.0])
    with pytest.raises(ImpossibleTotals, match="'x0'"):
        m.sum("x0")
    with pytest.raises(ImpossibleTotals, match="do not add"):
        _ = m + UnitMoments.of_rows(d=[2.0], y=[1.0])
    with pytest.raises(ImpossibleTotals, match="columns of"):
        UnitMoments.of_rows(y=[1.0], d=[2.0, 3.0])
