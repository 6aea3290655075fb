"""Counting accepted items for Prometheus: once each, after they are committed, under the names of
their variant.

Items without an experiment belong to every experiment their unit is in; that takes a join, so they
are left to the analyses. Numbers here are for dashboards, never for a decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from django.db import connection, transaction

from analytics.metrics import HTTP_ERRORS, LLM_COST, LLM_UNPRICED, REQUEST_LATENCY, USER_FEEDBACK
from analytics.services.ingest.batch import StorableRow
from experiments.core.library.metrics import ERROR_EVENTS
from experiments.core.types import Environment, Origin
from experiments.metrics import VARIANTS_ASSIGNED
from experiments.models import Variant

SENTIMENT = {"useful": "positive", "not_useful": "negative"}
MICROS = 1_000_000

_names: dict[int, tuple[str, str]] = {}
"""Variant → the keys of its experiment and of itself; neither changes once events name it."""


def and_tell(
    write: Callable[[Sequence[StorableRow]], None],
) -> Callable[[Sequence[StorableRow]], None]:
    """A writer whose rows are counted once they are committed."""

    def write_and_tell(rows: Sequence[StorableRow]) -> None:
        write(rows)
        # Robust: what is stored is stored, whatever becomes of its count.
        transaction.on_commit(lambda: tell(rows), robust=True)

    return write_and_tell


def and_tell_assigned(
    write: Callable[[Sequence[StorableRow]], None],
) -> Callable[[Sequence[StorableRow]], None]:
    """The same for exposures that applications tell: whoever decides by itself asks no door that
    would have counted the answer.
    """

    def write_and_tell(rows: Sequence[StorableRow]) -> None:
        write(rows)
        transaction.on_commit(lambda: tell_assigned(rows), robust=True)

    return write_and_tell


def tell_assigned(rows: Sequence[StorableRow]) -> None:
    """Count the variants that these units were given."""
    live = [
        row
        for row in rows
        if (row.columns.get("environment"), row.columns.get("origin"))
        == (Environment.PRODUCTION, Origin.LIVE)
    ]
    given = Counter(
        variant for row in live if isinstance(variant := row.columns.get("variant_id"), int)
    )
    _learn(set(given))
    for variant, times in given.items():
        VARIANTS_ASSIGNED.labels(*_names[variant]).inc(times)


def tell(rows: Sequence[StorableRow]) -> None:
    """Count these rows; tests and imports are not what happens now."""
    live = [
        row
        for row in rows
        if (row.columns.get("environment"), row.columns.get("origin"))
        == (Environment.PRODUCTION, Origin.LIVE)
    ]
    stamped = [
        (row, variant) for row in live if isinstance(variant := row.columns.get("variant_id"), int)
    ]
    _learn({variant for _, variant in stamped})
    for row, variant in stamped:
        _count(row, *_names[variant])
    _tell_metered(live)


def _tell_metered(rows: Sequence[StorableRow]) -> None:
    """Count what the calls of these requests cost, once each: a cost and its event come in either
    order, and whoever comes second counts.

    Marking the cost's row decides between two who come at the same time. A cost that its event
    carries was counted with the event.
    """
    requests = sorted(
        {str(request) for row in rows if (request := row.columns.get("request_id")) is not None}
    )
    if not requests:
        return
    days = [row.day for row in rows]
    asked: dict[str, list[str] | date] = {
        "requests": requests,
        "since": min(days) - _APART,
        "until": max(days) + _APART,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MARK, asked)
        found = cursor.fetchall()
    _learn({variant for variant, _, _ in found})
    for variant, micro, carried in found:
        if micro is None and not carried:
            LLM_UNPRICED.labels(*_names[variant]).inc()
        elif micro is not None and micro > 0 and not carried:
            LLM_COST.labels(*_names[variant]).inc(int(micro) / MICROS)


_APART = timedelta(days=2)
"""A request's event and its cost come within so many days; only these partitions are read."""
_MARK = """
WITH told AS (
    SELECT request_id, (array_agg(variant_id ORDER BY event_id) FILTER (WHERE variant_id IS NOT NULL))[1] AS variant_id,
        count(cost_micro) > 0 AS carried
    FROM ai_events
    WHERE request_id = ANY(%(requests)s) AND event_date BETWEEN %(since)s AND %(until)s
        AND environment = 'production' AND origin = 'live'
    GROUP BY request_id
), marked AS (
    UPDATE ai_request_costs c SET counted = true FROM told
    WHERE c.request_id = told.request_id AND told.variant_id IS NOT NULL AND NOT c.counted
        AND c.event_date BETWEEN %(since)s AND %(until)s AND c.environment = 'production' AND c.origin = 'live'
    RETURNING c.event_date, c.event_id, told.variant_id, told.carried
)
SELECT marked.variant_id, priced.cost_micro, marked.carried FROM marked JOIN ai_priced_costs priced USING (event_date, event_id)
"""


def _learn(variants: set[int]) -> None:
    unknown = variants - _names.keys()
    if unknown:
        rows = Variant.objects.filter(pk__in=unknown).values_list("pk", "experiment__key", "key")
        _names.update({pk: (experiment, key) for pk, experiment, key in rows})


def _count(row: StorableRow, experiment: str, variant: str) -> None:
    latency, cost = row.columns.get("latency_ms"), row.columns.get("cost_micro")
    if isinstance(latency, int):
        REQUEST_LATENCY.labels(experiment, variant).observe(latency / 1000)
    if isinstance(cost, int) and cost > 0:
        LLM_COST.labels(experiment, variant).inc(cost / MICROS)
    if row.columns.get("event_type") in ERROR_EVENTS:
        HTTP_ERRORS.labels(experiment, variant).inc()
    sentiment = SENTIMENT.get(str(row.columns.get("label")))
    if sentiment is not None:
        USER_FEEDBACK.labels(sentiment, experiment, variant).inc()
