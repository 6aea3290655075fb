"""A CSV as people have it: its text, its separator, its header, and how it writes its numbers.

A first line ``sep=;`` (which spreadsheets write) says the separator itself; else it is the one that
the header has most of.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from analytics.core.intake.number_marks import WAYS, MarkFinder, NumberMarks, TwoWays
from analytics.core.intake.table_faults import BadTable

DELIMITERS = (",", ";", "\t", "|")
TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
NOTHING = frozenset({"", "na", "n/a", "null", "none", "nan"})
WORDS = TRUE | FALSE | NOTHING
"""Cells that say nothing of how a file writes its numbers."""
_SAID = re.compile(r'"?[sS][eE][pP]=([^\r\n])"?[,;\t|]*')
"""The line by which a file says its separator; a program that saved it again may have quoted or
padded it.
"""


class CsvReader(Protocol):
    """The standard library's reader, which has no name of its own."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


@dataclass(frozen=True)
class OpenTable:
    """A CSV whose header has the wanted columns: where each is, and the lines below with their
    numbers.
    """

    at: Mapping[str, int]
    marks: NumberMarks
    lines: Iterator[tuple[int, list[str]]]

    def number(self, text: str) -> float | None:
        """A finite number as this file writes them; None for anything else."""
        return self.marks.read(text)


@dataclass(frozen=True)
class _Source:
    """The text below what is no table, its separator, and how many lines stand above it."""

    text: str
    delimiter: str
    above: int

    def reader(self) -> CsvReader:
        return csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True)

    def lines(self, reader: CsvReader) -> Iterator[tuple[int, list[str]]]:
        """Rows with the number of their line in the file."""
        for cells in reader:
            yield reader.line_num + self.above, cells


def open_table(
    data: bytes,
    wanted: Iterable[str],
    *,
    numbers: Iterable[str] = (),
    maybe: Iterable[str] = (),
    ways: Sequence[NumberMarks] = WAYS,
) -> OpenTable:
    """The file as text, its separator found and its header checked; BadTable says what is wrong.

    ``numbers`` are columns of numbers and ``maybe`` columns that may be: from them it is found how
    the file writes numbers.
    """
    source = _source(_text(data))
    at = _header(source.reader(), wanted)
    marks = _marks(source, at, dict.fromkeys(numbers), dict.fromkeys(maybe), ways)
    reader = source.reader()
    next(reader)
    return OpenTable(at, marks, source.lines(reader))


def _source(text: str) -> _Source:
    first, _, rest = text.partition("\n")
    said = _SAID.fullmatch(first.rstrip("\r"))
    if said is None:
        return _Source(text, _delimiter(text), 0)
    if said[1] not in DELIMITERS:
        raise BadTable(
            f"the first line says sep={said[1]}; expected one of {', '.join(map(repr, DELIMITERS))}"
        )
    if not rest.strip():
        raise BadTable("the file is empty but for the line that says its separator")
    return _Source(rest, said[1], 1)


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable(
            f"the file is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8"
        ) from error
    if "\0" in text:
        raise BadTable("the file holds NUL characters; it is not a CSV")
    if not text.strip():
        raise BadTable("the file is empty")
    return text


def _delimiter(text: str) -> str:
    first = text.lstrip("\r\n").splitlines()[0]
    return max(DELIMITERS, key=first.count)


def _header(reader: CsvReader, wanted: Iterable[str]) -> dict[str, int]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadTable(f"the file is not a CSV: {error}") from error
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadTable(f"the header names {doubled[0]!r} twice")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BadTable(
            f"there is no column {', '.join(map(repr, missing))}; the header has {', '.join(names)[:500]}"
        )
    return {name: position for position, name in enumerate(names)}


def _marks(
    source: _Source,
    at: Mapping[str, int],
    numbers: Iterable[str],
    maybe: Iterable[str],
    ways: Sequence[NumberMarks],
) -> NumberMarks:
    finder = MarkFinder(numbers, [name for name in maybe if name not in set(numbers)], ways)
    places = [(name, at[name]) for name in dict.fromkeys((*numbers, *maybe))]
    reader = source.reader()
    try:
        next(reader)
        for line, cells in source.lines(reader):
            for name, place in places:
                text = cells[place].strip() if place < len(cells) else ""
                if text.lower() not in WORDS:
                    finder.take(name, line, text)
        return finder.found()
    except csv.Error as error:
        raise BadTable(f"the file is not a CSV: {error}") from error
    except TwoWays as refusal:
        raise BadTable(str(refusal)) from refusal
