"""The next step by role: what this person can do now, else who can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.core.cards.facts import UNREAD, CardFacts
from experiments.core.cards.states import State
from experiments.core.figures import moment
from experiments.core.life import checklist
from experiments.core.life.checklist import SIGNED_ITEMS, TITLES, ItemState, basis
from experiments.core.life.four_eyes import four_eyes
from experiments.core.life.lifecycle import Verb, transition_for
from experiments.core.permissions import SIGNING, Action, may, who_may
from experiments.core.types import Actor, Item, PauseCause, Status


@dataclass(frozen=True)
class Viewer:
    """Who looks: an actor, and whether it is of the experiment's team."""

    actor: Actor
    member: bool

    def may(self, *actions: Action) -> bool:
        """Whether the table allows any of these."""
        return any(may(self.actor, action, member=self.member) for action in actions)


@dataclass(frozen=True)
class NextStep:
    """What to do next.

    ``target`` says where: ``do:<verb>``, ``decide``, ``tab:<name>``, ``item:<item>``,
    ``form:<part>``, ``flag``, ``request_launch``; empty when there is nothing to press. ``asked``:
    it waits for this very person.
    """

    label: str
    note: str = ""
    target: str = ""
    asked: bool = False


@dataclass(frozen=True)
class _Plan:
    """A state's step: its label, who may take it, where, and what others read."""

    label: str
    note: str
    target: str
    actions: tuple[Action, ...]
    others: str = "Needs a decision"


_STOPPING = (Action.CONCLUDE, Action.PAUSE_RESUME)
_LOOKING = (Action.COMPUTE_EVIDENCE,)
_DECIDE = "Stop it, keep it running, or promote anyway: each choice says what follows."

_STEPS: Mapping[State, _Plan] = {
    State.SILENT: _Plan(
        "Find out why no data arrive",
        "The wiring says what it has seen.",
        "tab:wiring",
        _LOOKING,
        "The team checks the wiring",
    ),
    State.SWITCHED_OFF: _Plan(
        "Switch the flag on",
        "Or conclude the experiment.",
        "flag",
        (Action.SWITCH_FLAG,),
        "The flag is off",
    ),
    State.FAILED: _Plan(
        "See why the analysis failed",
        "",
        "tab:results",
        _LOOKING,
        "The team looks at the failed analysis",
    ),
    State.MASKED: _Plan(
        "Find out what is wrong with the data",
        "",
        "tab:health",
        _LOOKING,
        "The team checks the data",
    ),
    State.BREACH: _Plan("Decide", _DECIDE, "decide", (*_STOPPING, Action.PROMOTE)),
    State.DEGRADED: _Plan("Decide", _DECIDE, "decide", (*_STOPPING, Action.PROMOTE)),
    State.PROMOTION_HELD: _Plan(
        "Decide",
        "Release the hold, promote by hand, or conclude.",
        "decide",
        (Action.HOLD_PROMOTION, Action.PROMOTE),
    ),
    State.PROMOTABLE: _Plan(
        "Promote",
        "You will be asked to confirm.",
        "do:promote",
        (Action.PROMOTE,),
        "Waiting for a promotion",
    ),
    State.UNPROVEN: _Plan("Decide", _DECIDE, "decide", (*_STOPPING, Action.PROMOTE)),
    State.OVERDUE: _Plan(
        "Decide",
        "Move the planned end, conclude, or promote anyway.",
        "decide",
        (*_STOPPING, Action.PROMOTE),
    ),
    State.PAUSED: _Plan(
        "Resume", "Or conclude it.", "do:resume", (Action.PAUSE_RESUME,), "Waiting for: Resume"
    ),
    State.STOPPED_BY_A_PERSON: _Plan(
        "Decide",
        "Conclude it, or let a second person resume it.",
        "decide",
        (Action.RESUME_AFTER_HARM, Action.CONCLUDE),
    ),
    State.STOPPED_FOR_HARM: _Plan(
        "Decide",
        "Conclude it, or let a second person resume it.",
        "decide",
        (Action.RESUME_AFTER_HARM, Action.CONCLUDE),
    ),
}
"""States in which somebody has to do something."""

SECOND_PERSON = frozenset({State.PROMOTABLE})
"""States whose step is not for the person who asked for the launch."""

