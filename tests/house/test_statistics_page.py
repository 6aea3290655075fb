"""The statistics page says of every method whether anything but a notebook uses it; this keeps that
true.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.places import ROOT

STATS = ROOT / "analytics" / "core" / "stats"
OUTSIDE = ("analytics/core/calibration", "analytics/core/stats", "analytics/migrations")
"""Where a use does not count: the methods themselves and their calibration."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def used() -> set[str]:
    """Modules of statistics that the product reaches, directly or through one another."""
    within = {module_of(path): imported(path) for path in STATS.rglob("*.py")}
    files = [path for top in ("analytics", "experiments") for path in (ROOT / top).rglob("*.py")]
    outside = [path for path in files if not str(path.relative_to(ROOT)).startswith(OUTSIDE)]
    waiting = [name for path in outside for name in imported(path) if name in within]
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [name for name in within[module] if name in within]
    return reached


def test_page__methods_for_notebooks__are_exactly_those_that_nothing_else_uses() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    said = re.search(r"\*\*Only for notebooks and comparisons\.\*\* (.*?)\n\n", text, re.DOTALL)
    assert said is not None
    named = set(re.findall(r"`([a-z_.]+)`", said[1]))
    methods = {
        module_of(path).removeprefix("analytics.core.stats.")
        for path in STATS.rglob("*.py")
        if path.name != "__init__.py"
    }
    reached = {name.removeprefix("analytics.core.stats.") for name in used()}
    assert named == methods - reached
