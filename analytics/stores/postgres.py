"""Totals from PostgreSQL: Ibis writes the SQL, Django's own connection runs it.

Ibis could open a connection of its own. Then analysis would see another snapshot than the
transaction it stands in, tests would not see their uncommitted rows, and every worker would hold
twice the connections; and Ibis creates functions in the database on connecting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ibis
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from ibis.expr.types import StringValue, Table

from analytics.core.totals import Totals
from analytics.stores import expressions
from analytics.stores.base import ArmCount, MetricTotals, Population
from experiments.core.metric_definitions import MetricDefinition


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # Ibis ships no types
def jsonb_extract_path_text(document: ibis.expr.datatypes.json, key: str) -> str:  # type: ignore[empty-body]  # PostgreSQL's own
    """The text under a key of a jsonb object; null when it has none."""


def _unit_from_map(rows: Table, unit_type: str) -> StringValue:
    found: StringValue = jsonb_extract_path_text(rows.units, unit_type)
    return found


class PostgresStore:
    """The default store, on the tables that ingest writes."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All totals of one run from one moment; inside somebody's transaction, that transaction's view."""
        if connection.in_atomic_block:
            yield
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def arms(self, population: Population) -> Sequence[ArmCount]:
        found = _run(expressions.arms(population))
        return tuple(
            ArmCount(
                variant_id=row["variant_id"],
                units=row["units"],
                exposures=int(row["exposures"]),
                crossovers=row["crossovers"],
                first=row["first"],
                last=row["last"],
            )
            for row in sorted(found, key=lambda row: row["variant_id"])
        )

    def totals(self, population: Population, metric: MetricDefinition, *, matured: bool = True) -> Mapping[int, MetricTotals]:
        found = _run(expressions.totals(population, metric, _unit_from_map, matured=matured))
        return {row["variant_id"]: _arm(row, metric) for row in sorted(found, key=lambda row: row["variant_id"])}


def _arm(row: Mapping[str, Any], metric: MetricDefinition) -> MetricTotals:
    """Silent units are zeros, which add to n and to nothing else, or have no value at all."""
    n = row["exposed"] if metric.silent_unit_is_zero else row["answered"] or 0
    return MetricTotals(totals=Totals(n, row["sum_y"] or 0.0, row["sum_y2"] or 0.0), exposed=row["exposed"])


def _run(expression: Table) -> list[dict[str, Any]]:
    """Rows as dicts. The expression holds its values as literals; Any: columns have the types of their table."""
    with _without_nested_loops() as cursor:
        cursor.execute(str(ibis.to_sql(expression, dialect="postgres")))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def _without_nested_loops() -> Iterator[CursorWrapper]:
    """Totals read every unit, so a hash join is right. On tables just filled, which have no statistics
    yet, the planner expects one row and takes minutes for what a hash join does in a second."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop = on")
