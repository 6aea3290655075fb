"""Sentences about standing and consequences: every verb and every status has one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.consequences import Serving, sentence
from experiments.core.headline import Standing, headline, unchecked
from experiments.core.lifecycle import Verb
from experiments.core.types import Outcome, Status

FACTS = Serving("greeting", "user", 200, "Control", ["Warm", "Short"], "shadow", holdback=50)


@pytest.mark.parametrize("verb", [*Verb, "return_to_control"])
def test_sentence__every_verb__says_something_whole(verb):
    assert sentence(verb, FACTS).endswith(".")


def test_start__part_of_the_traffic__says_what_the_rest_sees():
    said = sentence("start", FACTS)
    assert "20 % of users" in said
    assert "The other 80 % see what they see today" in said
    assert "“Warm” and “Short”" in said


def test_start__with_a_ramp__says_where_it_leads_and_that_nobody_changes():
    ramped = replace(FACTS, traffic=10, ramp_to=200)
    assert "1 % of users enter the experiment" in sentence("start", ramped)
    assert "The share rises by steps to 20 %, and nobody who is in changes variant." in sentence("start", ramped)
    assert sentence("resume", replace(ramped, anew=True)).endswith("rises by steps to 20 %, and nobody who is in changes variant.")


def test_dark_launch__shadow__says_that_nobody_sees_the_treatment():
    assert "everybody still sees “Control”" in sentence("start_dark_launch", FACTS)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("outcome", Outcome)
def test_headline__every_status_and_outcome__is_a_sentence(status, outcome):
    assert headline(Standing(status, outcome)).endswith(".")


def test_headline__draft__names_three_missing_items_and_counts_the_rest():
    assert headline(Standing(Status.DRAFT, missing=["PRD", "Flag", "Metrics", "Approval"])) == "Waiting for: PRD, Flag, Metrics and 1 more."


def test_headline__draft_that_lacks_only_what_comes_later__is_ready_for_its_dark_launch() -> None:
    said = headline(Standing(Status.DRAFT, missing=["Dark launch", "Launch approval"]))
    assert said == "Ready for its dark launch; the launch approval follows."
    assert headline(Standing(Status.DRAFT, missing=["PRD", "Dark launch", "Launch approval"])) == "Waiting for: PRD."
    assert headline(Standing(Status.DRAFT, missing=["Launch approval"])) == "Waiting for: Launch approval."


def test_unchecked__ai_on_a_policy_without_checks__is_said():
    assert unchecked("prompt", 0)
    assert not unchecked("prompt", 7)
    assert not unchecked("feature", 0)


def test_headline__promoted__names_the_winner():
    assert headline(Standing(Status.COMPLETED, Outcome.PROMOTED, winner="Warm")) == "Promoted: “Warm”."
