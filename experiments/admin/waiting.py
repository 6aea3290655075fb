"""What waits for one person: the open items that are theirs, and the decisions that ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from experiments.admin import results_section
from experiments.admin.experiment_view import page_url
from experiments.admin.urgent import ranks
from experiments.core.checklist import ItemState
from experiments.core.headline import Standing, headline, ready_for_dark_launch
from experiments.core.permissions import SIGNING, Action
from experiments.core.permissions import may as allowed
from experiments.core.types import Actor, Item, Status
from experiments.core.urgency import Urgency
from experiments.models import Experiment
from experiments.selectors.overview import checklists, in_team

LOOKED_AT = 200
"""Of the unlaunched experiments, the newest so many; of the live ones that ask for a person, so many."""


@dataclass(frozen=True)
class Waiting:
    """An experiment that this person can move on, and what to do there."""

    experiment: Experiment
    what: str
    url: str


def waiting_for(actor: Actor, now: datetime) -> list[Waiting]:
    """Everything that this person can move on: what harms first, then decisions, then checklists."""
    return [*_decisions(actor, now), *_items(actor)]


def _rows(*statuses: Status) -> QuerySet[Experiment]:
    return Experiment.objects.select_related("owner", "policy", "flag", "layer").filter(status__in=statuses).order_by("-updated_at")


def _items(actor: Actor) -> list[Waiting]:
    """Of unlaunched experiments, those whose next item is this person's."""
    rows = list(_rows(Status.DRAFT, Status.DARK_LAUNCH)[:LOOKED_AT])
    found = checklists(rows)
    return [waiting for row in rows if (waiting := _waits_for(actor, row, found[row.pk])) is not None]


_ASKS = {Urgency.HARM: Action.CONCLUDE, Urgency.PERSON: Action.PROMOTE}
_DECIDE = {
    Status.RUNNING: "{finding} Decide: promote, conclude or let it run.",
    Status.PAUSED: "It is stopped for harm: conclude it, or resume it with a second person.",
}


def _decisions(actor: Actor, now: datetime) -> list[Waiting]:
    """Of live experiments, those that cannot go on without a person, when this person may decide."""
    ranked = ranks(Experiment.objects.filter(status__in=(Status.RUNNING, Status.PAUSED)), now)
    asking = sorted((pk for pk, rank in ranked.items() if rank in _ASKS), key=lambda pk: ranked[pk])[:LOOKED_AT]
    rows = _rows(Status.RUNNING, Status.PAUSED).filter(pk__in=asking).prefetch_related("collaborators")
    mine = [row for row in rows if allowed(actor, _ASKS[ranked[row.pk]], member=in_team(actor, row))]
    findings = results_section.findings([row.pk for row in mine])
    return [
        Waiting(row, _DECIDE[Status(row.status)].format(finding=findings.get(row.pk, "")).strip(), page_url(row.pk, "results"))
        for row in sorted(mine, key=lambda one: ranked[one.pk])
    ]


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