_QUIET: Mapping[State, tuple[str, str]] = {
    State.STARTED: ("Let it run", "Nothing needs to be pressed."),
    State.KEEP: ("Let it run", "Results update automatically; nothing needs to be pressed."),
    State.STOPPING: ("Nothing to press", "The platform is stopping it now."),
    State.PROMOTING: (
        "Nothing to press",
        "It is promoted automatically in its promotion window. Hold it if you want to wait.",
    ),
    State.CONCLUDING: ("Nothing to press", "The platform is ending it now."),
    State.IMPORTED: ("Read the results", "People decide; nothing happens automatically."),
    State.ARCHIVED: ("Nothing to do", "It is archived; its history stays."),
}


_UNDECIDED: Mapping[str, tuple[str, str, str]] = {
    "no_primary": (
        "Plan a new iteration",
        "This one can never be decided. End it, and plan the next with a primary metric.",
        "",
    ),
    "never_looked": (
        "Set a planned end",
        "Without one nothing will ever be decided. You can set it while the experiment runs.",
        "tab:plan",
    ),
}
"""Steps of experiments that run and can never be decided."""


def asked_in(viewer: Viewer) -> frozenset[State]:
    """The states in which the next step of a launched experiment is this viewer's.

    In those of ``SECOND_PERSON`` it still is not theirs when they asked for the launch.
    """
    return frozenset(state for state, plan in _STEPS.items() if viewer.may(*plan.actions))


def next_step(facts: CardFacts, state: State, viewer: Viewer) -> NextStep:
    """The next step for whoever looks."""
    if UNREAD in facts.missing:
        return NextStep(
            "Have its policy mended",
            "The rules of its policy cannot be read; an administrator must mend them.",
        )
    if facts.known is not None and state is not State.STOPPING:
        return unlaunched(facts.known, viewer)
    if state in _QUIET:
        undecided = "" if facts.reading is None else facts.reading.undecided
        return NextStep(
            *(_UNDECIDED[undecided] if undecided and state is State.KEEP else _QUIET[state])
        )
    return _planned(facts, state, viewer) if state in _STEPS else _after(facts, viewer)


def _planned(facts: CardFacts, state: State, viewer: Viewer) -> NextStep:
    plan = _STEPS[state]
    if state not in asked_in(viewer):
        return NextStep(plan.others, _whose(plan.actions))
    if state in SECOND_PERSON and viewer.actor.user_id in facts.asked:
        return NextStep(
            "A second person promotes it",
            "You, or a key that you made, asked for this launch. Somebody else must promote it.",
        )
    named = (
        f"Promote “{facts.reading.arm}”"
        if state is State.PROMOTABLE and facts.reading and facts.reading.arm
        else plan.label
    )
    return NextStep(named, plan.note, plan.target, asked=True)


def _whose(actions: tuple[Action, ...]) -> str:
    said = who_may(actions[0])
    return f"{said[:1].upper()}{said[1:]}."


def _after(facts: CardFacts, viewer: Viewer) -> NextStep:
    """Of one that is over: wait for the holdback, write down what was learned, then put it away."""
    out = facts.rollout
    if out is not None and out.open and out.holdback_until is not None and out.holdback:
        return NextStep(
            "Wait for the holdback", f"What lasts is compared until {moment(out.holdback_until)}."
        )
    if not facts.learned and viewer.member:
        return NextStep(
            "Write down what was learned",
            "A note in the history; then it can be archived.",
            "tab:history",
            asked=False,
        )
    if viewer.may(Action.CONCLUDE):
        return NextStep("Archive", "You will be asked to confirm.", "do:archive")
    return NextStep("Finished", "Its results stay.")


# Before launch.

