"""A CSV of a geo pilot, one row per region and period: read and checked whole, before anything is
stored.

Nothing is guessed: a value that is missing, a region seen twice in a period, rows that cannot be
paired, regions that start at different times stop the import, each with its line. Which regions are
treated is said by their names, by a column that belongs to the region (1 or 0), or by a column that
says of each row whether treatment was on; which periods come after the start, by their names, by
the first of them, or by that same column.

A file without a region column may still pair its rows: the k-th row of a group in one period is the
same unit as the k-th row of that group in another (columns named as the same for a unit are
checked).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.intake.arm_names import ArmNames, folded
from analytics.core.intake.cell_moments import ISO, MomentReader
from analytics.core.intake.csv_table import FALSE, NOTHING, TRUE, OpenTable, open_table
from analytics.core.intake.geo_periods import in_time
from analytics.core.intake.magnitudes import LARGEST
from analytics.core.intake.number_marks import WAYS, NumberMarks
from analytics.core.intake.table_faults import BadTable, Faults
from analytics.core.stats.did import Cell, Panel, one_start, panel_of
from experiments.core.figures import counted

TWICE = "a region is twice in a period; one row is one cell, and --duplicates first keeps the first"
MOST_PERIODS = 400
MOST_CELLS = 50_000
LONGEST_NAME = 200
SHOWN = 3
"""Values that are shown as they were read."""


@dataclass(frozen=True)
class GeoColumns:
    """Which column holds what. ``region`` None: rows are paired within the groups of ``treated``.

    ``treated`` belongs to the region, ``status`` to the row; ``same`` may not change within a
    region.
    """

    value: str
    period: str
    region: str | None = None
    treated: str | None = None
    status: str | None = None
    same: tuple[str, ...] = ()

    def all(self) -> tuple[str, ...]:
        """Every column that has to be there."""
        return tuple(
            name
            for name in (
                self.value,
                self.period,
                self.region,
                self.treated,
                self.status,
                *self.same,
            )
            if name is not None
        )


@dataclass(frozen=True)
class GeoNames:
    """What the person named: treated regions, periods after the start (or the first of them), the
    order of periods.

    ``gaps``: a cell without a value is one that was not observed, rather than a fault. ``moments``:
    how periods that are dates are written, and the zone of those without one. ``keep_first``: a
    second row of a region and period is left out, rather than a fault.
    """

    treated: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    start: str | None = None
    order: tuple[str, ...] = ()
    gaps: bool = False
    moments: MomentReader = ISO
    keep_first: bool = False


@dataclass(frozen=True)
class _Row:
    line: int
    region: str
    period: str
    value: float | None
    treated: str
    status: bool | None
    same: tuple[str, ...]


@dataclass
class _Reader:
    columns: GeoColumns
    opened: OpenTable
    gaps: bool
    faults: Faults = field(default_factory=Faults)
    regions: ArmNames = field(default_factory=ArmNames)

    def rows(self) -> list[_Row]:
        found = []
        try:
            for line, cells in self.opened.lines:
                row = self._row(line, cells) if cells else None
                if row is not None:
                    found.append(row)
                if len(found) > MOST_CELLS:
                    raise BadTable(
                        f"more than {MOST_CELLS:,} rows; take longer periods or larger regions"
                    )
        except csv.Error as error:
            raise BadTable(f"the file is not a CSV: {error}") from error
        self.faults.settle()
        if not found:
            raise BadTable("the file has a header and no rows")
        return found

    def _row(self, line: int, cells: Sequence[str]) -> _Row | None:
        if len(cells) != len(self.opened.at):
            self.faults.add(line, f"{len(cells)} cells where the header has {len(self.opened.at)}")
            return None
        row = _Row(
            line=line,
            region=self._region(line, cells),
            period=self._name(line, cells, self.columns.period),
            value=self._value(line, cells),
            treated=self._flag(line, cells, self.columns.treated),
            status={"1": True, "0": False}.get(self._flag(line, cells, self.columns.status)),
            same=tuple(cells[self.opened.at[name]].strip() for name in self.columns.same),
        )
        return row if self.faults.count == 0 else None

    def _name(self, line: int, cells: Sequence[str], column: str | None) -> str:
        if column is None:
            return ""
        name = cells[self.opened.at[column]].strip()
        if not name or len(name) > LONGEST_NAME:
            self.faults.add(
                line,
                f"column {column!r} {'is empty' if not name else f'is longer than {LONGEST_NAME} characters'}",
            )
        return name

    def _region(self, line: int, cells: Sequence[str]) -> str:
        column = self.columns.region
        name = self._name(line, cells, column)
        return (
            self.regions.named(cells[self.opened.at[column]]) or name
            if name and column is not None
            else name
        )

    def _flag(self, line: int, cells: Sequence[str], column: str | None) -> str:
        if column is None:
            return ""
        word = cells[self.opened.at[column]].strip().lower()
        if word not in TRUE and word not in FALSE:
            self.faults.add(
                line, f"column {column!r}: expected 1 or 0, true or false", repr(word[:40])
            )
        return "1" if word in TRUE else "0"

    def _value(self, line: int, cells: Sequence[str]) -> float | None:
        text = cells[self.opened.at[self.columns.value]].strip()
        if text.lower() in NOTHING:
            if not self.gaps:
                self.faults.add(
                    line,
                    f"column {self.columns.value!r} has no value; --allow-missing takes it as not observed",
                    repr(text),
                )
            return None
        number = self.opened.number(text)
        if number is None:
            self.faults.add(
                line,
                f"column {self.columns.value!r}: expected a finite number up to {LARGEST:g}",
                repr(text[:40]),
            )
        return number


@dataclass(frozen=True)
class GeoTable:
    """The panel, how the file writes its numbers, and the first of them as they were read."""

    panel: Panel
    marks: NumberMarks
    first: tuple[float, ...]
    notices: tuple[str, ...] = ()


def read_geo_table(
    data: bytes, columns: GeoColumns, names: GeoNames, ways: Sequence[NumberMarks] = WAYS
) -> GeoTable:
    """The whole file; BadTable says what is wrong and where. ``ways`` are those in which its
    numbers may be written.
    """
    reader = _Reader(
        columns, open_table(data, columns.all(), numbers=[columns.value], ways=ways), names.gaps
    )
    rows = reader.rows()
    first = tuple(row.value for row in rows if row.value is not None)[:SHOWN]
    kept = _first_of_each(rows) if names.keep_first and columns.region is not None else rows
    notices = [*reader.regions.notices(), *(_left_out(len(rows) - len(kept)))]
    return GeoTable(_panel(kept, columns, names), reader.opened.marks, first, tuple(notices))


def _first_of_each(rows: Sequence[_Row]) -> list[_Row]:
    """The first row of each region and period; nothing else of a repeated one counts."""
    first: dict[tuple[str, str], _Row] = {}
    for row in rows:
        first.setdefault((row.region, row.period), row)
    return list(first.values())


def _left_out(many: int) -> list[str]:
    return (
        [
            f"{counted(many, 'row')} left out, of a region and period with an earlier row, which counts"
        ]
        if many
        else []
    )


def _panel(rows: list[_Row], columns: GeoColumns, names: GeoNames) -> Panel:
    if columns.region is None:
        rows = _paired(rows, columns)
    _check_regions(rows, columns)
    order = in_time(dict.fromkeys(row.period for row in rows), names.order, names.moments)
    if len(order) > MOST_PERIODS:
        raise BadTable(f"{len(order)} periods; at most {MOST_PERIODS} are taken: take longer ones")
    cells = [Cell(row.region, row.period, row.value) for row in rows if row.value is not None]
    try:
        treated, post = _treatment(rows, columns, names, order)
        return panel_of(
            cells,
            treated=treated,
            post=post,
            periods=order,
            regions=dict.fromkeys(row.region for row in rows),
        )
    except (ImpossiblePlan, ImpossibleTotals) as refusal:
        raise BadTable(str(refusal)) from refusal


def _paired(rows: Sequence[_Row], columns: GeoColumns) -> list[_Row]:
    """Rows named by their group and their place within its period."""
    place: Counter[tuple[str, str]] = Counter()
    named = []
    for row in rows:
        place[row.treated, row.period] += 1
        named.append(
            replace(
                row, region=f"{columns.treated}={row.treated} #{place[row.treated, row.period]}"
            )
        )
    for group in sorted({group for group, _ in place}):
        sizes = {period: count for (of, period), count in place.items() if of == group}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{count} in period {period}" for period, count in sizes.items())
            raise BadTable(
                f"rows cannot be paired: those with {columns.treated} = {group} are {found}; give a region column"
            )
    return named


def _check_regions(rows: Sequence[_Row], columns: GeoColumns) -> None:
    """One row a period, and nothing that belongs to the region may change between its rows."""
    faults, first, cells = Faults(), dict[str, _Row](), dict[tuple[str, str], int]()
    for row in rows:
        before = cells.setdefault((row.region, row.period), row.line)
        if before != row.line:
            faults.add(
                row.line,
                TWICE,
                f"region {row.region!r} in period {row.period!r} was already on line {before}",
            )
        known = first.setdefault(row.region, row)
        if row.treated != known.treated:
            advice = "differs within a region; a column that says since when is --status-column"
            faults.add(
                row.line,
                f"column {columns.treated!r} {advice}",
                f"region {row.region!r}, otherwise on line {known.line}",
            )
        for name, here, there in zip(columns.same, row.same, known.same, strict=True):
            if here != there:
                seen = f"{row.region!r}: {here[:40]!r}, and on line {known.line} {there[:40]!r}"
                faults.add(row.line, f"column {name!r} differs within a unit", seen)
    faults.settle()


def _treatment(
    rows: Sequence[_Row], columns: GeoColumns, names: GeoNames, order: tuple[str, ...]
) -> tuple[list[str], tuple[str, ...]]:
    """(treated regions, periods after the start)."""
    if columns.status is not None:
        return _by_status(rows, order)
    if columns.treated is not None:
        treated = list(dict.fromkeys(row.region for row in rows if row.treated == "1"))
    else:
        spelled = {folded(row.region): row.region for row in rows}
        treated = [
            spelled.get(folded(name), name)
            for name in _named(names.treated, {row.region for row in rows})
        ]
    known = set(order)
    if names.start is None:
        return treated, tuple(_named(names.post, known))
    if names.start not in known:
        raise ImpossiblePlan(
            f"start period {names.start!r} is not in the file; it has {', '.join(order)[:300]}"
        )
    return treated, order[order.index(names.start) :]


def _by_status(rows: Sequence[_Row], order: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Treated from the first row that says so; refuses starts that differ and treatment that
    ends.
    """
    at = {period: position for position, period in enumerate(order)}
    on: dict[str, list[int]] = {}
    off: dict[str, list[int]] = {}
    for row in rows:
        (on if row.status else off).setdefault(row.region, []).append(at[row.period])
    start = min((min(places) for places in on.values()), default=0)
    starts = {}
    for region, places in on.items():
        last_off = max(off.get(region, [-1]))
        if last_off > min(places):
            raise ImpossiblePlan(
                f"region {region!r} is treated in {order[min(places)]!r} and not in {order[last_off]!r}: treatment stays"
            )
        starts[region] = order[start if last_off < start else min(places)]
    one_start(starts)
    return list(starts), order[start:]


def _named(texts: Sequence[str], known: set[str]) -> list[str]:
    """Names as given: one each, or several between commas."""
    return [
        name
        for text in texts
        for name in ([text] if text in known else (part.strip() for part in text.split(",")))
        if name
    ]
