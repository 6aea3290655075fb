"""Where an experiment is, as one of a few states: lifecycle and decision together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from experiments.core.cards.facts import CardFacts, Reading
from experiments.core.cards.urgency import Urgency
from experiments.core.life.checklist import TITLES
from experiments.core.types import Item, Origin, Outcome, PauseCause, Status

SOON_DAYS = 3.0
SILENT_HOURS = 24.0
"""An experiment that has run for so long without an analysed unit has no data."""


class State(StrEnum):
    """The state that every page, message and answer shows."""

    DRAFT = "draft"
    READY_FOR_DARK_LAUNCH = "ready for dark launch"
    READY_TO_START = "ready to start"
    DARK_LAUNCH = "in dark launch"
    READY_TO_GO_LIVE = "ready to go live"
    STARTED = "just started"
    SILENT = "no data"
    SWITCHED_OFF = "flag off"
    FAILED = "analysis failed"
    MASKED = "data not usable"
    KEEP = "running"
    STOPPING = "being stopped"
    BREACH = "breach"
    DEGRADED = "breach, on hold"
    PROMOTING = "winner, promoted by itself"
    PROMOTION_HELD = "winner, on hold"
    PROMOTABLE = "ready to promote"
    UNPROVEN = "needs your decision"
    OVERDUE = "overdue"
    CONCLUDING = "being concluded"
    PAUSED = "paused"
    STOPPED_BY_A_PERSON = "stopped by a person"
    STOPPED_FOR_HARM = "stopped for harm"
    IMPORTED = "imported"
    PROMOTED = "promoted"
    REVERTED = "returned to control"
    HARMFUL = "ended for harm"
    WORSE = "ended: worse"
    NO_EFFECT = "ended: no effect"
    INCONCLUSIVE = "ended without an answer"
    CANCELLED = "cancelled"
    ENDED = "ended"
    ARCHIVED = "archived"


_DARK, _APPROVAL = TITLES[Item.DARK_LAUNCH], TITLES[Item.APPROVAL]

ENDINGS: Mapping[Outcome, State] = {
    Outcome.NONE: State.ENDED,
    Outcome.PROMOTED: State.PROMOTED,
    Outcome.REVERTED: State.REVERTED,
    Outcome.STOPPED_HARM: State.HARMFUL,
    Outcome.WORSE: State.WORSE,
    Outcome.NO_EFFECT: State.NO_EFFECT,
    Outcome.INCONCLUSIVE: State.INCONCLUSIVE,
    Outcome.CANCELLED: State.CANCELLED,
}


def state_of(facts: CardFacts) -> State:
    """The one state that the facts amount to."""
    return _BY_STATUS[facts.status](facts)


def ready_for_dark_launch(missing: tuple[str, ...]) -> bool:
    """Whether a draft lacks nothing but its dark launch and what comes after it."""
    return _DARK in missing and set(missing) <= {_DARK, _APPROVAL}


def _draft(facts: CardFacts) -> State:
    if ready_for_dark_launch(facts.missing):
        return State.READY_FOR_DARK_LAUNCH
    return State.DRAFT if facts.missing else State.READY_TO_START


def _dark(facts: CardFacts) -> State:
    if facts.urgent is not None:
        return State.STOPPING
    return State.DARK_LAUNCH if facts.missing else State.READY_TO_GO_LIVE


def _paused(facts: CardFacts) -> State:
    if facts.pause_cause != PauseCause.HARM:
        return State.PAUSED
    found = facts.reading is not None and bool(facts.reading.breaches)
    return (
        State.STOPPED_FOR_HARM
        if found or (facts.stop is not None and facts.stop.harm)
        else State.STOPPED_BY_A_PERSON
    )


def _ended(facts: CardFacts) -> State:
    return State.IMPORTED if facts.origin == Origin.IMPORT else ENDINGS[facts.outcome]


def _running(facts: CardFacts) -> State:
    """Nobody is served: that first. Then harm, then whether the data can be used, then what the
    rules say.
    """
    read = facts.reading
    if facts.urgent is not None:
        return State.STOPPING
    if facts.off is not None:
        return State.SWITCHED_OFF
    if read is None:
        return State.SILENT if _silent(facts) else State.STARTED
    return _harm(read) or _unusable(facts, read) or _DECISIONS[read.kind](facts, read)


def _harm(read: Reading) -> State | None:
    if read.kind == "stop":
        return State.STOPPING
    if read.breaches:
        return State.BREACH if read.kind == "escalate" else State.DEGRADED
    return None


def _unusable(facts: CardFacts, read: Reading) -> State | None:
    if read.masked:
        return State.MASKED
    if read.failed:
        return State.FAILED
    return State.SILENT if not read.units and _silent(facts) else None


def _silent(facts: CardFacts) -> bool:
    """Whether it has run long enough to have data."""
    return facts.hours is not None and facts.hours >= SILENT_HOURS


def _promote(facts: CardFacts, read: Reading) -> State:
    return State.PROMOTION_HELD if facts.held else State.PROMOTING


def _escalate(facts: CardFacts, read: Reading) -> State:
    if read.ready:
        return State.PROMOTABLE
    return State.OVERDUE if read.overdue else State.UNPROVEN


def _keep(facts: CardFacts, read: Reading) -> State:
    return State.IMPORTED if facts.origin == Origin.IMPORT else State.KEEP


_DECISIONS: Mapping[str, Callable[[CardFacts, Reading], State]] = {
    "": _keep,
    "keep": _keep,
    "hold": _keep,
    "stop": lambda facts, read: State.STOPPING,
    "promote": _promote,
    "escalate": _escalate,
    "conclude": lambda facts, read: State.CONCLUDING,
}
_BY_STATUS: Mapping[Status, Callable[[CardFacts], State]] = {
    Status.DRAFT: _draft,
    Status.DARK_LAUNCH: _dark,
    Status.RUNNING: _running,
    Status.PAUSED: _paused,
    Status.COMPLETED: _ended,
    Status.ARCHIVED: lambda facts: State.ARCHIVED,
}

_URGENCY: Mapping[State, Urgency] = {
    State.DRAFT: Urgency.DRAFT,
    State.READY_FOR_DARK_LAUNCH: Urgency.DRAFT,
    State.READY_TO_START: Urgency.DRAFT,
    State.DARK_LAUNCH: Urgency.SIGN_OFF,
    State.READY_TO_GO_LIVE: Urgency.SIGN_OFF,
    State.SILENT: Urgency.UNHEALTHY,
    State.SWITCHED_OFF: Urgency.UNHEALTHY,
    State.FAILED: Urgency.UNHEALTHY,
    State.MASKED: Urgency.UNHEALTHY,
    State.STOPPING: Urgency.HARM,
    State.BREACH: Urgency.HARM,
    State.DEGRADED: Urgency.HARM,
    State.STOPPED_BY_A_PERSON: Urgency.HARM,
    State.STOPPED_FOR_HARM: Urgency.HARM,
    State.PROMOTING: Urgency.PROMOTE,
    State.PROMOTION_HELD: Urgency.PROMOTE,
    State.PROMOTABLE: Urgency.PROMOTE,
    State.UNPROVEN: Urgency.PERSON,
    State.OVERDUE: Urgency.PERSON,
    State.CONCLUDING: Urgency.PERSON,
    State.ARCHIVED: Urgency.ARCHIVED,
}
LIVE = (State.STARTED, State.KEEP, State.PAUSED)


def changes_in(facts: CardFacts) -> float | None:
    """The hours after which time alone can change the state or the urgency; None when it cannot."""
    waits = [] if facts.hours is None else [SILENT_HOURS - facts.hours]
    waits += [] if facts.days_left is None else [24 * (facts.days_left - SOON_DAYS)]
    return min((hours for hours in waits if hours > 0), default=None)


def urgency_of(facts: CardFacts, state: State) -> Urgency:
    """How urgent a state is, in the order of every list."""
    if state in LIVE:
        soon = facts.days_left is not None and facts.days_left <= SOON_DAYS
        return Urgency.ENDS_SOON if soon else Urgency.RUNNING
    if facts.status == Status.DRAFT and facts.asked:
        return Urgency.SIGN_OFF
    return _URGENCY.get(state, Urgency.ENDED)
