"""Counts units that are twins of a unit that was there before: the same letters in other code
points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from analytics.core.intake.ingest_items import ExposureItem
from analytics.core.intake.twins import TWINS, twins_of
from analytics.models import Assignment
from analytics.services.ingest.batch import Batch, StorableRow

_Place: TypeAlias = tuple[object, object, str]
Write = Callable[[Sequence[StorableRow]], None]


def counting_twins(batch: Batch[ExposureItem], write: Write) -> Write:
    """Writes rows of assignments, and counts the twins among the units that are new."""

    def counted(rows: Sequence[StorableRow]) -> None:
        found = _twins(rows)
        write(rows)
        if found:
            batch.outcomes[TWINS] += found

    return counted


def _twins(rows: Sequence[StorableRow]) -> int:
    """Twins among these rows; ids of ASCII have none and are not looked up."""
    places = dict.fromkeys(_place(row) for row in rows if not str(row.columns["user_id"]).isascii())
    if not places:
        return 0
    seen = _present(list(places))
    found = 0
    for iteration, environment, unit in places:
        if (iteration, environment, unit) in seen:
            continue
        found += any((iteration, environment, twin) in seen for twin in twins_of(unit))
        seen.add((iteration, environment, unit))
    return found


def _place(row: StorableRow) -> _Place:
    return row.columns["iteration_id"], row.columns["environment"], str(row.columns["user_id"])


def _present(places: Sequence[_Place]) -> set[_Place]:
    units = {unit for _, _, unit in places}
    asked = Assignment.objects.filter(
        iteration_id__in={iteration for iteration, _, _ in places},
        environment__in={environment for _, environment, _ in places},
        user_id__in=units | {twin for unit in units for twin in twins_of(unit)},
    )
    return set(asked.values_list("iteration_id", "environment", "user_id"))
