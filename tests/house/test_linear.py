"""No regular expression of the product takes quadratic time: text eight times as long takes about
eight times as long.

Each is tried on text of repeated pieces, with a beginning that may open something and an end that
closes nothing. Only ratios between two lengths are compared, since absolute times say more about
the machine.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from analytics.core.intake.number_marks import NumberMarks
from config.processes.embedded.place import PROJECT

SHORT, TIMES = 500, 8
LIMIT = 3 * TIMES
"""Quadratic growth is 64-fold at eight times the length, linear growth eightfold; noise is in
between.
"""
FREE = 0.002
"""Seconds below which a clock cannot tell; a quadratic expression takes longer on the long text."""
PIECES = [
    *" \n\ta0._-\"\\`'{}[](),:;/@%<>=#*&|~+^$!",
    '\\"',
    "a ",
    " a",
    "a.",
    "0.",
    "- ",
    "{{",
    "a_",
    "\n ",
    "=>",
    "> ",
]
BEGINNINGS = ["", "a", '"', "{{", "1 %", "a>", "<", "<style>"]
ENDS = ["", "\x01"]
MADE: dict[str, Callable[[], list[re.Pattern[Any]]]] = {
    "analytics/core/intake/number_marks.py": lambda: [
        NumberMarks(*marks).pattern for marks in ((".", ""), (",", ""), (",", "."), (".", " "))
    ],
}
"""Modules that make expressions while they run, with what they make."""
METHODS = ("search", "match", "fullmatch", "findall", "finditer", "sub", "split")


def _files() -> Iterator[Path]:
    for folder in ("experiments", "analytics", "config"):
        yield from (
            path
            for path in sorted((PROJECT / folder).rglob("*.py"))
            if "migrations" not in path.parts
        )


COMPILED = frozenset({"re.compile", "RegexValidator"})
AT_ONCE = frozenset(f"re.{method}" for method in METHODS)
USED = re.compile(rf"\b(\w+)\.({'|'.join(METHODS)})\(")


def _called(node: ast.Call) -> str:
    """What is called: a name, or the attribute of one."""
    made = node.func
    if isinstance(made, ast.Attribute) and isinstance(made.value, ast.Name):
        return f"{made.value.id}.{made.attr}"
    return made.id if isinstance(made, ast.Name) else ""


def _expressions() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Where it is, the expression, and how it is used."""
    texts = {path: path.read_text() for path in _files()}
    used: dict[str, set[str]] = {}
    for text in texts.values():
        for name, method in USED.findall(text):
            used.setdefault(name, set()).add(method)
    for path, text in texts.items():
        where = str(path.relative_to(PROJECT))
        for node in _calls(text):
            if _called(node) in COMPILED:
                yield from _named(where, node.lineno, text, used)
            elif _called(node) in AT_ONCE and isinstance(node.args[0], ast.Constant):
                yield (
                    f"{where}:{node.lineno}",
                    re.compile(node.args[0].value),
                    _called(node).removeprefix("re."),
                )


def _calls(text: str) -> Iterator[ast.Call]:
    """The calls of a module that may make an expression. Most modules name none, and need not be
    parsed.
    """
    if re.search(r"\bre\.", text) or "RegexValidator" in text:
        yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def _named(
    where: str, line: int, text: str, used: dict[str, set[str]]
) -> Iterator[tuple[str, re.Pattern[Any], str]]:
    name = text.splitlines()[line - 1].split(" = ")[0].strip()
    if where in MADE:
        yield from ((f"{where}:{line}", expression, "fullmatch") for expression in MADE[where]())
        if not name.isidentifier():
            return
    found = getattr(importlib.import_module(where.removesuffix(".py").replace("/", ".")), name)
    expression = getattr(found, "regex", found)
    yield from (
        (f"{where}:{name}", expression, method) for method in sorted(used.get(name, {"search"}))
    )


EXPRESSIONS = list(_expressions())


def _seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def _growth(try_on: Callable[[int], Callable[[], object]]) -> float:
    """How many times as long the long text takes; 1 when it takes no time that counts."""
    for _ in range(4):  # a machine that is busy elsewhere may be slow once, not always
        long = _seconds(try_on(SHORT * TIMES))
        if long < FREE:
            return 1.0
        short = min(_seconds(try_on(SHORT)) for _ in range(3))
        if long < LIMIT * short:
            return long / short
    return long / short


def _attempt(
    expression: re.Pattern[Any], method: str, text: Callable[[int], str]
) -> Callable[[int], Callable[[], object]]:
    def try_on(length: int) -> Callable[[], object]:
        sent: Any = text(length).encode() if isinstance(expression.pattern, bytes) else text(length)
        if method == "sub":
            return lambda: expression.sub(sent[:0], sent)
        if method == "finditer":
            return lambda: list(expression.finditer(sent))
        return lambda: getattr(expression, method)(sent)

    return try_on


def test_expressions__are_found() -> None:
    names = {where for where, _, _ in EXPRESSIONS}
    assert {
        "experiments/http/parsing.py:_STRINGS",
        "analytics/core/report/template.py:PLACE",
    } <= names


@pytest.mark.parametrize(
    ("where", "expression", "method"),
    EXPRESSIONS,
    ids=[f"{where} {method}" for where, _, method in EXPRESSIONS],
)
def test_expression__longer_text__takes_longer_in_proportion(
    where: str, expression: re.Pattern[Any], method: str
) -> None:
    for begin, piece, end in product(BEGINNINGS, PIECES, ENDS):
        text = lambda n, b=begin, p=piece, e=end: b + p * n + e  # noqa: E731  # a text of this shape
        grown = _growth(_attempt(expression, method, text))
        assert grown < LIMIT, (
            f"{where}: {TIMES} times as many {piece!r} after {begin!r} took {grown:.0f} times as long"
        )
