"""Which experiments were served when."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from experiments.drawing.timelines import Ran
from experiments.models import Experiment, Iteration, TimelineNote

MOST = 200


def served_between(since: datetime, until: datetime) -> list[tuple[Experiment, list[Ran]]]:
    """Experiments with an iteration in this span, the one that began last first; at most 200, in
    two queries.
    """
    rows = (
        Iteration.objects.filter(
            Q(ended_at__isnull=True) | Q(ended_at__gt=since), began_at__lt=until
        )
        .select_related("experiment__owner", "experiment__flag", "experiment__layer")
        .prefetch_related("pauses")
        .order_by("-began_at", "-pk")
    )
    found: dict[int, tuple[Experiment, list[Ran]]] = {}
    for row in rows:
        if row.experiment_id in found or len(found) < MOST:
            found.setdefault(row.experiment_id, (row.experiment, []))[1].append(_ran(row))
    return list(found.values())


def notes_of_all(since: datetime, until: datetime) -> list[TimelineNote]:
    """Notes that stand on every timeline, in this span."""
    rows = TimelineNote.objects.filter(
        experiment=None, withdrawn_at=None, last_day__gte=since.date(), first_day__lte=until.date()
    )
    return list(rows.select_related("author")[:MOST])


def _ran(row: Iteration) -> Ran:
    pauses = tuple((pause.started_at, pause.ended_at) for pause in row.pauses.all())
    return Ran(row.began_at, row.started_at, row.ended_at, row.experiment.planned_end, pauses)
