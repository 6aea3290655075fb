"""A look as it is stored: every hypothesis and every guardrail of one iteration on one local
day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.core.deciding.guardrails import Harm, SafetyLook
from analytics.core.deciding.looks import (
    Look,
    LookHistory,
    LookPlan,
    Observation,
    information,
    planned_information,
    take_look,
)
from analytics.core.kinds.base import Better
from analytics.core.stats.arms.winsor import Cap

SMALLEST_TIME = 1e-6
"""Information time of a guardrail without matured units: too little to spend anything on."""


@dataclass(frozen=True, slots=True)
class HypothesisLook:
    """One test arm on the primary metric; ``look`` None: it could not say, for ``reason``, and
    spent nothing.
    """

    arm: str
    seen: Observation
    look: Look | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GuardrailLook:
    """One guardrail on one test arm at the look."""

    key: str
    arm: str
    look: SafetyLook


@dataclass(frozen=True, slots=True)
class MetricCap:
    """Where a winsorised metric's unit values are cut."""

    key: str
    cap: Cap


@dataclass(frozen=True, slots=True)
class LookState:
    """All of one look. ``n_planned`` and ``caps`` are fixed by the first look and read from it by
    the later ones.
    """

    day: date
    n_planned: float
    hypotheses: tuple[HypothesisLook, ...]
    guardrails: tuple[GuardrailLook, ...] = ()
    caps: tuple[MetricCap, ...] = ()

    @property
    def last(self) -> bool:
        """Every hypothesis that could say has taken its last look."""
        taken = [h.look for h in self.hypotheses if h.look is not None]
        return bool(taken) and all(look.last for look in taken)

    @property
    def information(self) -> float:
        """The information time of the hypothesis that is furthest behind, 0 to 1."""
        return min((h.look.t for h in self.hypotheses if h.look is not None), default=0.0)


def histories(
    states: Sequence[LookState],
    arms: Sequence[str],
    *,
    n_planned: float,
    alpha: float,
    better: Better,
) -> dict[str, LookHistory]:
    """Each arm's looks so far, under the horizon of the first look (or this one, before any)."""
    horizon = states[0].n_planned if states else n_planned
    plan = LookPlan(horizon, alpha, len(arms), better)
    return {
        arm: LookHistory(
            plan,
            tuple(
                h.look
                for state in states
                for h in state.hypotheses
                if h.arm == arm and h.look is not None
            ),
        )
        for arm in arms
    }


def horizon(planned: float | None, floor: int, seen: Sequence[Observation]) -> float:
    """n_planned for a first look: the plan, the floor per arm, and what this look already has,
    whichever is most.
    """
    now = max((information(o.n_control, o.n_treatment) for o in seen), default=0.0)
    least = max(1, floor)
    return planned_information(planned or information(least, least), (), now)


def take(
    day: date,
    before: Sequence[LookState],
    seen: dict[str, Observation],
    safety: dict[tuple[str, str], Harm],
    *,
    n_planned: float,
    alpha: float,
    better: Better,
    closing: bool,
    caps: Sequence[MetricCap] = (),
) -> LookState | None:
    """Look at every hypothesis and guardrail; None when no hypothesis can say, and then nothing is
    spent.

    ``closing``: the planned end has passed, or the metric is looked at only once; this look is the
    last of every arm.
    """
    known = histories(before, list(seen), n_planned=n_planned, alpha=alpha, better=better)
    tried = {arm: take_look(known[arm], seen[arm], day, closing=closing) for arm in seen}
    if all(attempt.look is None for attempt in tried.values()):
        return None
    looks = tuple(
        HypothesisLook(arm, seen[arm], attempt.look, attempt.reason)
        for arm, attempt in tried.items()
    )
    state = LookState(day, next(iter(known.values())).plan.n_planned, looks)
    guarded = tuple(
        GuardrailLook(key, arm, _safety_look(harm, safety_looks(before, key, arm), state))
        for (key, arm), harm in safety.items()
    )
    return LookState(
        day, state.n_planned, looks, guarded, before[0].caps if before else tuple(caps)
    )


def safety_looks(states: Sequence[LookState], key: str, arm: str) -> tuple[SafetyLook, ...]:
    """One guardrail's looks so far on one arm."""
    return tuple(
        g.look for state in states for g in state.guardrails if (g.key, g.arm) == (key, arm)
    )


def _safety_look(harm: Harm, before: tuple[SafetyLook, ...], state: LookState) -> SafetyLook:
    """The guardrail's own information time, never falling; it ends with the primary's last look."""
    t = min(1.0, information(harm.n_control, harm.n_treatment) / state.n_planned)
    least = before[-1].t if before else SMALLEST_TIME
    return SafetyLook(max(t, least), harm.z, state.last)
