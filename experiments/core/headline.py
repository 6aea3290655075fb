"""One sentence that says where an experiment stands, for lists and page heads alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.core.checklist import TITLES
from experiments.core.types import Item, Outcome, PauseCause, Status


@dataclass(frozen=True)
class Standing:
    """What the sentence is made of.

    ``missing`` are the titles of required checklist items that are not done; ``finding`` is what
    the newest analysis says in its own sentence, None while there is none.
    """

    status: str
    outcome: str = Outcome.NONE
    pause_cause: str = PauseCause.NONE
    missing: Sequence[str] = ()
    finding: str | None = None
    winner: str | None = None


AI_TYPES = frozenset({"prompt", "model", "rag", "agent", "ranker", "ranking", "routing"})


def unchecked(experiment_type: str, required_items: int) -> bool:
    """Whether an AI experiment runs under a policy that asks for no launch check; pages say so with a badge."""
    return experiment_type in AI_TYPES and required_items == 0


_OUTCOMES = {
    Outcome.NONE: "Completed.",
    Outcome.PROMOTED: "Promoted.",
    Outcome.REVERTED: "Promoted once, then returned to control.",
    Outcome.STOPPED_HARM: "Stopped: it did harm.",
    Outcome.WORSE: "Ended: the change is worse than control.",
    Outcome.NO_EFFECT: "Ended: no effect larger than the one worth having.",
    Outcome.INCONCLUSIVE: "Ended without an answer: the data could not tell.",
    Outcome.CANCELLED: "Cancelled.",
}


def headline(facts: Standing) -> str:
    """Where the experiment stands, in one sentence."""
    if facts.status == Status.DRAFT:
        return _draft(facts.missing)
    if facts.status == Status.DARK_LAUNCH:
        own = [_OWN_CHECK if title == _DARK else title for title in facts.missing]
        return f"In dark launch. {_waiting(own) or 'Ready to go live.'}"
    if facts.status == Status.RUNNING:
        return facts.finding or "Running; no analysis yet."
    if facts.status == Status.PAUSED:
        return "Stopped for harm; a person decides." if facts.pause_cause == PauseCause.HARM else "Paused; nobody is served a variant."
    return _ending(facts)


_DARK, _APPROVAL = TITLES[Item.DARK_LAUNCH], TITLES[Item.APPROVAL]
_OWN_CHECK = "QA's check of it"


def ready_for_dark_launch(missing: Sequence[str]) -> bool:
    """Whether a draft lacks nothing but its dark launch and what comes after it."""
    return _DARK in missing and set(missing) <= {_DARK, _APPROVAL}


def _draft(missing: Sequence[str]) -> str:
    """What a draft waits for now; the dark launch and the approval have their time later."""
    if ready_for_dark_launch(missing):
        return "Ready for its dark launch" + ("; the launch approval follows." if _APPROVAL in missing else ".")
    now = [title for title in missing if title != _DARK and not (title == _APPROVAL and _DARK in missing)]
    return _waiting(now) or "Ready for launch."


def _waiting(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return f"Waiting for: {shown}."


def _ending(facts: Standing) -> str:
    if facts.outcome == Outcome.PROMOTED:
        return f"Promoted: “{facts.winner}”." if facts.winner else "Promoted."
    return _OUTCOMES.get(Outcome(facts.outcome), "Completed.")
