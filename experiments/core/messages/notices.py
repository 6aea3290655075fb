"""What people and other systems are told: of which kind a happening is, how urgent, and in which
words.

Quiet by default: changes of state, breaches and promotions ahead are told at once, everything else
once a day. Words carry names, reasons and states, never a variant's configuration: prompts and
models do not leave the house in a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from experiments.core.figures import counted
from experiments.core.life.lifecycle import Verb
from experiments.core.types import JSON, SYSTEM


class NoticeKind(StrEnum):
    """What a subscription can be narrowed to; ``digest`` and ``test`` are for one subscription
    only.
    """

    STATE = "state"
    BREACH = "breach"
    PROMOTION = "promotion"
    DECISION = "decision"
    HEALTH = "health"
    EDIT = "edit"
    DIGEST = "digest"
    TEST = "test"


CHOICES: Mapping[NoticeKind, str] = {
    NoticeKind.STATE: "changes of state: live, paused, concluded, promoted, returned to control",
    NoticeKind.BREACH: "breaches: stops for harm, escalations, what a guardrail held back",
    NoticeKind.PROMOTION: "promotions ahead: what will be promoted by itself, or waits for a person",
    NoticeKind.HEALTH: "health of the data: shares, crossovers, silent arms, missing or late events, drift",
    NoticeKind.DECISION: "other decisions: keep, hold, or not carried out",
    NoticeKind.EDIT: "everything else in the changelog",
}
"""The kinds a person may choose among, with what each is about."""

DAILY = frozenset({NoticeKind.DECISION, NoticeKind.EDIT})
"""Kinds that wait for the daily digest; the others are sent at once."""

TITLE_LENGTH = 300
LINES = 100
"""A digest names so many different happenings; beyond it counts what it leaves off."""


@dataclass(frozen=True)
class Notice:
    """One thing to tell: its kind, one line, a reason or an explanation, and facts for machines."""

    kind: NoticeKind
    title: str
    text: str = ""
    facts: Mapping[str, JSON] = field(default_factory=dict)


_WORDS: Mapping[str, str] = {
    Verb.START_DARK_LAUNCH: "entered its dark launch",
    Verb.ABORT_DARK_LAUNCH: "dark launch aborted",
    Verb.START: "went live",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.EMERGENCY_STOP: "stopped in an emergency",
    Verb.CONCLUDE: "concluded",
    Verb.PROMOTE: "promoted",
    Verb.ARCHIVE: "archived",
    "returned_to_control": "returned to control",
    "ramp_advanced": "ramp went up",
    "ramp_resumed": "ramp goes on",
    "ramp_held": "ramp held",
    "ramp_rolled_back": "ramp went a step back",
    "arm_stopped": "an arm stopped for harm",
    "planned_start_refused": "did not start as planned",
    "planned_end_refused": "did not end as planned",
    "harm_unresolved_refused": "could not be concluded after its harm stop",
}
"""Changelog actions that change what users are served or where an experiment stands, as a message
says them.
"""

BREACHES = frozenset({Verb.EMERGENCY_STOP.value, "arm_stopped", "ramp_held", "ramp_rolled_back"})
"""Changelog actions that mean harm or its suspicion."""
_FACTS = (
    "status",
    "outcome",
    "variant",
    "stopped",
    "iteration",
    "decision",
    "cause",
    "traffic",
    "ramp_step",
)


def kind_of(action: str) -> NoticeKind:
    """Of which kind a line of the changelog is."""
    if action in BREACHES:
        return NoticeKind.BREACH
    return NoticeKind.STATE if action in _WORDS else NoticeKind.EDIT


def of_change(*, action: str, subject: str, actor: str, reason: str, after: JSON) -> Notice:
    """A line of the changelog, told. ``subject`` is the experiment's key, else the object by its
    name.
    """
    facts = (
        {name: after[name] for name in _FACTS if name in after} if isinstance(after, dict) else {}
    )
    ending = facts.get("variant") or facts.get("stopped") or facts.get("outcome") or ""
    named = (
        ", ".join(map(str, ending)) if isinstance(ending, list) else str(ending).replace("_", " ")
    )
    what = _words(action, actor) + (f" ({named})" if named else "")
    return Notice(
        kind_of(action),
        one_line(f"{subject}: {what}, by {actor}"),
        reason,
        {"action": action, "actor": actor, **facts},
    )


def _words(action: str, actor: str) -> str:
    """Harm is said only where it is known: the platform stops by what an analysis found, people by
    what they fear.
    """
    if action == Verb.EMERGENCY_STOP and actor == SYSTEM.label:
        return "stopped for harm"
    return _WORDS.get(action, action.replace("_", " "))


def one_line(text: str) -> str:
    """Text as one printable line of bounded length: it becomes a subject, a header, a list
    entry.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


def digest(day: str, titles: Iterable[tuple[datetime, str]]) -> Notice:
    """A day's happenings as one message: equal ones counted, the newest last, never more than
    ``LINES``.
    """
    seen_at: dict[str, tuple[datetime, int]] = {}
    for at, title in titles:
        last, times = seen_at.get(title, (at, 0))
        seen_at[title] = (max(at, last), times + 1)
    shown = sorted(seen_at.items(), key=lambda item: item[1][0])[-LINES:]
    lines = [
        f"{at:%H:%M} {title}" + (f" ({counted(times, 'time')})" if times > 1 else "")
        for title, (at, times) in shown
    ]
    left_off = len(seen_at) - len(shown)
    more = [f"and {left_off} more, see the changelog"] if left_off else []
    total = sum(times for _, times in seen_at.values())
    facts: dict[str, JSON] = {"day": day, "lines": list(lines), "left_off": left_off}
    return Notice(
        NoticeKind.DIGEST,
        f"Assay, {day}: {counted(total, 'change')}",
        "\n".join([*lines, *more]),
        facts,
    )
