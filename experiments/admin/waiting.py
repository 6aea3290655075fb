"""What waits for one person: every experiment whose next step is theirs, as its decision card
says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from django.db.models import OuterRef, Q, QuerySet, Subquery, Value, prefetch_related_objects
from django.db.models.functions import Coalesce

from analytics.selectors.cards import cards
from analytics.services.analysis.standings import Unkept
from experiments.admin.experiment_view import page_url, step_url
from experiments.admin.urgent import LIVE, by_urgency
from experiments.core.cards import SECOND_PERSON, Card, NextStep, State, Viewer, asked_in
from experiments.core.types import Actor, Status
from experiments.models import Experiment, LaunchRequest
from experiments.selectors.overview import in_team

LOOKED_AT = 200
"""Of the unlaunched experiments, the newest so many."""


@dataclass(frozen=True)
class WaitingExperiment:
    """An experiment that this person can move on, what is known of it, and what to do there."""

    experiment: Experiment
    card: Card
    step: NextStep
    url: str


@dataclass(frozen=True)
class Queue:
    """The experiments that wait for somebody (their ids), and the most urgent of them with all that
    is known.
    """

    ids: list[int] = field(default_factory=list)
    first: list[WaitingExperiment] = field(default_factory=list)


def waiting_for(
    actor: Actor, now: datetime, unkept: Mapping[int, Unkept], most: int | None = None
) -> Queue:
    """Everything that waits for this person, most urgent first; ``most`` of it with its card.

    Launched experiments are found by their kept standings, so a thousand of them cost no more cards
    than ``most``.
    """
    live = by_urgency(_live(actor, unkept), unkept).order_by("urgency", "-updated_at")
    unlaunched = _asked(
        actor, _rows(status__in=(Status.DRAFT, Status.DARK_LAUNCH))[:LOOKED_AT], now
    )
    ranked = [
        *live.values_list("pk", "urgency"),
        *((one.experiment.pk, int(one.card.urgency)) for one in unlaunched),
    ]
    ids = [pk for pk, _ in sorted(ranked, key=itemgetter(1))]
    return Queue(ids, _first(actor, ids[:most], unlaunched, now))


def _first(
    actor: Actor, ids: Sequence[int], unlaunched: Iterable[WaitingExperiment], now: datetime
) -> list[WaitingExperiment]:
    """These with their cards; the card of a launched one has the last word on whether it waits."""
    known = {one.experiment.pk: one for one in unlaunched}
    launched = _asked(actor, _rows(pk__in=[pk for pk in ids if pk not in known]), now)
    known.update((one.experiment.pk, one) for one in launched)
    return [known[pk] for pk in ids if pk in known]


def _asked(actor: Actor, rows: Iterable[Experiment], now: datetime) -> list[WaitingExperiment]:
    """Those of these whose next step is this person's."""
    rows = list(rows)
    prefetch_related_objects(rows, "collaborators")
    found = cards(rows, now)
    steps = [
        (row, found[row.pk], found[row.pk].step(Viewer(actor, in_team(actor, row)))) for row in rows
    ]
    return [
        WaitingExperiment(row, card, step, step_url(row, step) or page_url(row.pk))
        for row, card, step in steps
        if step.asked
    ]


def _live(actor: Actor, unkept: Mapping[int, Unkept]) -> QuerySet[Experiment]:
    """Launched experiments in a state that asks this person for something; a key or the machine has
    no queue.
    """
    if actor.user_id is None:
        return Experiment.objects.none()
    anybodys = _in(asked_in(Viewer(actor, member=False)), unkept)
    the_teams = _in(asked_in(Viewer(actor, member=True)), unkept) & _of_team(actor.user_id)
    rows = Experiment.objects.filter(anybodys | the_teams, status__in=LIVE)
    return rows.alias(request=_newest_request()).exclude(
        _in(SECOND_PERSON, unkept) & Q(request__in=_asked_by(actor.user_id))
    )


def _in(states: Collection[State], unkept: Mapping[int, Unkept]) -> Q:
    """In one of these states: as it is kept, or as it was found now where it is not kept yet."""
    now_in = [pk for pk, one in unkept.items() if one.state in states]
    return (Q(standing__state__in=states) & ~Q(pk__in=list(unkept))) | Q(pk__in=now_in)


def _of_team(user: int) -> Q:
    helped = Experiment.collaborators.through.objects.filter(user_id=user).values("experiment_id")
    return Q(owner_id=user) | Q(pk__in=helped)


def _newest_request() -> Coalesce:
    """The launch request that counts; 0 where there is none."""
    newest = LaunchRequest.objects.filter(experiment=OuterRef("pk")).order_by(
        "-requested_at", "-id"
    )
    return Coalesce(Subquery(newest.values("pk")[:1]), Value(0))


def _asked_by(user: int) -> QuerySet[LaunchRequest, int]:
    """The launch requests of this person, and of keys that they made."""
    mine = Q(requested_by_id=user) | Q(key__made_by_id=user)
    return LaunchRequest.objects.filter(mine).order_by().values_list("pk", flat=True)


def _rows(**which: object) -> QuerySet[Experiment]:
    found = Experiment.objects.select_related("owner", "policy", "flag", "layer").filter(**which)
    return found.order_by("-updated_at")
