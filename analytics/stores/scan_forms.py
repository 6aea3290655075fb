"""What the nightly scan asks beyond a metric's totals: how effects wear, and how what units and
events carry is spread.

Ibis expressions, the same for every store; nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ibis
from ibis.expr.types import Table

from analytics.core.deciding.windows import GRACE
from analytics.stores.base import PARTS, CarriedName, Population, Span
from analytics.stores.expressions import MOMENT, NumberFromMap, UnitFromMap, exposed, value_per_unit
from analytics.stores.expressions import words as with_words
from analytics.stores.forms import Question
from analytics.stores.origins import Origins, totalled
from experiments.core.types import Environment

PER_DAY = ("count", "sum")
"""Aggregations that add up over days; of the others a week has one value."""
_DAY = 86_400
EMBEDDED = ibis.table(
    {
        "event_date": "date",
        "ts": MOMENT,
        "experiment_id": "int64",
        "environment": "string",
        "embedding_stats": "json",
    },
    name="ai_events",
)


def wearing(question: Question, days: int, origins: Origins | None = None) -> Table:
    """Per variant, of units with both values (silent: 0): totals of the first days' value minus the
    later days'.
    """
    metric = question.metric
    people = replace(question, metric=replace(metric, window_hours=2 * 24 * days)).units
    span = replace(question, metric=replace(metric, window_hours=24 * days))
    first = value_per_unit(span.met(people), span.metric).select("assignment", first="y")
    shifted = people.mutate(
        start=people.start + ibis.interval(days=days), since=people.start + ibis.interval(days=days)
    )
    later = value_per_unit(span.met(shifted), span.metric).select("assignment", later="y")
    every = (
        people.left_join(first, "assignment")
        .drop("assignment_right")
        .left_join(later, "assignment")
    )
    if not metric.silent_unit_is_zero:
        every = every.filter(every.first.notnull(), every.later.notnull())
    scale = float(days) if metric.aggregation in PER_DAY else 1.0
    every = every.mutate(
        d=(ibis.coalesce(every.first, 0.0) - ibis.coalesce(every.later, 0.0)) / scale
    )
    return totalled(every, ("variant_id",), ("d",), origins)


def followed(question: Question, days: int) -> Table:
    """Per variant and number of whole days that units have been followed for, at most so many: how
    many units.
    """
    people = _followed(question, days)
    return people.group_by("variant_id", "followed").aggregate(units=people.count())


def since_exposure(question: Question, days: int, origins: Origins | None = None) -> Table:
    """Per variant and day since exposure (``variant_id`` is a key of both, as of a split): totals
    of units with a row in it.

    A row's day is told to the second.
    """
    people = _followed(question, days)
    span = replace(question, metric=replace(question.metric, window_hours=24 * days))
    met = span.met(people)
    passed = (met.at.epoch_seconds() - met.start.epoch_seconds()).cast("int64")
    met = met.mutate(
        day=ibis.greatest(passed, 0) // _DAY
    )  # rows of an arrival's grace belong to the first day
    met = met.filter(met.day < met.followed)
    met = met.mutate(
        assignment=met.assignment * days + met.day, variant_id=met.variant_id * PARTS + met.day
    )
    values = value_per_unit(met, span.metric)
    return totalled(values, ("variant_id",), ("y",), origins)


def _followed(question: Question, days: int) -> Table:
    """Units followed for a day or longer, with for how many whole days, the grace left out."""
    people = replace(question, metric=replace(question.metric, window_hours=24)).units
    latest = ibis.literal(question.population.cut - GRACE)
    whole = (latest.epoch_seconds() - people.start.epoch_seconds()).cast("int64") // _DAY
    return people.mutate(followed=ibis.least(whole, ibis.literal(days, "int64")))


def deciles(
    population: Population, watched: CarriedName, span: Span, number_from_map: NumberFromMap
) -> Table:
    """One row: q1 … q9 and the largest of the numbers met."""
    found = _numbers(population, watched, span, number_from_map)
    return found.aggregate(
        **{f"q{tenth}": found.number.quantile(tenth / 10) for tenth in range(1, 10)},
        largest=found.number.max(),
    )


def bins(
    population: Population,
    watched: CarriedName,
    span: Span,
    edges: Sequence[float],
    number_from_map: NumberFromMap,
) -> Table:
    """Per bin that numbers lie in: how many."""
    found = _numbers(population, watched, span, number_from_map)
    below = [(found.number <= edge, ibis.literal(place)) for place, edge in enumerate(edges)]
    found = found.mutate(
        bin=ibis.cases(*below, else_=ibis.literal(len(edges))) if below else ibis.literal(0)
    )
    return found.group_by("bin").aggregate(many=found.count())


def words(
    population: Population, watched: CarriedName, span: Span, unit_from_map: UnitFromMap
) -> Table:
    """Per word: how often it was met."""
    found = with_words(_met(population, watched, span), watched.name, unit_from_map, watched.source)
    found = found.filter(found.word.notnull())
    return found.group_by("word").aggregate(many=found.count())


def _numbers(
    population: Population, watched: CarriedName, span: Span, number_from_map: NumberFromMap
) -> Table:
    met = _met(population, watched, span)
    met = met.mutate(covariates=met[watched.source])
    found = met.mutate(number=number_from_map(met, watched.name))
    return found.filter(found.number.notnull())


def _met(population: Population, watched: CarriedName, span: Span) -> Table:
    """Units first exposed in the span, or production events of the experiment in it."""
    since, until = ibis.literal(span[0]), ibis.literal(span[1])
    if watched.source == "covariates":
        people = exposed(population)
        return people.filter(people.exposure_ts >= since, people.exposure_ts < until)
    return EMBEDDED.filter(
        EMBEDDED.experiment_id == population.experiment_id,
        EMBEDDED.environment == Environment.PRODUCTION.value,
        EMBEDDED.ts >= since,
        EMBEDDED.ts < until,
        EMBEDDED.event_date >= ibis.literal(span[0].date()),
        EMBEDDED.event_date <= ibis.literal(span[1].date()),
    )
