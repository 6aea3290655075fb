"""What a decision card is made of: facts that selectors gather, in names that people know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from experiments.core.figures import difference, moment
from experiments.core.life import checklist
from experiments.core.types import Origin, Outcome, PauseCause, Status

Undecided = Literal["", "no_primary", "never_looked"]
"""Why nothing can ever be decided: no primary metric, or no moment at which it is looked at."""
Kind = Literal["", "keep", "hold", "stop", "promote", "escalate", "conclude"]


@dataclass(frozen=True)
class Effect:
    """One arm against control on one metric; ``share``: a rate, written in percentage points.

    ``scale``: the metric's own, for the unit behind its numbers.
    """

    metric: str
    arm: str
    share: bool
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    lift: float | None = None
    reading: str = ""
    reason: str = ""
    scale: str = ""

    def __str__(self) -> str:
        about = f"{self.metric} with “{self.arm}”"
        if self.value is None:
            return f"{about} cannot be compared yet" + (f" ({self.reason})" if self.reason else "")
        lift = "" if self.lift is None else f", that is {self.lift * 100:+.1f} %"
        return f"{about} {difference(self.value, self.share, self.scale)}{lift}{self._interval()}{self._word()}"

    def _interval(self) -> str:
        if self.low is None or self.high is None or self.level is None:
            return ""
        low, high = (difference(end, self.share, self.scale) for end in (self.low, self.high))
        return f" ({self.level * 100:.4g} % interval {low} to {high})"

    def _word(self) -> str:
        return f", {self.reading}" if self.reading in ("better", "worse", "unclear") else ""


@dataclass(frozen=True)
class Breach:
    """A guardrail that an arm breaches now, with how far where that can be said."""

    guardrail: str
    arm: str
    effect: Effect | None = None

    def __str__(self) -> str:
        return f"{self.guardrail} with “{self.arm}”" if self.effect is None else str(self.effect)


@dataclass(frozen=True)
class Unmet:
    """One condition of a promotion that is not met: what is needed, and the numbers now and
    needed.
    """

    what: str
    now: str = ""
    needed: str = ""

    def __str__(self) -> str:
        return (
            f"{self.what}: now {self.now or 'unknown'}, needed {self.needed}"
            if self.needed
            else self.what
        )


@dataclass(frozen=True)
class Reading:
    """What the newest analysis and the decision that counts say.

    ``kind`` is what the rules say to do; ``arm`` the arm in front or the one it is about.
    ``breaches`` are those of now that no gain pays for. ``unmet`` are the conditions of a promotion
    that the arm in front does not meet; ``ready``: a stored decision recommends to promote ``arm``
    and nothing stands against it now. ``overdue``: the planned end passed without an analysis that
    may decide. ``guardrails``: name → its worst verdict. ``stopped``: arms that are off. ``days``:
    complete days of those wanted, ``weekdays`` that are lacking, ``clock`` the same in words.
    ``undecided``: empty where a decision is possible.
    """

    kind: Kind = "keep"
    arm: str = ""
    rule: str = ""
    units: int = 0
    masked: bool = False
    masked_why: str = ""
    failed: bool = False
    ready: bool = False
    overdue: bool = False
    over_budget: bool = False
    conclusion: str = ""
    breaches: tuple[Breach, ...] = ()
    effects: tuple[Effect, ...] = ()
    guardrails: Mapping[str, str] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()
    stopped: tuple[str, ...] = ()
    days: tuple[int, int] | None = None
    weekdays: tuple[str, ...] = ()
    clock: str = ""
    next_look: str = ""
    undecided: Undecided = ""


@dataclass(frozen=True)
class Stop:
    """Who stopped it, when and why; ``harm`` only where harm is known: an analysis found it, not a
    person's fear.
    """

    by: str
    at: datetime
    reason: str
    harm: bool = False

    def __str__(self) -> str:
        said = f"{self.by}, {moment(self.at)}"
        return f"{said}: “{self.reason}”" if self.reason else said


@dataclass(frozen=True)
class RolledOut:
    """What a promotion left: the arm, whether it still serves, and what is held back until when."""

    arm: str
    open: bool = True
    holdback: int = 0
    holdback_until: datetime | None = None
    control: str = "control"


UNREAD = "a policy whose rules can be read"
"""What an experiment lacks whose checklist cannot be read."""


@dataclass(frozen=True)
class CardFacts:
    """Everything the card says something about.

    ``missing``: titles of the required checklist items that are open. ``asked``: who asked for the
    launch, and who made the key with which they did.
    ``off``: since when and by whom the flag is switched off. ``urgent``: an emergency stop that is
    served already and not booked yet. ``urgent_arms``: the same of single arms, by name. ``held``:
    a person holds the promotion. ``plan``: what the plan cannot do in the time it gives itself,
    empty when it can. ``hours`` since it went live, ``days_left`` to its planned end. ``ended``:
    who ended it. ``learned``: somebody wrote a note after the end. ``missed``: conditions that were
    not met when a person promoted it. ``known``: what the checklist goes by, while it is not
    launched.
    """

    status: Status
    outcome: Outcome = Outcome.NONE
    pause_cause: PauseCause = PauseCause.NONE
    origin: Origin = Origin.LIVE
    missing: tuple[str, ...] = ()
    asked: frozenset[int] = frozenset()
    reading: Reading | None = None
    off: Stop | None = None
    urgent: Stop | None = None
    urgent_arms: Mapping[str, Stop] = field(default_factory=dict)
    flag: str = ""
    held: bool = False
    stop: Stop | None = None
    ended: Stop | None = None
    rollout: RolledOut | None = None
    plan: str = ""
    hours: float | None = None
    days_left: float | None = None
    learned: bool = False
    missed: tuple[str, ...] = ()
    known: checklist.LaunchFacts | None = None
