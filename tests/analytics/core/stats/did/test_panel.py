"""Panels: what is refused, what is left out and named, and what order periods have."""

from __future__ import annotations

import math

import pytest

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats.did import Cell, StaggeredAdoption, one_start, panel_of
from analytics.core.stats.did.panel import usable

CELLS = [
    Cell(region, period, value)
    for region, values in {"N": (1, 2, 5), "S": (1, 2, 3)}.items()
    for period, value in zip("abc", values, strict=True)
]


def test_panel_of__cells__are_laid_out_by_region_and_period() -> None:
    found = panel_of(CELLS, treated=["N"], post=["c"])
    assert found.values.tolist() == [[1, 2, 5], [1, 2, 3]]
    assert (found.n_treated, found.n_control, found.missing) == (1, 1, 0)


def test_panel_of__order_given__overrules_the_order_of_appearance() -> None:
    found = panel_of(CELLS[::-1], treated=["N"], post=["c"], periods=["a", "b", "c", "unseen"])
    assert found.periods == ("a", "b", "c")


@pytest.mark.parametrize(
    ("extra", "named", "error", "message"),
    [
        (Cell("S", "a", 9), {}, ImpossibleTotals, "region S, period a: two values"),
        (
            Cell("W", "a", math.nan),
            {},
            ImpossibleTotals,
            "region W, period a: expected a finite value",
        ),
        (Cell("W", "a", math.inf), {}, ImpossibleTotals, "finite"),
        (
            None,
            {"treated": ["East"]},
            ImpossiblePlan,
            "treated region 'East' is not in the panel; it has N, S",
        ),
        (None, {"post": ["d"]}, ImpossiblePlan, "post period 'd' is not in the panel"),
        (None, {"treated": []}, ImpossiblePlan, "treated are none"),
        (None, {"treated": ["N", "S"]}, ImpossiblePlan, "treated are all 2"),
        (None, {"post": []}, ImpossiblePlan, "after are none"),
        (None, {"post": ["a", "b", "c"]}, ImpossiblePlan, "after are all"),
        (None, {"post": ["b"]}, ImpossiblePlan, "period 'c' comes after 'b' and is not treated"),
        (None, {"periods": ["a", "b"]}, ImpossiblePlan, "period 'c' is not in the panel"),
        (None, {"periods": ["a", "b", "b", "c"]}, ImpossiblePlan, "names one twice"),
    ],
)
def test_panel_of__what_cannot_be__is_refused_by_name(extra, named, error, message) -> None:
    with pytest.raises(error, match=message):
        panel_of(
            [*CELLS, *([extra] if extra else [])], **{"treated": ["N"], "post": ["c"], **named}
        )


def test_panel_of__nothing__is_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="no cells"):
        panel_of([], treated=["N"], post=["c"])


def test_one_start__different_starts__are_refused_as_staggered() -> None:
    assert one_start({"N": "b", "S": "b"}) == "b"
    with pytest.raises(StaggeredAdoption, match=r"N at b; S at c.*staggered adoption is refused"):
        one_start({"N": "b", "S": "c"})
    with pytest.raises(ImpossiblePlan, match="no region is treated"):
        one_start({})


def test_usable__region_without_before_or_after__is_left_out_by_name() -> None:
    cells = [*CELLS, Cell("new", "c", 1), Cell("gone", "a", 1), Cell("gone", "b", 1)]
    kept, left_out = usable(panel_of(cells, treated=["N"], post=["c"]))
    assert left_out == ("new", "gone")
    assert kept.regions == ("N", "S")