DO = {
    Item.PRD: "Complete the PRD",
    Item.FLAG: "Choose a flag",
    Item.METRICS: "Choose metrics and guardrails",
    Item.SAMPLE_SIZE: "Compute the sample size",
    Item.OFFLINE: "Settle the offline thresholds",
    Item.DARK_LAUNCH: "Check and sign the dark launch",
    Item.APPROVAL: "Request the launch",
}
FORM_PARTS = {Item.PRD: "prd", Item.FLAG: "audience", Item.METRICS: "metrics"}
_HELPS: Mapping[Item, tuple[Action, ...]] = {
    Item.PRD: (Action.SIGN_PRD, Action.EDIT_DRAFT),
    Item.FLAG: (Action.EDIT_DRAFT,),
    Item.METRICS: (Action.EDIT_DRAFT,),
    Item.SAMPLE_SIZE: (Action.COMPUTE_EVIDENCE,),
    Item.OFFLINE: (Action.SIGN_OFFLINE, Action.RECORD_OFFLINE),
    Item.DARK_LAUNCH: (Action.SIGN_DARK_LAUNCH,),
}


def unlaunched(known: checklist.LaunchFacts, viewer: Viewer) -> NextStep:
    """The first open item that this person can bring on; without one the first open item and whose
    it is; else the launch.
    """
    due = [
        one
        for one in checklist.states(known)
        if one.required and not one.settled and _is_due(known, one.item)
    ]
    mine = next((one for one in due if _can_help(known, one.item, viewer)), None)
    if mine is not None:
        return _mine(known, mine, viewer)
    return _theirs(known, due[0]) if due else _launch(known, viewer)


def _is_due(known: checklist.LaunchFacts, item: Item) -> bool:
    """Whether an open item is this stage's: the last two come with or after the dark launch."""
    late = item in (Item.DARK_LAUNCH, Item.APPROVAL) and known.rules.dark_launch
    return known.status is Status.DARK_LAUNCH or not late


def _can_help(known: checklist.LaunchFacts, item: Item, viewer: Viewer) -> bool:
    if item is Item.APPROVAL:
        return _approves(known, viewer) if known.request else viewer.may(Action.REQUEST_LAUNCH)
    return viewer.may(*_HELPS[item])


def _approves(known: checklist.LaunchFacts, viewer: Viewer) -> bool:
    return viewer.may(Action.APPROVE_LAUNCH) and not four_eyes(viewer.actor, known.request)


def _mine(known: checklist.LaunchFacts, due: ItemState, viewer: Viewer) -> NextStep:
    asked = viewer.member or due.item in SIGNED_ITEMS
    if _waits_for_signature(known, due.item, viewer):
        return NextStep(f"Sign: {due.title}", due.message, f"item:{due.item}", asked)
    return NextStep(DO[due.item], due.message, _where(known, due.item, viewer), asked)


def _waits_for_signature(known: checklist.LaunchFacts, item: Item, viewer: Viewer) -> bool:
    """Whether a person's signature is all that is missing, and this person may give it."""
    return item in SIGNED_ITEMS and basis(known, item).signable and viewer.may(SIGNING[item])


def _where(known: checklist.LaunchFacts, item: Item, viewer: Viewer) -> str:
    """The form in which the item is brought on, where it is not the checklist itself."""
    if item in FORM_PARTS and viewer.may(Action.EDIT_DRAFT):
        return f"form:{FORM_PARTS[item]}"
    if item is Item.OFFLINE and viewer.may(Action.RECORD_OFFLINE):
        return "tab:offline"
    return "request_launch" if item is Item.APPROVAL and not known.request else f"item:{item}"


def _theirs(known: checklist.LaunchFacts, due: ItemState) -> NextStep:
    if due.item is Item.APPROVAL and not known.request:
        return NextStep("Waiting for: the launch request", _whose((Action.REQUEST_LAUNCH,)))
    return NextStep(f"Waiting for: {TITLES[due.item]}", f"This is for: {due.role}.")


def _launch(known: checklist.LaunchFacts, viewer: Viewer) -> NextStep:
    """Which arrow is next, and whose it is."""
    dark = known.status is Status.DRAFT and known.rules.dark_launch
    arrow = transition_for(
        Verb.START_DARK_LAUNCH if dark else Verb.START, known.status, PauseCause.NONE
    )
    if arrow is None:
        return NextStep(
            "Waiting for the team", "This step is for a member of the experiment's team."
        )
    if not viewer.may(arrow.action):
        return NextStep(f"Waiting for: {arrow.label}", _whose((arrow.action,)))
    return NextStep(arrow.label, "You will be asked to confirm.", f"do:{arrow.verb}", asked=True)
