"""The decision card: one answer to "where is it, and what now?" for every page, message, report and
API answer.

``card`` is the one function that gives it. Whoever shows an experiment shows these words and no
others.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments.core.cards.facts import Breach, CardFacts, Effect, Reading, RolledOut, Stop, Unmet
from experiments.core.cards.sentences import effect_of, sentence_of
from experiments.core.cards.states import State, changes_in, state_of, urgency_of
from experiments.core.cards.steps import SECOND_PERSON, NextStep, Viewer, asked_in, next_step
from experiments.core.cards.urgency import Urgency

__all__ = [
    "SECOND_PERSON", "Breach", "Card", "CardFacts", "Effect", "NextStep", "Reading", "RolledOut", "State", "Stop", "Unmet",
    "Viewer", "asked_in", "card", "changes_in",
]  # fmt: skip


@dataclass(frozen=True)
class Card:
    """Where an experiment is: its state, what to say of it, the effect alone, how urgent, and the
    facts behind it.
    """

    state: State
    sentence: str
    effect: str
    urgency: Urgency
    facts: CardFacts

    def step(self, viewer: Viewer) -> NextStep:
        """What whoever looks does next."""
        return next_step(self.facts, self.state, viewer)


def card(facts: CardFacts) -> Card:
    """The one answer that the facts amount to."""
    state = state_of(facts)
    return Card(state, sentence_of(facts, state), effect_of(facts), urgency_of(facts, state), facts)
