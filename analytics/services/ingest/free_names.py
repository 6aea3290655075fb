"""Metrics of names that observations carry without an experiment: so many new ones a day, and so
many in all.

Names that an experiment's items carry have slots of their own (``told_outcomes``). What is above
the bounds is stored like any other observation; it only gets no metric until somebody defines one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from analytics.models import ToldOutcome
from experiments.models import Metric
from experiments.services.library import metrics

NEW_A_DAY, IN_ALL = 50, 500
"""New names of one UTC day, and names altogether, on the whole platform."""


def register(names: Iterable[str], now: datetime) -> frozenset[str]:
    """Make an exploratory metric of each new name while there is room; the names that have none
    afterwards.
    """
    unknown = _without_metric(set(names))
    if unknown and _room(now) > 0:
        with transaction.atomic():
            _alone()
            unknown = _without_metric(unknown)
            taken = sorted(unknown)[: _room(now)]
            for name in taken:
                metrics.register_exploratory(now, key=name)
        unknown -= set(taken)
    return frozenset(unknown)


def _without_metric(names: set[str]) -> set[str]:
    if not names:
        return names
    return names - set(
        Metric.objects.filter(key__in=names, current=True).values_list("key", flat=True)
    )


def _room(now: datetime) -> int:
    """How many more names may become metrics now."""
    registered = _registered()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = registered.filter(created_at__gte=midnight).count()
    return max(0, min(NEW_A_DAY - today, IN_ALL - registered.count()))


def _registered() -> QuerySet[Metric]:
    """Metrics that exist because an observation without an experiment named them."""
    told = ToldOutcome.objects.filter(source="observation").values("name")
    return Metric.objects.filter(exploratory=True, current=True, source="observation").exclude(
        key__in=told
    )


def _alone() -> None:
    """One process at a time, until the transaction ends: two together could pass the bounds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('free_names'))")
