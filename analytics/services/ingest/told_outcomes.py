"""The names under which applications tell outcomes of experiments: each becomes a metric once, and
an experiment has at most fifty.

Labels of Prometheus come from these rows, never from what was sent: a name without a slot is
counted as ``other``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from django.db import connection
from django.db.models import Q

from analytics.models import ToldOutcome
from analytics.models.counts import OTHER, OUTCOMES_AT_MOST
from analytics.services.ingest.batch import IngestIdentity, StorableRow
from experiments.core.types import Environment, Scope
from experiments.models import Metric
from experiments.services.library import metrics

Source = Literal["event", "observation"]

_known: set[tuple[int, str, str]] = set()
"""Experiment, source and name that have their row; rows are never taken away."""
_MOST_KNOWN = 100_000


def learn(
    rows: Sequence[StorableRow], source: Source, now: datetime, identity: IngestIdentity
) -> None:
    """Give every new name its slot and its metric. What a browser says (a client key) makes none,
    nor do tests.
    """
    if identity.environment is not Environment.PRODUCTION or identity.scope is Scope.CLIENT:
        return
    column = "event_type" if source == "event" else "metric_name"
    told = {
        (experiment, str(row.columns[column]))
        for row in rows
        if isinstance(experiment := row.columns.get("experiment_id"), int)
    }
    for experiment, name in sorted(told):
        if (experiment, source, name) not in _known:
            _learn(experiment, source, name, now)


def _learn(experiment: int, source: Source, name: str, now: datetime) -> None:
    named = metrics.METRIC_KEY.match(name) is not None and name != OTHER
    if named and _take_slot(experiment, source, name, now):
        _declare(source, name, now)
    else:
        _overflow(experiment, source, now)
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    _known.add((experiment, source, name))


def _take_slot(experiment: int, source: Source, name: str, now: datetime) -> bool:
    """Whether the name has a slot afterwards; two that want the same one are told apart by the
    unique key, and the loser tries the next.
    """
    for _ in range(5):
        slots = dict(
            ToldOutcome.objects.filter(
                experiment_id=experiment, slot__lt=OUTCOMES_AT_MOST
            ).values_list("slot", "name")
        )
        if ToldOutcome.objects.filter(experiment_id=experiment, name=name, source=source).exists():
            return True
        if len(slots) >= OUTCOMES_AT_MOST:
            return False
        _insert(
            experiment,
            next(slot for slot in range(OUTCOMES_AT_MOST) if slot not in slots),
            name,
            source,
            now,
        )
    return False


def _overflow(experiment: int, source: Source, now: datetime) -> None:
    _insert(experiment, OUTCOMES_AT_MOST, OTHER, source, now)


def _insert(experiment: int, slot: int, name: str, source: Source, now: datetime) -> None:
    statement = """
        INSERT INTO told_outcomes (experiment_id, slot, name, source, first_at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [experiment, slot, name, source, now])


def _declare(source: Source, name: str, now: datetime) -> None:
    """A metric for a name that no metric counts yet."""
    if source == "observation":
        metrics.register_exploratory(now, key=name)
        return
    counted = (
        Q(key=name) | Q(event_types__contains=[name]) | Q(denominator_event_types__contains=[name])
    )
    if not Metric.objects.filter(counted, current=True).exists():
        metrics.register_exploratory(now, key=name, source="event")


def unstamped(rows: Iterable[StorableRow]) -> set[str]:
    """The metrics that observations name without an experiment."""
    return {
        str(row.columns["metric_name"]) for row in rows if row.columns.get("experiment_id") is None
    }
