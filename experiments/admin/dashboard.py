"""The overview: what waits for me, what runs, what was decided lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest

from analytics.selectors.cards import cards
from analytics.services.analysis import standings
from analytics.services.analysis.standings import Unkept
from experiments.admin.base import actor_of, may
from experiments.admin.urgent import LIVE, badge, by_urgency
from experiments.admin.waiting import waiting_for
from experiments.core.clock import utc_now
from experiments.core.permissions import Action
from experiments.core.types import Status
from experiments.models import Experiment

SHOWN = 12
WAITING_SHOWN = 12
ENDED_SHOWN = 6


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by the theme for the index page."""
    now = utc_now()
    rows = Experiment.objects.select_related("owner", "policy", "flag", "layer")
    unkept = standings.refresh(now)
    running = _running(rows, unkept)
    ended = list(
        rows.filter(status=Status.COMPLETED).order_by("-end_ts", "-updated_at")[:ENDED_SHOWN]
    )
    found = cards([*running, *ended], now)
    waiting = waiting_for(actor_of(request), now, unkept, WAITING_SHOWN)
    return {
        **context,
        "title": "Overview",
        "counts": dict(Experiment.objects.order_by().values_list("status").annotate(n=Count("pk"))),
        "waiting": waiting.first,
        "waiting_count": len(waiting.ids),
        "running": [(row, found[row.pk], badge(found[row.pk])) for row in running],
        "ended": [(row, found[row.pk]) for row in ended],
        "may_create": may(request, Action.EDIT_DRAFT, member=True),
    }


def _running(rows: QuerySet[Experiment], unkept: Mapping[int, Unkept]) -> list[Experiment]:
    """The most urgent live experiments. Their ids are ordered first, because whole rows are wide to
    sort.
    """
    order = ("urgency", "planned_end", "-updated_at")
    live = by_urgency(Experiment.objects.filter(status__in=LIVE), unkept).order_by(*order)
    return list(by_urgency(rows.filter(pk__in=live.values("pk")[:SHOWN]), unkept).order_by(*order))
