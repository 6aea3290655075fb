"""What waits for one person: every experiment whose next step is theirs, as its decision card says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, prefetch_related_objects

from analytics.selectors.cards import cards
from analytics.services.standings import Unkept
from experiments.admin.experiment_view import page_url, step_url
from experiments.admin.urgent import LIVE
from experiments.core.cards import ASKING, Card, NextStep, Viewer
from experiments.core.types import Actor, Status
from experiments.models import Experiment
from experiments.selectors.overview import in_team

LOOKED_AT = 200
"""Of the unlaunched experiments, the newest so many."""


@dataclass(frozen=True)
class Waiting:
    """An experiment that this person can move on, what is known of it, and what to do there."""

    experiment: Experiment
    card: Card
    step: NextStep
    url: str


@dataclass(frozen=True)
class Queue:
    """The experiments that wait for somebody (their ids), and the most urgent of them with all that is known."""

    ids: list[int] = field(default_factory=list)
    first: list[Waiting] = field(default_factory=list)


def waiting_for(actor: Actor, now: datetime, unkept: Mapping[int, Unkept], most: int | None = None) -> Queue:
    """Everything that waits for this person, most urgent first; ``most`` of it with its card."""
    live = _asked(actor, _may_ask(unkept), now, whole=False)
    unlaunched = _asked(actor, _rows(status__in=(Status.DRAFT, Status.DARK_LAUNCH))[:LOOKED_AT], now)
    ordered = sorted([*live, *unlaunched], key=lambda one: one.card.urgency)
    return Queue([one.experiment.pk for one in ordered], _whole(actor, ordered[:most], now))


def _whole(actor: Actor, found: list[Waiting], now: datetime) -> list[Waiting]:
    """With whole cards, of those that were only ordered by theirs."""
    rows = [one.experiment for one in found if one.experiment.status in LIVE]
    again = {one.experiment.pk: one for one in _asked(actor, rows, now)}
    return [again.get(one.experiment.pk, one) for one in found]


def _asked(actor: Actor, rows: Any, now: datetime, *, whole: bool = True) -> list[Waiting]:
    """Those of these whose next step is this person's. Any: rows, or a query of them."""
    rows = list(rows)
    prefetch_related_objects(rows, "collaborators")
    found = cards(rows, now, whole=whole)
    steps = [(row, found[row.pk], found[row.pk].step(Viewer(actor, in_team(actor, row)))) for row in rows]
    return [Waiting(row, card, step, step_url(row, step) or page_url(row.pk)) for row, card, step in steps if step.asked]


def _may_ask(unkept: Mapping[int, Unkept]) -> QuerySet[Experiment]:
    """Live experiments in a state that asks somebody for something."""
    asking = Q(standing__state__in=ASKING) & ~Q(pk__in=list(unkept))
    return _rows(asking | Q(pk__in=[pk for pk, one in unkept.items() if one.state in ASKING]), status__in=LIVE)


def _rows(*which: Q, **more: Any) -> QuerySet[Experiment]:
    found = Experiment.objects.select_related("owner", "policy", "flag", "layer").filter(*which, **more)
    return found.order_by("-updated_at")
