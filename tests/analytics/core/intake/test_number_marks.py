"""How a file writes its numbers is found from its cells, or refused; nothing is guessed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.intake.number_marks import WAYS, MarkFinder, NumberMarks, TwoWays, ways_told


def found(
    columns: dict[str, list[str]],
    optional: tuple[str, ...] = (),
    ways: tuple[NumberMarks, ...] = WAYS,
) -> NumberMarks:
    finder = MarkFinder([name for name in columns if name not in optional], optional, ways)
    for name, cells in columns.items():
        for line, text in enumerate(cells, start=2):
            finder.take(name, line, text)
    return finder.found()


@pytest.mark.parametrize(
    ("cells", "decimal", "values"),
    [
        (["950", "1.25", "980"], ".", [950, 1.25, 980]),
        (["950", "1,25", "980"], ",", [950, 1.25, 980]),
        (["1.250,50", "980"], ",", [1250.5, 980]),
        (["1,250.50", "980"], ".", [1250.5, 980]),
        (["1,250,000"], ".", [1_250_000]),
        (["1.250.000"], ",", [1_250_000]),
        (["1 250", "3,5"], ",", [1250, 3.5]),
        (["1\u00a0250", "3,5"], ",", [1250, 3.5]),
        (["1'250.5"], ".", [1250.5]),
        (["0.731", "12.500"], ".", [0.731, 12.5]),
        (["-1.5e-3", "2"], ".", [-0.0015, 2]),
        (["950", "980"], ".", [950, 980]),
    ],
)
def test_marks__that_only_one_way_reads__are_found(
    cells: list[str], decimal: str, values: list[float]
) -> None:
    marks = found({"spend": cells})
    assert marks.decimal == decimal
    assert [marks.read(text) for text in cells] == values


@pytest.mark.parametrize(
    "cells", [["950", "1.250", "980", "1.100"], ["1,250", "1.250"], ["1,250"], ["12.345", "7"]]
)
def test_marks__of_a_column_that_two_ways_read__are_refused_with_both_readings(
    cells: list[str],
) -> None:
    with pytest.raises(TwoWays, match="can be read in two ways") as refused:
        found({"spend": cells})
    message = str(refused.value)
    assert "'spend'" in message
    assert "--decimal" in message
    assert "--thousands" in message
    assert "1250" in message or "12345" in message


def test_marks__said_by_a_person__decide() -> None:
    cells = {"spend": ["950", "1.250"]}
    assert found(cells, ways=ways_told(",", None)).read("1.250") == 1250
    assert found(cells, ways=ways_told(".", None)).read("1.250") == 1.25
    assert found(cells, ways=ways_told(None, ".")).read("1.250") == 1250
    assert found(cells, ways=ways_told(None, "none")).read("1.250") == 1.25
    with pytest.raises(TwoWays, match="different marks"):
        ways_told(",", ",")


def test_marks__another_column_decides_for_the_whole_file() -> None:
    assert found({"spend": ["1.250", "3.100"], "age": ["30.5"]}).read("1.250") == 1.25
    assert found({"spend": ["1.250", "3.100"], "age": ["30,5"]}).read("1.250") == 1250


def test_marks__of_columns_that_contradict_each_other__are_refused() -> None:
    with pytest.raises(
        TwoWays, match=r"one decimal mark: column 'spend' .* column 'age' \(line 2: '30,5'\)"
    ):
        found({"spend": ["1.5"], "age": ["30,5"]})


def test_marks__a_column_of_texts__takes_no_part() -> None:
    assert found({"spend": ["1.5"], "city": ["Perm", "1,5"]}, optional=("city",)).decimal == "."


@given(st.text(alphabet="0123456789.,'- e\u00a0x_", max_size=20))
def test_read__whatever_a_cell_holds__is_a_number_or_nothing(text: str) -> None:
    for way in WAYS:
        number = way.read(text)
        assert number is None or abs(number) < float("inf")


def test_read__hostile_cells__take_time_in_proportion() -> None:
    began = time.perf_counter()
    for text in ("1" * 200_000, "1,111" * 50_000, "1." * 100_000, " " * 200_000 + "x"):
        assert all(way.read(text) is None for way in WAYS)
    assert time.perf_counter() - began < 2
