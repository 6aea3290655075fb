"""A CSV of an experiment that was randomised elsewhere: read and checked whole, before anything is stored.

One row is one unit. Every fault is reported with its line; nothing is guessed: an empty cell, a NaN,
a second row for a unit, a variant nobody listed, or a number that can be read in two ways stops the import.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Literal, Protocol, TypeAlias

from analytics.core.number_marks import WAYS, MarkFinder, NumberMarks, TwoWays

Cell: TypeAlias = "str | float"
Kind: TypeAlias = Literal["proportion", "mean", "count"]

DELIMITERS = (",", ";", "\t", "|")
MOST_FAULTS = 20
"""Faults named before the rest is only counted."""
MOST_VARIANTS = 20
TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
NOTHING = frozenset({"", "na", "n/a", "null", "none", "nan"})
WORDS = TRUE | FALSE | NOTHING
"""Cells that say nothing of how a file writes its numbers."""


@dataclass(frozen=True)
class MetricColumn:
    """A metric's name, the column it is in, its kind, and which way is better."""

    name: str
    column: str
    kind: Kind
    direction: Literal["increase", "decrease"] = "increase"


@dataclass(frozen=True)
class Columns:
    """Which column holds what. Without a unit column each row is a unit of its own, named by its number."""

    variant: str
    metrics: tuple[MetricColumn, ...]
    unit: str | None = None
    timestamp: str | None = None
    covariates: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        named = [self.variant, *(m.column for m in self.metrics), self.unit, self.timestamp, *self.covariates]
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True)
class UnitRow:
    """One unit: when it met which variant, what was known of it before, and its value of each metric."""

    unit: str
    variant: str
    at: datetime
    values: tuple[float, ...]
    covariates: dict[str, Cell] | None = None


@dataclass(frozen=True)
class ImportTable:
    """Units in the file's order, and the variants in the order they first appear."""

    rows: tuple[UnitRow, ...]
    variants: tuple[str, ...]
    marks: NumberMarks


class BadTable(Exception):
    """The file cannot be imported; ``faults`` say where and why."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([message, *faults]))
        self.faults = tuple(faults)


@dataclass
class Faults:
    """Collects what is wrong, so that a person sees more than the first fault."""

    named: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, message: str) -> None:
        self.count += 1
        if len(self.named) < MOST_FAULTS:
            self.named.append(f"line {line}: {message}")

    def settle(self) -> None:
        if self.count:
            rest = self.count - len(self.named)
            raise BadTable(
                f"{self.count} faults in the rows; nothing was imported:", [*self.named, *([f"… and {rest} more"] if rest else [])]
            )


def read_table(
    data: bytes,
    columns: Columns,
    *,
    start: datetime,
    variants: Iterable[str] | None = None,
    unit_fault: Callable[[str], str | None] = lambda unit: None,
    ways: Sequence[NumberMarks] = WAYS,
) -> ImportTable:
    """The whole file as units. ``variants``, when given, are all there may be; ``start`` stands in for a timestamp column.

    ``ways`` are those in which its numbers may be written.
    """
    numbers = [metric.column for metric in columns.metrics if metric.kind != "proportion"]
    opened = open_table(data, columns.all(), numbers=numbers, maybe=columns.covariates, ways=ways)
    return _Reader(columns, opened, start, variants, unit_fault).read(opened.lines)


@dataclass(frozen=True)
class OpenTable:
    """A CSV whose header has the wanted columns: where each is, and the lines below with their numbers."""

    at: Mapping[str, int]
    marks: NumberMarks
    lines: Iterator[tuple[int, list[str]]]

    def number(self, text: str) -> float | None:
        """A finite number as this file writes them; None for anything else."""
        return self.marks.read(text)


def open_table(
    data: bytes, wanted: Iterable[str], *, numbers: Iterable[str] = (), maybe: Iterable[str] = (), ways: Sequence[NumberMarks] = WAYS
) -> OpenTable:
    """The file as text, its separator found and its header checked; BadTable says what is wrong.

    ``numbers`` are columns of numbers and ``maybe`` columns that may be: from them it is found how the file writes numbers.
    """
    text = _text(data)
    delimiter = _delimiter(text)
    at = _header(_csv(text, delimiter), wanted)
    marks = _marks(_csv(text, delimiter), at, dict.fromkeys(numbers), dict.fromkeys(maybe), ways)
    reader = _csv(text, delimiter)
    next(reader)
    return OpenTable(at, marks, _lines(reader))


def _csv(text: str, delimiter: str) -> _Csv:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _marks(reader: _Csv, at: Mapping[str, int], numbers: Iterable[str], maybe: Iterable[str], ways: Sequence[NumberMarks]) -> NumberMarks:
    finder = MarkFinder(numbers, [name for name in maybe if name not in set(numbers)], ways)
    places = [(name, at[name]) for name in dict.fromkeys((*numbers, *maybe))]
    try:
        next(reader)
        for line, cells in _lines(reader):
            for name, place in places:
                text = cells[place].strip() if place < len(cells) else ""
                if text.lower() not in WORDS:
                    finder.take(name, line, text)
        return finder.found()
    except csv.Error as error:
        raise BadTable(f"the file is not a CSV: {error}") from error
    except TwoWays as refusal:
        raise BadTable(str(refusal)) from refusal


class _Csv(Protocol):
    """The standard library's reader, which has no name of its own."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


