"""docs/sources.md answers for every row of the sources, and points at what is there."""

from __future__ import annotations

import re
from collections import Counter

from tests.places import ROOT

TEXT = (ROOT / "docs" / "sources.md").read_text()
ROWS = {"000": 43, "001": 41, "002": 35, "003": 55, "004": 42}
"""Source → its number of rows."""


def _rows() -> dict[str, str]:
    """Row id → the line that answers for it."""
    return {
        line.split("|")[1].strip(): line
        for line in TEXT.splitlines()
        if re.match(r"\| \d{3}\.\d+ \|", line)
    }


def _paths(text: str) -> list[str]:
    return [
        path
        for path in re.findall(r"`([^`\s]+)`", text)
        if "/" in path and path.endswith((".py", ".md"))
    ]


def test_sources__every_row__stands_exactly_once() -> None:
    found = Counter(re.findall(r"^\| (\d{3}\.\d+) \|", TEXT, re.MULTILINE))
    wanted = [
        f"{source}.{number}" for source, last in ROWS.items() for number in range(1, last + 1)
    ]
    assert found == Counter(wanted)


def test_sources__every_path__exists() -> None:
    missing = {path for path in _paths(TEXT) if not (ROOT / path).exists()}
    assert not missing


def test_sources__every_row__shows_a_place_or_says_what_is_not_built_or_why_not() -> None:
    silent = [
        row
        for row, line in _rows().items()
        if not re.search(r"`[^`]+`|not built|not done", line.split("|")[3])
    ]
    assert not silent


def test_sources__nothing__is_promised_for_later() -> None:
    """Parts of a plan that have landed are no excuse, and a row says what is missing instead."""
    promised = [
        row
        for row, line in _rows().items()
        if re.search(r"\blater:|\brest later\b|not yet built", line)
    ]
    assert promised == []
