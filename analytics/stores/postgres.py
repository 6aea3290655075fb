"""Totals from PostgreSQL: Ibis writes the SQL, Django's own connection runs it.

Ibis could open a connection of its own. Then analysis would see another snapshot than the
transaction it stands in, tests would not see their uncommitted rows, and every worker would hold
twice the connections; and Ibis creates functions in the database on connecting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime
from typing import Any

import ibis
from django.db import connection, transaction
from ibis.expr.types import StringValue, Table, Value

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Remembered
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of, level_of
from analytics.core.stats.arms.quantile import Histogram, QuantileTotals, from_passes, quantile_hat
from analytics.models.whole_tables import whole_tables
from analytics.stores import cost_forms, expressions, forms, guard_forms, scan_forms
from analytics.stores.base import (
    OTHERS,
    ArmCount,
    CarriedName,
    Description,
    HourCount,
    LargestValues,
    MetricTotals,
    Population,
    Span,
    Spending,
    UnitValue,
    part_of,
)
from analytics.stores.compiled import Limits, compiled, statement
from analytics.stores.forms import Question
from analytics.stores.origins import Origins, asked, extremes, moments_of
from experiments.core.design.metric_definitions import MetricDefinition


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # Ibis ships no types
def jsonb_extract_path_text(document: ibis.expr.datatypes.json, key: str) -> str:  # type: ignore[empty-body]  # PostgreSQL's own
    """The text under a key of a jsonb object; null when it has none."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # Ibis ships no types
