"""The overview: what waits for me, what runs, what was decided lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.http import HttpRequest

from experiments.admin import results_section
from experiments.admin.base import actor_of, may
from experiments.admin.experiment_view import page_url
from experiments.core.checklist import ItemState
from experiments.core.headline import Standing, headline, ready_for_dark_launch
from experiments.core.permissions import SIGNING, Action
from experiments.core.permissions import may as allowed
from experiments.core.types import Actor, Item, Status
from experiments.models import Experiment
from experiments.selectors.overview import checklists, in_team

WAITING_LOOKED_AT = 12
SHOWN = 12


@dataclass(frozen=True)
class Waiting:
    """An experiment that this person can move on, and what to do there."""

    experiment: Experiment
    what: str
    url: str


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by the theme for the index page."""
    rows = Experiment.objects.select_related("owner", "policy", "flag", "layer")
    running = list(rows.filter(status__in=(Status.RUNNING, Status.PAUSED)).order_by("-updated_at")[:SHOWN])
    ended = list(rows.filter(status=Status.COMPLETED).annotate(winner=results_section.winner_name()).order_by("-end_ts", "-updated_at")[:6])
    findings = results_section.findings([row.pk for row in running])
    return {
        **context,
        "title": "Overview",
        "counts": dict(Experiment.objects.order_by().values_list("status").annotate(n=Count("pk"))),
        "waiting": _waiting(actor_of(request)),
        "running": [(row, headline(Standing(row.status, row.outcome, row.pause_cause, finding=findings.get(row.pk)))) for row in running],
        "ended": [(row, headline(Standing(row.status, row.outcome, winner=row.winner))) for row in ended],
        "may_create": may(request, Action.EDIT_DRAFT, member=True),
    }


def _waiting(actor: Actor) -> list[Waiting]:
    """Of the newest unlaunched experiments, those whose next item is this person's."""
    rows = Experiment.objects.select_related("owner", "policy", "flag", "layer")
    open_rows = list(rows.filter(status__in=(Status.DRAFT, Status.DARK_LAUNCH)).order_by("-updated_at")[:WAITING_LOOKED_AT])
    found = checklists(open_rows)
    return [waiting for row in open_rows if (waiting := _waits_for(actor, row, found[row.pk])) is not None]


def _waits_for(actor: Actor, experiment: Experiment, items: Sequence[ItemState]) -> Waiting | None:
    member = in_team(actor, experiment)
    missing = [s for s in items if s.required and s.state != "done"]
    mine = next((s for s in missing if _is_mine(actor, s, experiment, member)), None)
    if mine is not None:
        return Waiting(experiment, f"{mine.title}: {mine.message}", page_url(experiment.pk, "checklist") + f"#item-{mine.item}")
    titles = [s.title for s in missing]
    if experiment.status == Status.DRAFT and ready_for_dark_launch(titles) and allowed(actor, Action.DARK_LAUNCH, member=member):
        return Waiting(experiment, headline(Standing(experiment.status, missing=titles)), page_url(experiment.pk, "checklist"))
    if not missing and member and allowed(actor, Action.START, member=True):
        return Waiting(experiment, "Ready: everything on the checklist is done.", page_url(experiment.pk, "checklist"))
    return None


def _is_mine(actor: Actor, state: ItemState, experiment: Experiment, member: bool) -> bool:
    if state.item in (Item.DARK_LAUNCH, Item.APPROVAL) and experiment.status != Status.DARK_LAUNCH:
        return False
    if state.item == Item.APPROVAL:
        asked = next(iter(experiment.launch_requests.all()), None)
        if asked is None:
            return member and allowed(actor, Action.REQUEST_LAUNCH, member=True)
        return asked.requested_by_id != actor.user_id and allowed(actor, Action.APPROVE_LAUNCH, member=member)
    if state.item in SIGNING:
        return allowed(actor, SIGNING[state.item], member=member)
    return member and allowed(actor, Action.EDIT_DRAFT, member=True)
