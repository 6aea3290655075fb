"""A report as Markdown and as JSON; its HTML is drawn by a template from the same document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from analytics.core.ground.encoding import plain
from analytics.core.report.blocks import (
    Block,
    Heading,
    IntervalChart,
    Items,
    LooksChart,
    Table,
    Words,
)
from analytics.core.report.build import Report
from analytics.core.report.verdict import verdict

FORMAT = 1
"""Of the JSON; raise it when a name or a meaning changes."""
_SPECIAL = re.compile(
    r"([\\`*\[\]|]|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])|~(?=~)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))"
)
_AT_START = re.compile(r"(?m)^([^\S\n]*+)([#+=>~-]|\d++(?=[.)]))")


def as_markdown(report: Report) -> str:
    """The document in Markdown. Drawings are left out: their numbers stand in the tables."""
    parts = [_MARKDOWN[type(block)](block) for block in report.document]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """People's text as Markdown that shows it as it is: no markup, no HTML, no table's edge, no
    list or heading of its own.
    """
    return _AT_START.sub(
        lambda m: f"{m[1]}{m[2]}\\" if m[2].isdigit() else f"{m[1]}\\{m[2]}", _inside(text)
    )


def _inside(text: str) -> str:
    """The same for text that begins no line."""
    return _SPECIAL.sub(r"\\\1", text)


def _cell(text: str) -> str:
    return " ".join(_inside(text).split()) or " "


def _table(block: Table) -> str:
    edges = ["---:" if i in block.numbers else "---" for i in range(len(block.columns))]
    rows = [
        [_cell(name) for name in block.columns],
        edges,
        *([_cell(text) for text in row] for row in block.rows),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n{escaped(block.note)}" if block.note else table


def _words(block: Words) -> str:
    text = escaped(block.text)
    if block.tone == "quote":
        return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    # One line, so that nothing a person wrote begins a line of its own.
    line = " ".join(text.split())
    return line if block.tone == "plain" or not line else f"**{line}**"


_MARKDOWN: Mapping[type, Callable[..., str]] = {
    Heading: lambda block: f"{'#' * block.level} {' '.join(_inside(block.text).split())}",
    Words: _words,
    Items: lambda block: "\n".join(f"- {' '.join(escaped(item).split())}" for item in block.items),
    Table: _table,
    IntervalChart: lambda block: "",
    LooksChart: lambda block: "",
}


def as_json(report: Report) -> str:
    """Everything the report rests on and what it says, for programs; names in alphabetical
    order.
    """
    said: list[Block] = list(verdict(report.facts))
    document = {
        "report": FORMAT,
        "title": report.title,
        "template_version": report.template_version,
        "verdict": [block.text for block in said if isinstance(block, Words)],
        "winner": plain(report.winner),
        "facts": plain(report.facts),
    }
    return (
        json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    )
