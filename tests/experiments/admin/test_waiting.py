"""What waits for a person is found by kept standings, and it is exactly what each decision card
asks of them.
"""

from __future__ import annotations

from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.services.analysis import standings
from analytics.services.analysis.standings import Unkept
from experiments.admin.waiting import _live as launched_for
from experiments.admin.waiting import waiting_for
from experiments.core.cards import CardFacts, State, Viewer
from experiments.core.cards.steps import next_step
from experiments.core.cards.urgency import Urgency
from experiments.core.clock import utc_now
from experiments.core.types import Scope, Status
from experiments.models import ApiKey, LaunchRequest, Standing
from experiments.selectors.actors import actor_for_user
from experiments.selectors.cast import CAST
from tests.experiments.admin.test_list import _live

DIGEST = "0" * 64


def _teams(owner, people):
    """One experiment of olivia alone, one in which everybody helps, and whether a person is in its
    team.
    """
    alone, shared = _live(owner, "Alone", "keep"), _live(owner, "Shared", "keep")
    shared.collaborators.set(people.values())
    return [(alone, lambda name: name == "olivia"), (shared, lambda name: True)]


def _asks(people, experiment, state: State, name: str, member: bool) -> bool:
    """What the card of such an experiment asks of this person; the newest launch request counts."""
    newest = experiment.launch_requests.first()
    askers = {newest.requested_by_id, newest.key and newest.key.made_by_id} if newest else set()
    facts = CardFacts(Status.RUNNING, asked=frozenset(askers - {None}))
    return next_step(facts, state, Viewer(actor_for_user(people[name]), member)).asked


def _requests(people, experiment) -> None:
    """Two requests; only the newest, with a key that paula made, counts."""
    paula = people["paula"]
    key = ApiKey.objects.create(
        name="k",
        selector=experiment.key,
        verifier=DIGEST,
        scope=Scope.MANAGEMENT,
        owner=people["dmitri"],
        made_by=paula,
        created_at=utc_now(),
    )
    for name, by in (("olivia", None), ("dmitri", key)):
        LaunchRequest.objects.create(
            experiment=experiment,
            requested_by=people[name],
            key=by,
            requested_at=utc_now(),
            judged_sha256=DIGEST,
        )


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "found just now"])
@pytest.mark.parametrize("requested", [False, True], ids=["", "launch requested"])
def test_waiting__each_state_person_and_team__is_what_the_card_asks(owner, people, kept, requested):
    rows = _teams(owner, people)
    standings.refresh(utc_now())
    for row, _ in rows if requested else ():
        _requests(people, row)
    seen = set()
    for state in State:
        Standing.objects.update(state=state if kept else State.UNPROVEN)
        unkept = {} if kept else {row.pk: Unkept(state, Urgency.PERSON) for row, _ in rows}
        for member, (row, in_team) in product(CAST, rows):
            name = member.username
            found = launched_for(actor_for_user(people[name]), unkept).filter(pk=row.pk).exists()
            assert found is _asks(people, row, state, name, in_team(name)), (state, name, row.name)
            seen.add(found)
    assert seen == {True, False}


def test_waiting__of_many_launched__reads_the_cards_of_those_that_are_shown(owner, monkeypatch):
    for number in range(8):
        _live(owner, f"Torn {number}", "escalate")
    now = utc_now()
    unkept, read = standings.refresh(now), []

    def counted(rows, *args, **more):
        read.append(len(rows))
        return cards(rows, *args, **more)

    from experiments.admin import waiting

    cards = waiting.cards
    monkeypatch.setattr(waiting, "cards", counted)
    with CaptureQueriesContext(connection) as asked:
        found = waiting_for(owner, now, unkept, 3)
    assert len(found.ids) == 8 and len(found.first) == 3
    assert sum(read) == 3
    assert len(asked) <= 20