PAIRS = (frozenset({"true", "false"}), frozenset({"t", "f"}), frozenset({"yes", "no"}), frozenset({"y", "n"}))


@dataclass
class _Answers:
    """The words and numbers that a column holds, each with its first line."""

    words: dict[str, int] = field(default_factory=dict)
    number: tuple[int, str] | None = None

    def take(self, line: int, text: str) -> None:
        if text.isalpha():
            self.words.setdefault(text, line)
        elif self.number is None:
            self.number = (line, text)

    def check(self, metric: MetricColumn, faults: Faults) -> None:
        """Among numbers a word is a mistake, not a 0 or a 1; "no" for "none" would change a mean."""
        if metric.kind == "proportion" or not self.words or (self.number is None and any(set(self.words) <= pair for pair in PAIRS)):
            return
        beside = f"beside numbers such as {self.number[1][:40]!r}" if self.number else "beside words of another pair"
        for word, line in list(self.words.items())[:3]:
            faults.add(
                line, f"column {metric.column!r}: {word[:40]!r} {beside}; words count as 1 and 0 only where every cell is one of a pair"
            )


class _Reader:
    def __init__(
        self,
        columns: Columns,
        opened: OpenTable,
        start: datetime,
        variants: Iterable[str] | None,
        unit_fault: Callable[[str], str | None],
    ) -> None:
        self.columns, self.at, self.start, self.unit_fault = columns, opened.at, start, unit_fault
        self.width = len(opened.at)
        self.number, self.marks = opened.number, opened.marks
        self.allowed = None if variants is None else frozenset(variants)
        self.faults = Faults()
        self.first_line: dict[str, int] = {}
        self.variants: dict[str, None] = {}
        self.answers = {metric.column: _Answers() for metric in columns.metrics}

    def read(self, lines: Iterable[tuple[int, list[str]]]) -> ImportTable:
        rows = []
        try:
            for number, (line, cells) in enumerate(lines, start=1):
                row = self._row(number, line, cells) if cells else None
                if row is not None:
                    rows.append(row)
        except csv.Error as error:
            raise BadTable(f"the file is not a CSV: {error}") from error
        for metric in self.columns.metrics:
            self.answers[metric.column].check(metric, self.faults)
        self.faults.settle()
        if not rows:
            raise BadTable("the file has a header and no rows")
        if len(self.variants) > MOST_VARIANTS:
            found = len(self.variants)
            raise BadTable(f"column {self.columns.variant!r} holds {found} different values; at most {MOST_VARIANTS} variants are taken")
        return ImportTable(tuple(rows), tuple(self.variants), self.marks)

    def _row(self, number: int, line: int, cells: Sequence[str]) -> UnitRow | None:
        before = self.faults.count
        if len(cells) != self.width:
            self.faults.add(line, f"{len(cells)} cells where the header has {self.width}")
            return None
        row = UnitRow(
            unit=self._unit(line, number, cells),
            variant=self._variant(line, cells),
            at=self._moment(line, cells),
            values=tuple(self._value(line, metric, cells[self.at[metric.column]]) for metric in self.columns.metrics),
            covariates={name: self._covariate(line, name, cells) for name in self.columns.covariates} or None,
        )
        return row if self.faults.count == before else None

    def _unit(self, line: int, number: int, cells: Sequence[str]) -> str:
        if self.columns.unit is None:
            return f"row-{number}"
        unit = cells[self.at[self.columns.unit]]
        fault = self.unit_fault(unit)
        if fault is not None:
            self.faults.add(line, fault)
        elif (first := self.first_line.setdefault(unit, line)) != line:
            self.faults.add(line, f"unit {unit!r} was already on line {first}; one row is one unit")
        return unit

    def _variant(self, line: int, cells: Sequence[str]) -> str:
        name = cells[self.at[self.columns.variant]].strip()
        if not name:
            self.faults.add(line, f"column {self.columns.variant!r} is empty")
        elif self.allowed is not None and name not in self.allowed:
            self.faults.add(line, f"there is no variant {name!r}; there are {', '.join(sorted(self.allowed))}")
        else:
            self.variants.setdefault(name)
        return name

    def _moment(self, line: int, cells: Sequence[str]) -> datetime:
        if self.columns.timestamp is None:
            return self.start
        text = cells[self.at[self.columns.timestamp]].strip()
        try:
            return parse_moment(text)
        except ValueError as error:
            self.faults.add(line, f"column {self.columns.timestamp!r}: {error}")
            return self.start

    def _value(self, line: int, metric: MetricColumn, text: str) -> float:
        word = text.strip().lower()
        if word in NOTHING:
            self.faults.add(line, f"column {metric.column!r} has no value ({text!r})")
            return 0.0
        self.answers[metric.column].take(line, word)
        if word in TRUE or word in FALSE:
            return 1.0 if word in TRUE else 0.0
        number = self.number(word)
        if number is None or metric.kind == "proportion":
            wanted = "true or false, 1 or 0" if metric.kind == "proportion" else "a finite number"
            self.faults.add(line, f"column {metric.column!r}: expected {wanted}; found {text[:40]!r}")
            return 0.0
        return number

    def _covariate(self, line: int, name: str, cells: Sequence[str]) -> Cell:
        text = cells[self.at[name]].strip()
        number = self.number(text)
        if number is None and text.lower() in NOTHING:
            self.faults.add(line, f"covariate {name!r} has no value ({text!r})")
        return text if number is None else number


def parse_moment(text: str) -> datetime:
    """A date (its midnight in UTC) or a moment with a zone; ValueError says what is wrong."""
    try:
        return datetime.combine(date.fromisoformat(text), time(0), UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a date or an ISO 8601 moment such as 2026-01-31T12:00:00Z; found {text[:40]!r}") from None
    if moment.utcoffset() is None:
        raise ValueError(f"{text!r} has no zone: add Z or an offset such as +03:00")
    return moment.astimezone(UTC)


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable(f"the file is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    if "\0" in text:
        raise BadTable("the file holds NUL characters; it is not a CSV")
    if not text.strip():
        raise BadTable("the file is empty")
    return text


def _delimiter(text: str) -> str:
    first = text.lstrip("\r\n").splitlines()[0]
    return max(DELIMITERS, key=first.count)


def _lines(reader: _Csv) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        yield reader.line_num, cells


def _header(reader: _Csv, wanted: Iterable[str]) -> dict[str, int]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadTable(f"the file is not a CSV: {error}") from error
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadTable(f"the header names {doubled[0]!r} twice")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BadTable(f"there is no column {', '.join(map(repr, missing))}; the header has {', '.join(names)[:500]}")
    return {name: position for position, name in enumerate(names)}
