"""A CSV of an experiment that was randomised elsewhere: read and checked whole, before anything is
stored.

One row is one unit, or with ``cluster`` one member of a unit. Nothing is guessed: an empty cell, a
second row for a unit, a moment without a zone, or a number that can be read in two ways stops the
import, and the fault names the option that decides. Faults of one kind are one line with three
examples.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from analytics.core.intake.arm_names import ArmNames
from analytics.core.intake.cell_moments import ISO, MomentReader
from analytics.core.intake.csv_table import FALSE, NOTHING, TRUE, OpenTable, open_table
from analytics.core.intake.import_columns import Cell, Columns, MetricColumn, Numbers, UnitRow
from analytics.core.intake.import_rows import (
    ImportLine,
    clustered,
    first_of_each,
    left_out,
    refuse_repeated,
)
from analytics.core.intake.magnitudes import LARGEST
from analytics.core.intake.number_marks import WAYS, NumberMarks
from analytics.core.intake.table_faults import BadTable, Faults
from analytics.core.intake.twins import count_twins
from analytics.core.scans.attrition import Attrition, attrition
from experiments.core.figures import counted

MOST_VARIANTS = 20
SKIP = "--skip-empty leaves such cells out"


@dataclass(frozen=True)
class FileReading:
    """How a file is read, as a person said it.

    ``start`` stands in for a timestamp column; ``arms``, when given, are all there may be; ``ways``
    are those in which numbers may be written. ``skip_empty``: a cell without a value is left out
    instead of a fault; ``keep_first``: so is a row that repeats a unit.
    """

    start: datetime
    moments: MomentReader = ISO
    arms: tuple[str, ...] | None = None
    unit_fault: Callable[[str], str | None] = lambda unit: None
    ways: Sequence[NumberMarks] = WAYS
    skip_empty: bool = False
    keep_first: bool = False


@dataclass(frozen=True)
class ImportTable:
    """What a file holds. ``units`` are who was exposed; ``rows`` have the values of units, in the
    file's order.

    A unit has one row, a cluster several. ``again`` are rows of units that are there already, whose
    values do not count. ``notices`` say what was read otherwise than it stands in the file;
    ``gaps`` whose values are missing.
    """

    rows: tuple[UnitRow, ...]
    units: tuple[UnitRow, ...]
    variants: tuple[str, ...]
    marks: NumberMarks
    clustered: bool = False
    again: tuple[UnitRow, ...] = ()
    notices: tuple[str, ...] = ()
    gaps: tuple[Attrition, ...] = ()

    def lacks(self, metric: str) -> bool:
        """Whether some row has no value of this metric."""
        return any(gap.metric == metric for gap in self.gaps)


def read_table(data: bytes, columns: Columns, reading: FileReading) -> ImportTable:
    """The whole file as units; BadTable says what is wrong and where."""
    numbers = [
        column
        for metric in columns.metrics
        if metric.kind != "proportion"
        for column in metric.columns
    ]
    opened = open_table(
        data, columns.all(), numbers=numbers, maybe=columns.covariates, ways=reading.ways
    )
    return _Reader(columns, opened, reading).read()


def _twins(units: Sequence[UnitRow]) -> list[str]:
    found = count_twins(unit.unit for unit in units)
    said = (
        "with the letters of another unit in other code points (NFC and NFD): they stay two units"
    )
    return [f"{counted(found, 'unit')} {said}"] if found else []


PAIRS = (
    frozenset({"true", "false"}),
    frozenset({"t", "f"}),
    frozenset({"yes", "no"}),
    frozenset({"y", "n"}),
)


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

    def check(self, column: str, faults: Faults) -> None:
        """Among numbers a word is a mistake, not a 0 or a 1; "no" for "none" would change a
        mean.
        """
        if not self.words or (
            self.number is None and any(set(self.words) <= pair for pair in PAIRS)
        ):
            return
        beside = (
            f"beside numbers such as {self.number[1][:40]!r}"
            if self.number
            else "beside words of another pair"
        )
        rule = "words count as 1 and 0 only where every cell is one of a pair"
        for word, line in list(self.words.items())[:3]:
            faults.add(line, f"column {column!r}: {word[:40]!r} {beside}; {rule}")


class _Reader:
    def __init__(self, columns: Columns, opened: OpenTable, reading: FileReading) -> None:
        self.columns, self.opened, self.at, self.reading = columns, opened, opened.at, reading
        self.faults = Faults()
        self.arms = ArmNames(reading.arms)
        numbers = [metric for metric in columns.metrics if metric.kind != "proportion"]
        self.answers = {column: _Answers() for metric in numbers for column in metric.columns}

    def read(self) -> ImportTable:
        lines = self._lines()
        for column, answers in self.answers.items():
            answers.check(column, self.faults)
        if not self.reading.keep_first:
            refuse_repeated(lines, self.faults)
        kept, others = first_of_each(lines) if self.reading.keep_first else (lines, [])
        rows, units = [line.row for line in kept], [line.row for line in kept]
        if self.columns.cluster is not None:
            rows, units = clustered(kept, self.faults)
        self.faults.settle()
        if not rows:
            raise BadTable("the file has a header and no rows")
        return self._table(rows, units, kept, others)

    def _table(
        self,
        rows: list[UnitRow],
        units: list[UnitRow],
        kept: list[ImportLine],
        others: list[ImportLine],
    ) -> ImportTable:
        variants = tuple(dict.fromkeys(unit.variant for unit in units))
        if len(variants) > MOST_VARIANTS:
            found, named = len(variants), self.columns.variant
            raise BadTable(
                f"column {named!r} holds {found} different values; at most {MOST_VARIANTS} variants are taken"
            )
        whole = self.columns.cluster is not None
        gaps = [
            attrition(m.name, rows, place, clustered=whole)
            for place, m in enumerate(self.columns.metrics)
        ]
        return ImportTable(
            rows=tuple(rows),
            units=tuple(units),
            variants=variants,
            marks=self.opened.marks,
            clustered=whole,
            again=() if whole else tuple(line.row for line in others),
            notices=(
                *self.arms.notices(),
                *([left_out(kept, others)] if others else []),
                *_twins(units),
            ),
            gaps=tuple(gap for gap in gaps if gap is not None),
        )

    def _lines(self) -> list[ImportLine]:
        found = []
        try:
            for number, (line, cells) in enumerate(self.opened.lines, start=1):
                read = self._line(number, line, cells) if cells else None
                if read is not None:
                    found.append(read)
        except csv.Error as error:
            raise BadTable(f"the file is not a CSV: {error}") from error
        return found

    def _line(self, number: int, line: int, cells: Sequence[str]) -> ImportLine | None:
        before = self.faults.count
        if len(cells) != len(self.at):
            self.faults.add(line, f"{len(cells)} cells where the header has {len(self.at)}")
            return None
        row = UnitRow(
            unit=self._id(line, cells, self.columns.unit) if self.columns.unit else f"row-{number}",
            variant=self._variant(line, cells),
            at=self._moment(line, cells),
            values=tuple(self._numbers(line, metric, cells) for metric in self.columns.metrics),
            covariates=self._covariates(line, cells) or None,
        )
        cluster = self._id(line, cells, self.columns.cluster) if self.columns.cluster else ""
        return ImportLine(line, row, cluster) if self.faults.count == before else None

    def _id(self, line: int, cells: Sequence[str], column: str) -> str:
        name = cells[self.at[column]]
        fault = self.reading.unit_fault(name)
        if fault is not None:
            self.faults.add(line, f"column {column!r} has ids that cannot be used", fault)
        return name

    def _variant(self, line: int, cells: Sequence[str]) -> str:
        text, column = cells[self.at[self.columns.variant]], self.columns.variant
        if not text.strip():
            self.faults.add(line, f"column {column!r} is empty, so the row belongs to no variant")
            return ""
        name = self.arms.named(text)
        if name is None:
            there = ", ".join(sorted(self.reading.arms or ()))
            self.faults.add(
                line,
                f"column {column!r} names a variant without a weight; there are {there}",
                repr(text[:40]),
            )
        return name or ""

    def _moment(self, line: int, cells: Sequence[str]) -> datetime:
        column = self.columns.timestamp
        if column is None:
            return self.reading.start
        text = cells[self.at[column]].strip()
        try:
            return self.reading.moments.read(text)
        except ValueError as error:
            self.faults.add(line, f"column {column!r}: {error}", repr(text[:40]))
            return self.reading.start

    def _numbers(self, line: int, metric: MetricColumn, cells: Sequence[str]) -> Numbers:
        found = [
            self._number(line, metric, column, cells[self.at[column]]) for column in metric.columns
        ]
        known = [number for number in found if number is not None]
        return tuple(known) if len(known) == len(found) else None

    def _number(self, line: int, metric: MetricColumn, column: str, text: str) -> float | None:
        word = text.strip().lower()
        if word in NOTHING:
            if not self.reading.skip_empty:
                self.faults.add(
                    line,
                    f"column {column!r} has no value; {SKIP} and tests whether arms differ in them",
                    repr(text),
                )
            return None
        if column in self.answers:
            self.answers[column].take(line, word)
        if word in TRUE or word in FALSE:
            return 1.0 if word in TRUE else 0.0
        number = self.opened.number(word)
        if number is None or metric.kind == "proportion":
            wanted = (
                "true or false, 1 or 0"
                if metric.kind == "proportion"
                else f"a finite number up to {LARGEST:g}"
            )
            self.faults.add(line, f"column {column!r}: expected {wanted}", repr(text[:40]))
            return None
        return number

    def _covariates(self, line: int, cells: Sequence[str]) -> dict[str, Cell]:
        found: dict[str, Cell] = {}
        for name in self.columns.covariates:
            text = cells[self.at[name]].strip()
            number = self.opened.number(text)
            if number is not None:
                found[name] = number
            elif text.lower() not in NOTHING:
                found[name] = text
            elif not self.reading.skip_empty:
                self.faults.add(line, f"covariate {name!r} has no value; {SKIP}", repr(text))
        return found
