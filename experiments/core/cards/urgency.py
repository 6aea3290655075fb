"""The ranks by which every list is ordered; ``cards.states`` says which state has which."""

from __future__ import annotations

from enum import IntEnum


class Urgency(IntEnum):
    """Most urgent first; the list sorts by the number and filters by the word."""

    HARM = 1
    PROMOTE = 2
    PERSON = 3
    UNHEALTHY = 4
    SIGN_OFF = 5
    ENDS_SOON = 6
    RUNNING = 7
    DRAFT = 8
    ENDED = 9
    ARCHIVED = 10


WORDS = {
    Urgency.HARM: "harm or stopped",
    Urgency.PROMOTE: "ready to promote",
    Urgency.PERSON: "needs a decision",
    Urgency.UNHEALTHY: "data or flag problem",
    Urgency.SIGN_OFF: "waits for a sign-off",
    Urgency.ENDS_SOON: "ends soon",
    Urgency.RUNNING: "running",
    Urgency.DRAFT: "draft",
    Urgency.ENDED: "ended",
    Urgency.ARCHIVED: "archived",
}
