"""Where an experiment's ramp stands, on its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.admin.experiment_view import Link, View
from experiments.core.life.ramping import (
    HeldBy,
    RampAction,
    RampFacts,
    RampMove,
    RampStep,
    next_move,
    parse_ramp,
)
from experiments.core.permissions import Action
from experiments.core.types import Status
from experiments.models import RampStay
from experiments.selectors.experiments import iteration_design


@dataclass(frozen=True)
class RampCard:
    """The card: every step with its stays, what comes next in words, who holds it, and the buttons
    of this person.
    """

    steps: Sequence[tuple[RampStep, Sequence[RampStay]]]
    at: int | None
    stay: RampStay | None
    move: RampMove | None
    links: Sequence[Link]


def card(view: View) -> RampCard | None:
    """The newest iteration's ramp, else the planned one; None where all is served at once."""
    iteration = view.experiment.iterations.order_by("number").last()
    steps = parse_ramp(
        view.experiment.ramp if iteration is None else iteration_design(iteration).ramp
    )
    if not steps:
        return None
    stays = [] if iteration is None else list(iteration.stays.all())
    stay = (
        next((one for one in stays if one.ended_at is None), None)
        if view.experiment.status == Status.RUNNING
        else None
    )
    return RampCard(
        steps=[
            (step, [one for one in stays if one.step == place]) for place, step in enumerate(steps)
        ],
        at=None if stay is None else stay.step,
        stay=stay,
        move=None if stay is None else next_move(facts_of(view.experiment.pk, view.now)),
        links=[] if stay is None else _links(view, stay, len(steps)),
    )


def facts_of(experiment_id: int, now: datetime) -> RampFacts:
    """What the newest analysis says of it."""
    from analytics.selectors.ramps import ramp_facts  # its numerics load only when asked for

    return ramp_facts(experiment_id, now)


def _links(view: View, stay: RampStay, steps: int) -> list[Link]:
    found = []
    if stay.step + 1 < steps and view.may(Action.ADVANCE_RAMP):
        found.append(Link("Advance", view.url("ramp", RampAction.ADVANCE)))
    if view.may(Action.HOLD_RAMP):
        held = stay.held_by == HeldBy.PERSON
        found.append(
            Link("Resume", view.url("ramp", RampAction.RESUME))
            if held
            else Link("Hold", view.url("ramp", RampAction.HOLD))
        )
    return found
