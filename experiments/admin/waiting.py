"""What waits for one person: every experiment whose next step is theirs, as its decision card says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import prefetch_related_objects

from analytics.selectors.cards import cards
from experiments.admin.experiment_view import page_url, step_url
from experiments.admin.urgent import LIVE
from experiments.core.cards import Card, NextStep, Viewer
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


def waiting_for(actor: Actor, now: datetime) -> list[Waiting]:
    """Everything that waits for this person, most urgent first."""
    rows = [*_asked(actor, _rows(*LIVE), now), *_rows(Status.DRAFT, Status.DARK_LAUNCH)[:LOOKED_AT]]
    prefetch_related_objects(rows, "collaborators")
    found = cards(rows, now)
    steps = [(row, found[row.pk], found[row.pk].step(Viewer(actor, in_team(actor, row)))) for row in rows]
    mine = [Waiting(row, card, step, step_url(row, step) or page_url(row.pk)) for row, card, step in steps if step.asked]
    return sorted(mine, key=lambda one: one.card.urgency)


def _asked(actor: Actor, rows: list[Experiment], now: datetime) -> list[Experiment]:
    """Of live experiments those that wait for this person, found without reading any result."""
    prefetch_related_objects(rows, "collaborators")
    found = cards(rows, now, whole=False)
    return [row for row in rows if found[row.pk].step(Viewer(actor, in_team(actor, row))).asked]


def _rows(*statuses: Status) -> list[Experiment]:
    found = Experiment.objects.select_related("owner", "policy", "flag", "layer").filter(status__in=statuses)
    return list(found.order_by("-updated_at"))
