"""The editable text of a report: Markdown with named places, ``{{verdict}}``, that facts fill.

What it may hold: headings (# to ####), paragraphs, lists (- ), and places. A place inside a
sentence is filled with a few words, one alone on its line with whole tables and drawings. Nothing
in it is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics.core.report.blocks import Block, Heading, Items, Words

PLACE = re.compile(r"\{\{\s*+([a-z_]*+)\s*+\}\}")
_HEADING = re.compile(r"(#{1,4}) ++(.+)")
REQUIRED = ("verdict", "results", "guardrails", "health", "versions")
"""Places that no template may leave out: what was found, and how far it may be believed."""
LONGEST = 64_000


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """What is wrong with a template, and on which line (0: with the whole)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def faults(text: str, inline: Sequence[str], blocks: Sequence[str]) -> tuple[TemplateFault, ...]:
    """Everything that keeps a text from being a template; ``inline`` and ``blocks`` are the places
    there are.
    """
    if len(text) > LONGEST:
        return (
            TemplateFault(0, f"a template has at most {LONGEST:,} characters, found {len(text):,}"),
        )
    found = [
        fault
        for number, line in enumerate(text.splitlines(), 1)
        for fault in _line_faults(number, line.strip(), inline, blocks)
    ]
    there = set(PLACE.findall(text))
    found += [
        TemplateFault(0, f"{{{{{name}}}}} is missing: no report leaves it out")
        for name in REQUIRED
        if name not in there
    ]
    return tuple(found)


def _line_faults(
    number: int, line: str, inline: Sequence[str], blocks: Sequence[str]
) -> list[TemplateFault]:
    alone = PLACE.fullmatch(line) is not None
    found = []
    for name in PLACE.findall(line):
        if name in blocks and not alone:
            found.append(
                TemplateFault(
                    number,
                    f"{{{{{name}}}}} stands for tables and paragraphs, so it must be alone on its line",
                )
            )
        elif name not in (*inline, *blocks):
            known = ", ".join(sorted((*inline, *blocks)))
            found.append(
                TemplateFault(number, f"{{{{{name}}}}} is no place of a report; there are {known}")
            )
    rest = PLACE.sub("", line)
    if "{{" in rest or "}}" in rest:
        found.append(
            TemplateFault(
                number,
                "{{ or }} without its other half, or with something else than a name between them",
            )
        )
    return found


def fill(
    text: str, inline: Mapping[str, str], blocks: Mapping[str, Sequence[Block]]
) -> tuple[Block, ...]:
    """The document: each line of the template in its place, each place filled. The text must have
    no faults.
    """
    document: list[Block] = []
    paragraph: list[str] = []
    items: list[str] = []

    def close() -> None:
        if paragraph:
            document.append(Words(" ".join(paragraph)))
        if items:
            document.append(Items(tuple(items)))
        paragraph.clear()
        items.clear()

    for raw in text.splitlines():
        line, place = raw.strip(), PLACE.fullmatch(raw.strip())
        heading = _HEADING.fullmatch(line)
        said = (
            PLACE.sub(lambda found: inline[found[1]], line)
            if not (place and place[1] in blocks)
            else ""
        )
        if place and place[1] in blocks:
            close()
            document.extend(blocks[place[1]])
        elif heading:
            close()
            document.append(
                Heading(len(heading[1]), PLACE.sub(lambda found: inline[found[1]], heading[2]))
            )
        elif not line:
            close()
        elif line.startswith("- "):
            if paragraph:
                close()
            items.append(said[2:])
        else:
            if items:
                close()
            paragraph.append(said)
    close()
    return tuple(document)
