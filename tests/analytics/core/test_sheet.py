"""Tables for spreadsheets: nothing in them can be run."""

from __future__ import annotations

import csv
import io

import pytest

from analytics.core.sheet import cell, sheet


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_cell__text_that_a_spreadsheet_would_run__begins_with_an_apostrophe(text):
    assert cell(text) == "'" + text


def test_cell__negative_number__stays_a_number():
    assert (cell(-0.25), cell(-3), cell(None), cell("a-b")) == ("-0.25", "-3", "", "a-b")


def test_sheet__commas_quotes_and_lines__come_back_as_they_were():
    written = sheet(["name", "value"], [['a,"b"\nc', 1.5], ["=x", None]])
    assert list(csv.reader(io.StringIO(written, newline=""))) == [
        ["name", "value"],
        ['a,"b"\nc', "1.5"],
        ["'=x", ""],
    ]
