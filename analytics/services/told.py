"""Counting accepted items for Prometheus: once each, after they are committed, under the names of their variant.

Items without an experiment belong to every experiment their unit is in; that takes a join, so they are
left to the analyses. Numbers here are for dashboards, never for a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db import transaction

from analytics.metrics import HTTP_ERRORS, LLM_COST, REQUEST_LATENCY, USER_FEEDBACK
from analytics.services.ingest_batch import Row
from experiments.core.metric_library import ERROR_EVENTS
from experiments.core.types import Environment, Origin
from experiments.models import Variant

SENTIMENT = {"useful": "positive", "not_useful": "negative"}
MICROS = 1_000_000

_names: dict[int, tuple[str, str]] = {}
"""Variant → the keys of its experiment and of itself; neither changes once events name it."""


def and_tell(write: Callable[[Sequence[Row]], None]) -> Callable[[Sequence[Row]], None]:
    """A writer whose rows are counted once they are committed."""

    def write_and_tell(rows: Sequence[Row]) -> None:
        write(rows)
        transaction.on_commit(lambda: tell(rows))

    return write_and_tell


def tell(rows: Sequence[Row]) -> None:
    """Count these rows; tests and imports are not what happens now."""
    live = [row for row in rows if (row.columns.get("environment"), row.columns.get("origin")) == (Environment.PRODUCTION, Origin.LIVE)]
    stamped = [(row, variant) for row in live if isinstance(variant := row.columns.get("variant_id"), int)]
    _learn({variant for _, variant in stamped})
    for row, variant in stamped:
        _count(row, *_names[variant])


def _learn(variants: set[int]) -> None:
    unknown = variants - _names.keys()
    if unknown:
        rows = Variant.objects.filter(pk__in=unknown).values_list("pk", "experiment__key", "key")
        _names.update({pk: (experiment, key) for pk, experiment, key in rows})


def _count(row: Row, experiment: str, variant: str) -> None:
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
