"""Which experiments people should look at first: the order of every list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from experiments.core.types import PauseCause, Status


class Urgency(IntEnum):
    """Most urgent first; the list sorts by the number and shows the word."""

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
    Urgency.HARM: "harm",
    Urgency.PROMOTE: "ready to promote",
    Urgency.PERSON: "a person decides",
    Urgency.UNHEALTHY: "unhealthy data",
    Urgency.SIGN_OFF: "waits for a sign-off",
    Urgency.ENDS_SOON: "ends soon",
    Urgency.RUNNING: "running",
    Urgency.DRAFT: "draft",
    Urgency.ENDED: "ended",
    Urgency.ARCHIVED: "archived",
}
SOON_DAYS = 3.0
SILENT_HOURS = 24.0
"""An experiment that has run for so long without an analysed unit has no data."""


@dataclass(frozen=True)
class Signals:
    """What speaks for looking at an experiment now.

    ``advice`` is the kind of the newest decision (keep, hold, stop, promote, escalate, conclude), empty before the first
    run. ``units`` of the newest run, None before it. ``hours`` since it started running, ``days_left`` to its planned end.
    """

    status: Status
    pause_cause: PauseCause = PauseCause.NONE
    advice: str = ""
    breach: bool = False
    masked: bool = False
    failed: bool = False
    units: int | None = None
    hours: float | None = None
    days_left: float | None = None
    requested: bool = False


_UNLIVE = {Status.COMPLETED: Urgency.ENDED, Status.ARCHIVED: Urgency.ARCHIVED, Status.DARK_LAUNCH: Urgency.SIGN_OFF}


def urgency(signals: Signals) -> Urgency:
    """The first of the reasons that applies."""
    if signals.status in _UNLIVE:
        return _UNLIVE[signals.status]
    if signals.status == Status.DRAFT:
        return Urgency.SIGN_OFF if signals.requested else Urgency.DRAFT
    return _live(signals)


def _live(signals: Signals) -> Urgency:
    if signals.breach or signals.pause_cause == PauseCause.HARM or signals.advice == "stop":
        return Urgency.HARM
    if signals.masked or signals.failed or _silent(signals):
        # Before what the numbers recommend: they cannot be believed.
        return Urgency.UNHEALTHY
    if signals.advice == "promote":
        return Urgency.PROMOTE
    if signals.advice in ("escalate", "conclude"):
        return Urgency.PERSON
    if signals.days_left is not None and signals.days_left <= SOON_DAYS:
        return Urgency.ENDS_SOON
    return Urgency.RUNNING


def _silent(signals: Signals) -> bool:
    """Whether it has run long enough to have data and has none; a paused one is expected to be silent."""
    waited = signals.status == Status.RUNNING and signals.hours is not None and signals.hours >= SILENT_HOURS
    return waited and not signals.units
