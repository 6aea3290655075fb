"""What units have cost, by variant and model: Ibis expressions, the same for every store; nothing
here touches a database.
"""

from __future__ import annotations

import ibis
from ibis.expr.types import Table

from analytics.stores.base import Population
from analytics.stores.expressions import (
    COSTS,
    UnitFromMap,
    exposed,
    metered,
    moment,
    row_since,
    told_by_events,
    unit_id,
)
from experiments.core.types import Environment

UNMETERED = ""
"""The model of what events told themselves."""


def spending(
    population: Population, unit_from_map: UnitFromMap, phases: tuple[str, ...] = ()
) -> Table:
    """Per variant and model: calls, tokens, money sent and money priced, calls without either, and
    what caches answered.

    With ``phases``: of each of these apart.
    """
    people = exposed(population, phases)
    people = people.select(
        "variant_id", "phase", unit=people.user_id, start=row_since(people, population)
    )
    rows = costly(population, unit_from_map)
    met = people.inner_join(rows, [people.unit == rows.row_unit, rows.at >= people.start])
    return met.group_by("variant_id", "model", *(["phase"] if phases else [])).aggregate(
        calls=met.count(),
        tokens_in=met.tokens_in.sum(),
        tokens_out=met.tokens_out.sum(),
        cost_micro=met.cost_micro.sum(),
        priced_micro=met.cost_micro.sum(where=~met.sent),
        unpriced=met.cost_micro.isnull().sum(),
        cache_known=met.cache_hit.count(),
        cache_hits=met.cache_hit.sum(),
    )


def costly(population: Population, unit_from_map: UnitFromMap) -> Table:
    """Rows that tell a cost, each with whose it is and when: of every request what was metered,
    else what its events say.

    Rows stamped with another experiment are another one's.
    """
    columns = ("model", "tokens_in", "tokens_out", "cost_micro", "sent", "cache_hit")
    both = (metered(_within(COSTS, population)), _within(_unmetered(), population))
    own = (
        one.filter(one.experiment_id.isnull() | (one.experiment_id == population.experiment_id))
        for one in both
    )
    found = (
        one.select(*columns, row_unit=unit_id(one, population.unit_type, unit_from_map), at=one.ts)
        for one in own
    )
    return ibis.union(*found)


def _unmetered() -> Table:
    """What events told themselves, with the columns of metered costs."""
    nothing = ibis.null("int64")
    return told_by_events().mutate(
        model=ibis.literal(UNMETERED),
        tokens_in=nothing,
        tokens_out=nothing,
        sent=True,
        cache_hit=ibis.null("boolean"),
    )


def _within(rows: Table, population: Population) -> Table:
    """Production's, of the days that are read."""
    found = rows.filter(
        rows.environment == Environment.PRODUCTION.value,
        rows.ts <= moment(population.cut),
        rows.event_date <= ibis.literal(population.cut.date()),
    )
    return (
        found
        if population.rows_from is None
        else found.filter(found.event_date >= ibis.literal(population.rows_from.date()))
    )
