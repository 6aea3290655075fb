"""A ramp: the steps by which an experiment reaches its share, and whether to take the next one.

A step up waits for its minimum hold and units, for no guardrail breached and no arm proven worse;
it never waits for SAFE. What only speaks of harm holds the ramp until it is gone. What proves harm
beyond a margin takes the last step back, and then a person decides; a guardrail whose action is to
hold does no more than that. Proportions are the same in every step, so going up only adds people
and going back moves nobody between arms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from experiments.core.errors import InvalidInput
from experiments.core.figures import counted
from experiments.core.types import JSON, GuardrailAction

MOST_STEPS = 20
MOST_HOURS = 24 * 90
MOST_UNITS = 10**9


@dataclass(frozen=True)
class RampStep:
    """One step: its share in thousandths of all units, and what going on from it waits for.

    ``hours`` are hours of serving at this step; ``units`` are units that the experiment has met by
    then.
    """

    share: int
    hours: int = 0
    units: int = 0

    def as_json(self) -> dict[str, JSON]:
        return {"share": self.share, "hours": self.hours, "units": self.units}


def parse_ramp(document: JSON) -> tuple[RampStep, ...]:
    """Steps from their JSON, a list of ``{share, hours, units}``; refuses anything else, naming the
    place. Nothing: no ramp.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise InvalidInput(
            'ramp: expected a list like [{"share": 10, "hours": 24, "units": 500}]', "ramp"
        )
    if len(document) > MOST_STEPS:
        raise InvalidInput(f"ramp: {len(document)} steps; expected at most {MOST_STEPS}", "ramp")
    return tuple(_step(entry, f"ramp[{index}]") for index, entry in enumerate(document))


def _step(entry: JSON, path: str) -> RampStep:
    if not isinstance(entry, dict) or "share" not in entry or set(entry) - set(_RANGES):
        raise InvalidInput(
            f"{path}: expected share, hours and units, found {str(entry)[:80]}", path
        )
    return RampStep(**{name: _whole(entry.get(name, 0), name, path) for name in _RANGES})


_RANGES: Mapping[str, tuple[int, int, str]] = {
    "share": (1, 1000, "thousandths of all units"),
    "hours": (0, MOST_HOURS, "hours"),
    "units": (0, MOST_UNITS, "units"),
}


def _whole(value: JSON, name: str, path: str) -> int:
    low, high, what = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(
            f"{path}.{name}: expected {low} to {high} {what}, found {str(value)[:40]}",
            f"{path}.{name}",
        )
    return value


def first_share(steps: Sequence[RampStep], traffic: int) -> int:
    """The share at which serving begins, in thousandths: the first step's, or all of it without a
    ramp.
    """
    return steps[0].share if steps else traffic


class RampAction(StrEnum):
    """What people do to a ramp."""

    ADVANCE = "advance"
    HOLD = "hold"
    RESUME = "resume"


class HeldBy(StrEnum):
    """Who keeps a ramp where it is; the machine lets it go by itself, what a person holds waits for
    a person.
    """

    NOBODY = ""
    MACHINE = "machine"
    PERSON = "person"


@dataclass(frozen=True)
class Sign:
    """A guardrail that speaks against an arm, and the action that the plan has for its breach."""

    guardrail: str
    arm: str
    action: str

    def __str__(self) -> str:
        return f"{self.guardrail} on {self.arm}"


@dataclass(frozen=True)
class RampFacts:
    """Everything that a move rests on.

    ``at`` is the present step's place in ``steps``; ``hours`` of serving at it and ``units`` met in
    all are as the newest analysis saw them. ``unknown`` says why there is no analysis to go by,
    ``masked`` why its results are not to be believed. ``breached``: harm beyond the margin is
    proven; ``worsening``: worse than control is proven, beyond the margin not yet. Arms that are
    switched off are in neither.
    """

    steps: tuple[RampStep, ...]
    at: int
    hours: float
    units: int
    held_by: HeldBy = HeldBy.NOBODY
    unknown: str = ""
    masked: tuple[str, ...] = ()
    breached: tuple[Sign, ...] = ()
    worsening: tuple[Sign, ...] = ()

    @property
    def step(self) -> RampStep:
        return self.steps[self.at]

    @property
    def complete(self) -> bool:
        """The last step has lasted its hours: from there on only the guardrails' own actions
        count.
        """
        return self.at == len(self.steps) - 1 and self.hours >= self.step.hours


@dataclass(frozen=True)
class RampMove:
    """What to do, and the rule in words. ``wait`` and ``complete`` change nothing."""

    kind: Literal["advance", "wait", "hold", "resume", "roll_back", "complete"]
    rule: str


def next_move(facts: RampFacts) -> RampMove:
    """What to do with a ramp now; harm comes first, what is not known moves nothing."""
    if facts.held_by is HeldBy.PERSON:
        return RampMove("wait", "held: a person resumes or advances it")
    if facts.unknown:
        return RampMove("wait", facts.unknown)
    against = standing_against(facts)
    if facts.complete:
        return (
            RampMove("resume", "the ramp is complete")
            if facts.held_by
            else RampMove("complete", "the ramp is complete")
        )
    if facts.at and any(sign.action != GuardrailAction.HOLD for sign in facts.breached):
        return RampMove("roll_back", f"{against[0]}: one step back, then a person decides")
    if against:
        return RampMove("wait" if facts.held_by else "hold", "; ".join(against))
    if facts.held_by:
        return RampMove("resume", "what held the ramp is gone")
    missing = waits_for(facts)
    return (
        RampMove("wait", f"not yet: {'; '.join(missing)}")
        if missing
        else RampMove("advance", _reached(facts))
    )


def standing_against(facts: RampFacts) -> tuple[str, ...]:
    """Everything that forbids a step up, by a person too, each as a sentence; the weightiest
    first.
    """
    found = []
    if facts.breached:
        found.append(f"guardrail breached ({_listed(facts.breached)})")
    if facts.worsening:
        found.append(f"worse than control, beyond the margin not yet ({_listed(facts.worsening)})")
    return (*found, *(f"results are masked: {why}" for why in facts.masked))


def waits_for(facts: RampFacts) -> tuple[str, ...]:
    """What the present step's minimum still lacks, in numbers; empty when it is met, or when no
    step follows.
    """
    step, missing = facts.step, []
    if facts.hours < step.hours:
        missing.append(f"{facts.hours:.1f} of {counted(step.hours, 'hour')}")
    fewest = max(1, step.units)  # where nobody was met, nothing was seen
    if facts.at < len(facts.steps) - 1 and facts.units < fewest:
        missing.append(f"{facts.units:,} of {counted(fewest, 'unit')}")
    return tuple(missing)


def _reached(facts: RampFacts) -> str:
    seen = f"{counted(round(facts.hours, 1), 'hour')} and {counted(facts.units, 'unit')}"
    return f"{seen} at {percent(facts.step.share)}, no guardrail breached, no arm proven worse"


def _listed(signs: Sequence[Sign]) -> str:
    return ", ".join(sorted({str(sign) for sign in signs}))


def percent(thousandths: int) -> str:
    """A share as people read it: 55 → ``5.5 %``."""
    return f"{thousandths / 10:g} %"
