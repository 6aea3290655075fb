"""Is the application wired up: when was an answer asked for, an exposure told, each event of the metrics sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, QuerySet, Sum

from analytics.core.sent import IGNORED
from analytics.core.twins import TWINS
from analytics.models import AiEvent, IngestTally, MetricObservation
from analytics.selectors.tail import TailRow
from experiments.core.types import Environment
from experiments.models import Experiment

BACK = timedelta(days=2)
"""Events are looked for so far back: each day is a partition, and a wire that is cut should show."""


@dataclass(frozen=True)
class Seen:
    """One thing that an application should send: what, by its name, when it last came (None: not seen), how often lately."""

    what: str
    name: str
    last: datetime | None
    count: int | None = None


def wired(
    experiment: Experiment, sent: Sequence[tuple[str, str]], rows: Iterable[TailRow], now: datetime, environment: Environment
) -> tuple[Seen, ...]:
    """The newest assignment and exposure among the tail's ``rows``, and each of ``sent``: pairs of event or observation, and its name."""
    newest: dict[str, datetime] = {}
    for row in rows:
        if row.accepted:
            newest[row.kind] = max(row.at, newest.get(row.kind, row.at))
    found = {
        **_lately("event", AiEvent.objects.all(), "event_type", experiment, now, environment),
        **_lately("observation", MetricObservation.objects.all(), "metric_name", experiment, now, environment),
    }
    return (
        Seen("assignment", "", newest.get("assignment")),
        Seen("exposure", "", newest.get("exposure")),
        *(Seen(what, name, *found.get((what, name), (None, 0))) for what, name in sent),
    )


def ignored_lately(now: datetime) -> int:
    """Messages of other tools' clients in the last two days, on the whole platform, that were of no kind that is kept."""
    counted = IngestTally.objects.filter(day__gte=(now - BACK).date(), outcome=IGNORED)
    return counted.aggregate(n=Sum("count"))["n"] or 0


def twins_lately(now: datetime) -> int:
    """Units of the last two days, on the whole platform, whose letters are another unit's in other code points."""
    counted = IngestTally.objects.filter(day__gte=(now - BACK).date(), outcome=TWINS)
    return counted.aggregate(n=Sum("count"))["n"] or 0


def _lately(
    what: str,
    rows: QuerySet[AiEvent] | QuerySet[MetricObservation],
    name: str,
    experiment: Experiment,
    now: datetime,
    environment: Environment,
) -> dict[tuple[str, str], tuple[datetime, int]]:
    days = ((now - BACK).date(), now.date() + timedelta(days=1))
    mine = rows.filter(experiment_id=experiment.pk, environment=environment.value, event_date__range=days)
    counted = mine.order_by().values_list(name).annotate(last=Max("ts"), n=Count("event_id"))
    return {(what, one): (last, n) for one, last, n in counted}
