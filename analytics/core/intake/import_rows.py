"""From lines of a file to units: rows that repeat a unit, and rows that belong to one cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analytics.core.intake.import_columns import Cell, UnitRow
from analytics.core.intake.table_faults import Faults
from experiments.core.figures import counted


@dataclass(frozen=True)
class ImportLine:
    """A row with its line, and the cluster that it names."""

    number: int
    row: UnitRow
    cluster: str = ""


SEVERAL = "a unit is on several lines; one row is one unit, and --duplicates first keeps the first"
MIXED = (
    "a cluster has rows of several variants, so its rows were randomised and not the cluster;"
    " leave --cluster out, or name what was randomised"
)


def refuse_repeated(lines: Sequence[ImportLine], faults: Faults) -> None:
    """A fault for each line whose unit was on an earlier one."""
    first: dict[str, int] = {}
    for line in lines:
        seen = first.setdefault(line.row.unit, line.number)
        if seen != line.number:
            faults.add(line.number, SEVERAL, f"unit {line.row.unit!r} was already on line {seen}")


def first_of_each(lines: Sequence[ImportLine]) -> tuple[list[ImportLine], list[ImportLine]]:
    """(each unit's earliest line, the others): by time, and of the same time the one that comes
    first in the file.
    """
    best: dict[str, ImportLine] = {}
    for line in lines:
        known = best.get(line.row.unit)
        if known is None or line.row.at < known.row.at:
            best[line.row.unit] = line
    kept = [line for line in lines if best[line.row.unit] is line]
    return kept, [line for line in lines if best[line.row.unit] is not line]


def left_out(kept: Sequence[ImportLine], others: Sequence[ImportLine]) -> str:
    """What was done with repeated units, for people."""
    arms = {line.row.unit: line.row.variant for line in kept}
    units = {line.row.unit for line in others}
    crossed = {line.row.unit for line in others if line.row.variant != arms[line.row.unit]}
    said = f"{counted(len(others), 'row')} left out, of {counted(len(units), 'unit')} with an earlier row, which counts"
    also = (
        f"; {counted(len(crossed), 'unit')} among them with rows in several variants: crossovers"
        if crossed
        else ""
    )
    return said + also


def clustered(lines: Sequence[ImportLine], faults: Faults) -> tuple[list[UnitRow], list[UnitRow]]:
    """(rows under their cluster's id, one unit for each cluster): a cluster is in one variant, from
    its first row on.
    """
    members: dict[str, list[ImportLine]] = defaultdict(list)
    for line in lines:
        members[line.cluster].append(line)
    for name, its in members.items():
        other = next((line for line in its if line.row.variant != its[0].row.variant), None)
        if other is not None:
            seen = f"cluster {name!r} is in {its[0].row.variant!r} on line {its[0].number} and in {other.row.variant!r}"
            faults.add(other.number, MIXED, seen)
    units = [
        UnitRow(
            name,
            its[0].row.variant,
            min(line.row.at for line in its),
            (),
            _together([line.row for line in its]),
        )
        for name, its in members.items()
    ]
    return [replace(line.row, unit=line.cluster, covariates=None) for line in lines], units


def _together(rows: Sequence[UnitRow]) -> Mapping[str, Cell] | None:
    """A cluster's covariates: the mean of numbers; a word where all of its rows say the same."""
    found: dict[str, list[Cell]] = defaultdict(list)
    for row in rows:
        for name, value in (row.covariates or {}).items():
            found[name].append(value)
    together: dict[str, Cell] = {}
    for name, values in found.items():
        numbers = [value for value in values if isinstance(value, float)]
        if len(numbers) == len(values):
            together[name] = sum(numbers) / len(numbers)
        elif len(set(values)) == 1:
            together[name] = values[0]
    return together or None
