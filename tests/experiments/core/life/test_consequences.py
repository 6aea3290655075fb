"""Sentences about consequences: every verb has one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.life.consequences import ServedExperiment, sentence
from experiments.core.life.lifecycle import Verb
from experiments.core.life.unchecked import unchecked

FACTS = ServedExperiment(
    "greeting", "user", 200, "Control", ["Warm", "Short"], "shadow", holdback=50
)


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
    assert "The share rises by steps to 20 %, and nobody who is in changes variant." in sentence(
        "start", ramped
    )
    assert sentence("resume", replace(ramped, anew=True)).endswith(
        "rises by steps to 20 %, and nobody who is in changes variant."
    )


def test_dark_launch__shadow__says_that_nobody_sees_the_treatment():
    assert "everybody still sees “Control”" in sentence("start_dark_launch", FACTS)


def test_unchecked__ai_on_a_policy_without_checks__is_said():
    assert unchecked("prompt", 0)
    assert not unchecked("prompt", 7)
    assert not unchecked("feature", 0)