def jsonb_extract_path(
    document: ibis.expr.datatypes.json, key: str
) -> ibis.expr.datatypes.json:  # PostgreSQL's own
    """What stands under a key of a jsonb object; null when it has none."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # Ibis ships no types
def jsonb_typeof(document: ibis.expr.datatypes.json) -> str:  # type: ignore[empty-body]  # PostgreSQL's own
    """number, string, object, …"""


def _unit_from_map(rows: Table, unit_type: str) -> StringValue:
    found: StringValue = jsonb_extract_path_text(rows.units, unit_type)
    return found


def _number_from_map(rows: Table, name: str) -> Value:
    """Only what was sent as a number: a word under the same name is no covariate."""
    is_number = jsonb_typeof(jsonb_extract_path(rows.covariates, name)) == "number"
    return ibis.cases(
        (is_number, jsonb_extract_path_text(rows.covariates, name).cast("float64")),
        else_=ibis.null("float64"),
    )


class PostgresStore:
    """The default store, on the tables that ingest writes."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All totals of one run from one moment; inside somebody's transaction, that transaction's
        view.
        """
        if connection.in_atomic_block:
            yield
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def arms(self, population: Population) -> Sequence[ArmCount]:
        found = _run(statement(expressions.arms, population))
        return tuple(
            ArmCount(
                variant_id=row["variant_id"],
                units=row["units"],
                exposures=int(row["exposures"]),
                crossovers=row["crossovers"],
                first=row["first"],
                last=row["last"],
                delays=Totals(row["told"], row["delay"] or 0.0, row["delay2"] or 0.0),
            )
            for row in sorted(found, key=lambda row: row["variant_id"])
        )

    def largest(
        self, population: Population, metric: MetricDefinition, share: float
    ) -> LargestValues:
        question = Question(population, metric, True, _unit_from_map, _number_from_map)
        [counted] = _run(statement(forms.values_that_count, question))
        many = min(counted["units"], math.ceil(share * counted["units"]) + 2)
        found = sorted(row["y"] for row in _run(compiled(forms.largest_values(question, many))))
        return LargestValues(tuple(found), counted["units"] - len(found))

    def spread(self, population: Population, metric: MetricDefinition) -> Mapping[float, int]:
        found = _run(
            statement(
                forms.spread, Question(population, metric, True, _unit_from_map, _number_from_map)
            )
        )
        return {float(row["y"]): row["units"] for row in found}

    def beyond(
        self, population: Population, metric: MetricDefinition, limit: float, most: int
    ) -> Sequence[UnitValue]:
        found = _run(
            compiled(
                forms.beyond(
                    Question(population, metric, True, _unit_from_map, _number_from_map),
                    limit,
                    most,
                )
            )
        )
        return tuple(UnitValue(row["unit"], row["variant_id"], float(row["y"])) for row in found)

    def describe(
        self, population: Population, metric: MetricDefinition, *, matured: bool
    ) -> Mapping[int, Description]:
        question = Question(population, metric, matured, _unit_from_map, _number_from_map)
        return {
            row["variant_id"]: _description(row, metric)
            for row in _totals(forms.described, question, names=("y",))
        }

    def first_rows(self, population: Population, metric: MetricDefinition) -> Sequence[HourCount]:
        question = Question(population, metric, False, _unit_from_map, _number_from_map)
        exposed = {
            (row["variant_id"], row["hour"]): row["units"]
            for row in _run(statement(guard_forms.exposed_by_hour, question))
        }
        firsts = {
            (row["variant_id"], row["hour"]): row["units"]
            for row in _run(statement(guard_forms.first_rows_by_hour, question))
        }
        hours = sorted(exposed.keys() | firsts.keys())
        return tuple(
            HourCount(variant, at, exposed.get((variant, at), 0), firsts.get((variant, at), 0))
            for variant, at in hours
        )

    def worth(
        self, population: Population, outcome: MetricDefinition, cost: MetricDefinition
    ) -> Mapping[int, UnitMoments]:
        question = Question(population, outcome, True, _unit_from_map, _number_from_map)
        found = _totals(guard_forms.outcome_and_cost, question, cost, names=("y", "c"))
        return {row["variant_id"]: moments_of(row, ("y", "c")) for row in found}

    def spent(self, population: Population) -> int:
        [row] = _run(statement(guard_forms.spent, population, _unit_from_map))
        return int(row["cost"] or 0)

    def wearing(
        self, population: Population, metric: MetricDefinition, days: int
    ) -> Mapping[int, Totals]:
        question = Question(population, metric, True, _unit_from_map, _number_from_map)
        found = _totals(scan_forms.wearing, question, days, names=("d",))
        return {row["variant_id"]: moments_of(row, ("d",)).of("d") for row in found}

    def since_exposure(
        self, population: Population, metric: MetricDefinition, days: int
    ) -> Mapping[tuple[int, int], Totals]:
        question = Question(population, metric, True, _unit_from_map, _number_from_map)
        units: dict[tuple[int, int], int] = {}
        for row in _run(statement(scan_forms.followed, question, days)):
            for day in range(row["followed"]):
                units[row["variant_id"], day] = (
                    units.get((row["variant_id"], day), 0) + row["units"]
                )
        met = {
            part_of(row["variant_id"]): row
            for row in _totals(scan_forms.since_exposure, question, days, names=("y",))
        }
        return {key: _day_totals(many, met.get(key, {}), metric) for key, many in units.items()}

    def watched(self, population: Population, most: int) -> Sequence[CarriedName]:
        with connection.cursor() as cursor:
            cursor.execute(_CARRIED, _asked_of(population) | {"most": most})
            return tuple(
                CarriedName(source, name, numeric) for source, name, numeric in cursor.fetchall()
            )

    def deciles(self, population: Population, watched: CarriedName, span: Span) -> Sequence[float]:
        [row] = _run(compiled(scan_forms.deciles(population, watched, span, _number_from_map)))
        return (
            ()
            if row["largest"] is None
            else (*(float(row[f"q{tenth}"]) for tenth in range(1, 10)), float(row["largest"]))
        )

    def bins(
        self, population: Population, watched: CarriedName, span: Span, edges: Sequence[float]
    ) -> Sequence[int]:
        counted = {
            row["bin"]: row["many"]
            for row in _run(
                compiled(scan_forms.bins(population, watched, span, edges, _number_from_map))
            )
        }
        return tuple(counted.get(place, 0) for place in range(len(edges) + 1))

    def words(
        self, population: Population, watched: CarriedName, span: Span, most: int
    ) -> Mapping[str, int]:
        found = {
            row["word"]: row["many"]
            for row in _run(compiled(scan_forms.words(population, watched, span, _unit_from_map)))
        }
        kept = sorted(found, key=lambda word: (-found[word], word))[:most]
        others = sum(found.values()) - sum(found[word] for word in kept)
        return {word: found[word] for word in kept} | ({OTHERS: others} if others else {})

    def spending(self, population: Population) -> Sequence[Spending]:
        return _spending(_run(statement(cost_forms.spending, population, _unit_from_map)))

    def spending_and_spent(self, population: Population) -> tuple[Sequence[Spending], int]:
        rows = _run(
            statement(cost_forms.spending, population, _unit_from_map, tuple(guard_forms.SPENDING))
        )
        mine = [row for row in rows if row["phase"] == population.phase.value]
        return _spending(mine), sum(int(row["cost_micro"] or 0) for row in rows)

    def totals(
        self,
        population: Population,
        metric: MetricDefinition,
        *,
        matured: bool = True,
        covariate: str | None = None,
    ) -> Mapping[int, MetricTotals]:
        question = Question(population, metric, matured, _unit_from_map, _number_from_map)
        return READERS[kind_of(metric.kind.value).form](question, covariate)


def _spending(rows: Sequence[Mapping[str, Any]]) -> tuple[Spending, ...]:
    counts = [field.name for field in fields(Spending) if field.name != "model"]
    found = [
        Spending(model=row["model"], **{name: int(row[name] or 0) for name in counts})
        for row in rows
    ]
    return tuple(sorted(found, key=lambda one: (one.variant_id, one.model)))


_CARRIED = """
SELECT source, name, bool_and(kind = 'number') FROM (
    SELECT 'covariates' AS source, c.key AS name, jsonb_typeof(c.value) AS kind
    FROM experiment_assignments a, jsonb_each(CASE WHEN jsonb_typeof(a.covariates) = 'object' THEN a.covariates ELSE '{}' END) c
    WHERE a.iteration_id = %(iteration)s AND a.environment = 'production' AND a.phase = %(phase)s AND a.exposure_ts <= %(cut)s
    UNION ALL
    SELECT 'embedding_stats', s.key, jsonb_typeof(s.value)
    FROM ai_events e, jsonb_each(CASE WHEN jsonb_typeof(e.embedding_stats) = 'object' THEN e.embedding_stats ELSE '{}' END) s
    WHERE e.experiment_id = %(experiment)s AND e.environment = 'production' AND e.ts <= %(cut)s AND e.event_date >= %(since)s
        AND e.event_date <= %(until)s
) met WHERE kind IN ('number', 'string', 'boolean') GROUP BY source, name ORDER BY source, count(*) DESC, name LIMIT %(most)s
"""
"""Names are data here, which Ibis has no word for."""


def _asked_of(population: Population) -> dict[str, int | str | datetime | date]:
    since = population.rows_from or population.cut
    return {
        "iteration": population.iteration_id,
        "experiment": population.experiment_id,
        "phase": population.phase.value,
        "cut": population.cut,
        "since": since.date(),
        "until": population.cut.date(),
    }


def _description(row: Mapping[str, Any], metric: MetricDefinition) -> Description:
    """A silent unit of a metric that gives it a zero is a unit with the value zero."""
    units = moments_of(row, ("y",), _counted(row, metric)).of("y")
    values = extremes(row, "y") + [0.0] * (units.n > (row["answered"] or 0))
    return Description(
        exposed=row["exposed"],
        rows=row["rows"] or 0,
        converted=row["converted"] or 0,
        row_mean=row["row_mean"],
        units=units,
        least=min(values, default=None),
        most=max(values, default=None),
    )


def _counted(row: Mapping[str, Any], metric: MetricDefinition) -> int | None:
    """How many units there are where a silent one is a zero; None where it has no value at all."""
    return int(row["exposed"]) if metric.silent_unit_is_zero else None


def _day_totals(units: int, row: Mapping[str, Any], metric: MetricDefinition) -> Totals:
    """A day on which a unit was silent is a zero, or no value at all."""
    return moments_of(row, ("y",), units if metric.silent_unit_is_zero else None).of("y")


def _numbers(question: Question, covariate: str | None) -> dict[int, MetricTotals]:
    """Silent units are zeros, which add to n and to nothing else, or have no value at all."""
    if covariate is not None:
        return _remembered(question, covariate, ("y",))
    return {
        row["variant_id"]: MetricTotals(
            moments_of(row, ("y",), _counted(row, question.metric)).of("y"), row["exposed"]
        )
        for row in _totals(forms.number_per_unit, question, names=("y",))
    }


def _ratios(question: Question, covariate: str | None) -> dict[int, MetricTotals]:
    if covariate is not None:
        return _remembered(question, covariate, ("y", "d"))
    found = _totals(forms.ratio_per_unit, question, names=("y", "d"))
    return {
        row["variant_id"]: MetricTotals(moments_of(row, ("y", "d"), row["exposed"]), row["exposed"])
        for row in found
    }


def _remembered(
    question: Question, covariate: str, now: tuple[str, ...]
) -> dict[int, MetricTotals]:
    """Both strata of every variant that has units, an empty one with zeros."""
    exposed = {
        row["variant_id"]: row["exposed"] for row in _run(statement(forms.exposed_units, question))
    }
    both = (*now, *(f"{name}0" for name in now))
    found = _totals(
        forms.with_covariate, question, covariate, len(now) > 1, names=both, keys=forms.STRATUM
    )
    strata = {(row["variant_id"], row["known"]): row for row in found}
    return {
        variant: MetricTotals(
            Remembered(
                _stratum(strata.get((variant, True)), both),
                _stratum(strata.get((variant, False)), now),
            ),
            many,
        )
        for variant, many in exposed.items()
    }


def _stratum(row: Mapping[str, Any] | None, names: tuple[str, ...]) -> UnitMoments:
    return moments_of(row or {}, names)


def _totals(
    form: Callable[..., Table],
    question: Question,
    *rest: Hashable,
    names: tuple[str, ...],
    keys: tuple[str, ...] = ("variant_id",),
    limits: Limits | None = None,
) -> list[dict[str, Any]]:
    """The rows of a form about totals, asked again where plain sums would lose the spread."""
    more = () if limits is None else (limits,)

    def again(origins: Origins) -> str:
        return compiled(form(question, *rest, *more, origins))

    return asked(_run, statement(form, question, *rest, limits=limits), again, keys, names)


def _quantiles(question: Question, covariate: str | None) -> dict[int, MetricTotals]:
    """Two passes: the histogram gives each arm's quantile, then each bucket counts what lies at or
    below it.
    """
    metric, times = question.metric, question.metric.kind == "duration"
    level = level_of(metric.kind.value, metric.quantile)
    exposed = {
        row["variant_id"]: row["exposed"] for row in _run(statement(forms.exposed_units, question))
    }
    bins: dict[int, dict[float, int]] = {variant: {} for variant in exposed}
    for row in _run(statement(forms.histogram, question)):
        bins[row["variant_id"]][float(row["bin"])] = row["many"]
    seen = {
        variant: _histogram(metric, found, exposed[variant] if times else None)
        for variant, found in bins.items()
    }
    hats = {
        variant: hat
        for variant, histogram in seen.items()
        if (hat := quantile_hat(histogram, level)) is not None
    }
    counted = forms.times_per_bucket if times else forms.bucket_counts
    buckets = {
        row["variant_id"]: row for row in _totals(counted, question, names=("y", "d"), limits=hats)
    }
    return {
        variant: MetricTotals(_quantile(level, seen[variant], buckets.get(variant)), many)
        for variant, many in exposed.items()
    }


def _histogram(
    metric: MetricDefinition, bins: Mapping[float, int], people: int | None
) -> Histogram:
    """Bins below the limit; the rest lies beyond, and so do ``people`` to whom nothing happened."""
    milliseconds = metric.value_field == "latency_ms"
    kept = {
        value: many
        for value, many in bins.items()
        if not milliseconds or value < forms.LATENCY_LIMIT
    }
    rows = sum(bins.values()) if people is None else people
    return Histogram(
        tuple(sorted(kept)),
        tuple(kept[value] for value in sorted(kept)),
        rows - sum(kept.values()),
        1.0 if milliseconds else 0.0,
    )


def _quantile(level: float, histogram: Histogram, row: Mapping[str, Any] | None) -> QuantileTotals:
    if row is None:
        return from_passes(histogram, level, Totals(0, 0.0, 0.0, 0.0, 0.0, 0.0))
    clusters = moments_of(row, ("y", "d")).of("y", "d")
    return from_passes(histogram, level, clusters, units=int(row["units"]))


READERS = {"unit": _numbers, "ratio": _ratios, "rows": _quantiles, "time": _quantiles}
"""How each form of totals is read."""


def statements(
    population: Population, metric: MetricDefinition, covariate: str | None
) -> tuple[str, ...]:
    """The SQL that asks for a metric's matured totals, to be read: of a quantile the first pass,
    from which the second one follows.
    """
    question = Question(population, metric, True, _unit_from_map, _number_from_map)
    form = kind_of(metric.kind.value).form
    if covariate is not None and form in ("unit", "ratio"):
        asked = [
            forms.exposed_units(question),
            forms.with_covariate(question, covariate, ratio=form == "ratio"),
        ]
    elif form in ("unit", "ratio"):
        asked = [
            forms.number_per_unit(question) if form == "unit" else forms.ratio_per_unit(question)
        ]
    else:
        asked = [forms.exposed_units(question), forms.histogram(question)]
    return tuple(compiled(one) for one in asked)


def _run(sql: str) -> list[dict[str, Any]]:
    """Rows as dicts. The text holds its values as literals; Any: columns have the types of their
    table.
    """
    with whole_tables() as cursor:
        cursor.execute(sql)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
