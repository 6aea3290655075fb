"""docs/faults.md names, for every fault, a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.places import ROOT

PAGE = ROOT / "docs" / "faults.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:::(\w+))?`")


def rows() -> list[list[str]]:
    """The cells of every line of the page's tables that names a fault."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if not line.startswith("|---")
    ]
    return [row for row in cells if row[0] not in {"id", "row", "place"} and len(row) == 4]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    )


def test_every_named_test_exists() -> None:
    missing = []
    for path, *names in NAMED.findall(PAGE.read_text()):
        file = ROOT / path
        if not file.is_file():
            missing.append(path)
            continue
        missing += [f"{path}::{name}" for name in names if name and name not in functions(file)]
    assert missing == []


def test_every_fault_names_a_test_or_says_why_not() -> None:
    silent = [row[0] for row in rows() if not NAMED.search(row[3]) and "measured" not in row[3]]
    assert silent == []


def test_no_fault_has_two_rows() -> None:
    named = [row[0] for row in rows()]
    assert sorted(name for name in set(named) if named.count(name) > 1) == []


def test_no_place_has_two_rows() -> None:
    table = PAGE.read_text().partition("## Further places")[2].partition("\n## ")[0]
    places = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    assert len(places) > 1
    assert len(places) == len(set(places))
