"""An experiment's life as a table: which verb leads where, who may, and what it needs.

Admin buttons, the API, beat and the guide are drawn from it; the gate itself is in the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from experiments.core.permissions import Action
from experiments.core.types import Item, Outcome, PauseCause, Status


class Verb(StrEnum):
    START_DARK_LAUNCH = "start_dark_launch"
    ABORT_DARK_LAUNCH = "abort_dark_launch"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    EMERGENCY_STOP = "emergency_stop"
    CONCLUDE = "conclude"
    PROMOTE = "promote"
    ARCHIVE = "archive"


class Need(StrEnum):
    """What a transition waits for."""

    DESIGN = "design"
    DARK_LAUNCH_POLICY = "dark_launch_policy"
    NO_DARK_LAUNCH_POLICY = "no_dark_launch_policy"
    ITEMS_BEFORE_DARK_LAUNCH = "items_before_dark_launch"
    ALL_ITEMS = "all_items"
    FREE_FLAG = "free_flag"
    REASON = "reason"
    VARIANT = "variant"


@dataclass(frozen=True)
class Transition:
    """One arrow; ``cause`` narrows it to pauses of that cause."""

    verb: Verb
    source: Status
    target: Status
    action: Action
    label: str
    needs: tuple[Need, ...] = ()
    cause: PauseCause | None = None


_D, _L, _R, _P, _C, _A = (
    Status.DRAFT,
    Status.DARK_LAUNCH,
    Status.RUNNING,
    Status.PAUSED,
    Status.COMPLETED,
    Status.ARCHIVED,
)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(Verb.START_DARK_LAUNCH, _D, _L, Action.DARK_LAUNCH, "Start dark launch", (
        Need.DARK_LAUNCH_POLICY, Need.DESIGN, Need.ITEMS_BEFORE_DARK_LAUNCH, Need.FREE_FLAG)),
    Transition(Verb.START, _D, _R, Action.START, "Start", (Need.NO_DARK_LAUNCH_POLICY, Need.DESIGN, Need.ALL_ITEMS, Need.FREE_FLAG)),
    Transition(Verb.START, _L, _R, Action.START, "Go live", (Need.DESIGN, Need.ALL_ITEMS)),
    Transition(Verb.ABORT_DARK_LAUNCH, _L, _D, Action.DARK_LAUNCH, "Abort dark launch", (Need.REASON,)),
    Transition(Verb.EMERGENCY_STOP, _L, _D, Action.EMERGENCY_STOP, "Emergency stop", (Need.REASON,)),
    Transition(Verb.PROMOTE, _R, _C, Action.PROMOTE, "Promote", (Need.VARIANT,)),
    Transition(Verb.PAUSE, _R, _P, Action.PAUSE_RESUME, "Pause"),
    Transition(Verb.EMERGENCY_STOP, _R, _P, Action.EMERGENCY_STOP, "Emergency stop", (Need.REASON,)),
    Transition(Verb.CONCLUDE, _R, _C, Action.CONCLUDE, "Conclude", (Need.REASON,)),
    Transition(Verb.RESUME, _P, _R, Action.PAUSE_RESUME, "Resume", cause=PauseCause.PERSON),
    Transition(Verb.RESUME, _P, _R, Action.RESUME_AFTER_HARM, "Resume after harm stop", (Need.REASON,), cause=PauseCause.HARM),
    Transition(Verb.CONCLUDE, _P, _C, Action.CONCLUDE, "Conclude", (Need.REASON,)),
    Transition(Verb.ARCHIVE, _C, _A, Action.CONCLUDE, "Archive"),
)  # fmt: skip

SERVING: frozenset[Status] = frozenset({Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED})
"""Statuses in which an experiment occupies its flag."""

BEFORE_DARK_LAUNCH: tuple[Item, ...] = (
    Item.PRD,
    Item.FLAG,
    Item.METRICS,
    Item.SAMPLE_SIZE,
    Item.OFFLINE,
)
"""Items that must be done before real users are touched at all."""

CONCLUSIONS: tuple[Outcome, ...] = (
    Outcome.REVERTED, Outcome.STOPPED_HARM, Outcome.WORSE, Outcome.NO_EFFECT, Outcome.INCONCLUSIVE, Outcome.CANCELLED,
)  # fmt: skip
"""What concluding may record; ``promoted`` comes from promoting alone."""


def transition_for(
    verb: Verb, status: Status, cause: PauseCause = PauseCause.NONE
) -> Transition | None:
    """The arrow that this verb takes from here, or ``None`` when there is none."""
    return next(
        (
            t
            for t in TRANSITIONS
            if t.verb is verb and t.source is status and t.cause in (None, cause)
        ),
        None,
    )


def verbs_from(status: Status, cause: PauseCause = PauseCause.NONE) -> tuple[Transition, ...]:
    """Every arrow that leaves a status, in the order in which pages show them."""
    return tuple(t for t in TRANSITIONS if t.source is status and t.cause in (None, cause))


_BY_NAME_ALONE = frozenset({Verb.EMERGENCY_STOP, Verb.PROMOTE})
"""Verbs that nobody means by merely naming the status they lead to."""


def verb_towards(
    source: Status, target: Status, cause: PauseCause = PauseCause.NONE
) -> Verb | None:
    """The verb that somebody means who asks for a status, or ``None`` when no arrow leads there."""
    leaving = (step for step in verbs_from(source, cause) if step.verb not in _BY_NAME_ALONE)
    return next((step.verb for step in leaving if step.target is target), None)
