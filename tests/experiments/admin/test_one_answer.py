"""Every page, message, report and answer says the same of an experiment, in every state of
lifecycle and decision.

The states are generated: status × pause cause × outcome × what the newest run says × what the look
decided × breach, hidden, failed, flag off, promotion on hold. Nothing is picked by hand.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from analytics.api import source_answers
from analytics.models import AnalysisRun, Decision
from analytics.selectors.cards import card_of, cards
from analytics.selectors.reporting.report_facts import facts_of
from analytics.selectors.significance import significance
from analytics.services.analysis.notices import overtaken
from experiments.admin import dashboard
from experiments.admin.experiment_list import ExperimentAdmin
from experiments.core.cards import State, Viewer
from experiments.core.clock import utc_now
from experiments.core.types import Outcome, Status
from experiments.models import Experiment, OutboxMessage
from experiments.services.drafts import drafts
from experiments.services.ground import publishing
from tests.analytics.admin.states import Case, cases, put
from tests.experiments.admin.conftest import ai_spec

LIST, OVERVIEW = "/admin/experiments/experiment/", "/admin/"


@pytest.fixture
def made(owner):
    """One experiment, to be put into any state; its rows are rewritten, its history is not."""
    row = drafts.create_experiment(owner, utc_now(), spec=ai_spec("First message"))
    return Experiment.objects.select_related("flag", "owner", "policy", "layer").get(pk=row.pk)


def _text(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def _plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def world(owner, monkeypatch):
    """An experiment in every state, side by side."""
    monkeypatch.setattr(dashboard, "SHOWN", 1000)
    monkeypatch.setattr(dashboard, "ENDED_SHOWN", 1000)
    monkeypatch.setattr(dashboard, "WAITING_SHOWN", 1000)
    monkeypatch.setattr(ExperimentAdmin, "list_per_page", 1000)
    monkeypatch.setattr(publishing, "publish", lambda now, reason: None)
    return {
        case: put(
            case, drafts.create_experiment(owner, utc_now(), spec=ai_spec(f"Experiment {case}"))
        )
        for case in cases()
    }


def test_every_surface__in_every_state__says_the_same(world, browser, owner):
    olivia = browser("olivia")
    listed = "".join(
        _text(olivia.get(f"{LIST}?status={status}").content.decode()) for status in Status
    )
    overview = _text(olivia.get(OVERVIEW).content.decode())
    wrong = [
        f"{case}: {where}"
        for case, row in world.items()
        for where in _differ(case, row, owner, olivia, listed, overview)
    ]
    assert not wrong, wrong


def _differ(
    case: Case, row: Experiment, owner, client, listed: str, overview: str
) -> Iterator[str]:
    """The surfaces that say something else than the card."""
    card = card_of(row)
    said, step = _plain(card.sentence), card.step(Viewer(owner, member=True))
    head = _text(client.get(f"{LIST}{row.pk}/change/?tab=results").content.decode())
    if head.count(said) < (2 if case.run != "none" else 1) or step.label not in head:
        yield "page"
    if (
        f"{row.name} " not in listed
        or said not in _row(listed, row.name)
        or step.label not in _row(listed, row.name)
    ):
        yield "list"
    shown = step.asked or case.status in (Status.RUNNING, Status.PAUSED, Status.COMPLETED)
    if shown and said not in overview:
        yield "overview"
    yield from _without_a_page(row, case, said, card.state)


def _row(listed: str, name: str) -> str:
    """The row of one experiment in the list's text."""
    return listed.partition(f"{name} ")[2][:1500]


def _without_a_page(row: Experiment, case: Case, said: str, state: State) -> Iterator[str]:
    """Report, message, ordering."""
    if cards([row], whole=False)[row.pk].state not in (state, *_UNLAUNCHED):
        yield "order"
    run = AnalysisRun.objects.filter(experiment=row, latest=True).first()
    if run is not None and _plain(facts_of(run).standing) != said:
        yield "report"
    decision = Decision.objects.filter(iteration__experiment=row).first()
    if decision is not None:
        overtaken(row, decision, utc_now(), "")
        if said not in _plain(OutboxMessage.objects.latest("pk").text):
            yield "message"


_UNLAUNCHED = (
    State.DRAFT,
    State.READY_FOR_DARK_LAUNCH,
    State.READY_TO_START,
    State.DARK_LAUNCH,
    State.READY_TO_GO_LIVE,
)


def test_states__all_of_the_live_and_ended_ones__are_reached(world):
    reached = {card.state for card in cards(list(world.values())).values()}
    assert (
        not set(State)
        - reached
        - {*_UNLAUNCHED, State.STARTED, State.IMPORTED, State.OVERDUE, State.STOPPED_BY_A_PERSON}
    )


@pytest.mark.parametrize(
    "case",
    [
        Case(Status.RUNNING, run="escalate", breach=True),
        Case(Status.COMPLETED, outcome=Outcome.PROMOTED, run="keep"),
    ],
)
def test_api_summary__says_what_the_page_says(case, made, browser):
    row = put(case, made)
    run = AnalysisRun.objects.get(experiment=row)
    answer = source_answers.summary(row, (), significance(run), card_of(row), masked=False)
    assert answer["sentence"] in _text(
        browser("victor").get(f"{LIST}{row.pk}/change/").content.decode()
    )
    assert "95 % interval" in answer["effect"]
