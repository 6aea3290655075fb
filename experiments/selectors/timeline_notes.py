"""The notes that stand on a timeline."""

from __future__ import annotations

from datetime import date

from django.db.models import Q

from experiments.models import Experiment, TimelineNote

MOST = 100


def for_experiment(
    experiment: Experiment, first: date | None = None, last: date | None = None
) -> list[TimelineNote]:
    """Its own notes and those of all experiments, oldest first, within these days where they are
    given; withdrawn ones are left out.
    """
    rows = TimelineNote.objects.filter(
        Q(experiment=experiment) | Q(experiment=None), withdrawn_at=None
    ).select_related("author")
    if first is not None:
        rows = rows.filter(last_day__gte=first)
    if last is not None:
        rows = rows.filter(first_day__lte=last)
    return sorted(
        rows.order_by("-first_day", "-id")[:MOST], key=lambda note: (note.first_day, note.pk)
    )
