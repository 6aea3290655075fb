"""The experiment's page: head, next step, and one section at a time. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from experiments.admin.base import Crumb
from experiments.admin.experiment_sections import SECTIONS
from experiments.admin.experiment_view import Link, View, page_url, step_url
from experiments.admin.rollout_section import gets_now, seen_now
from experiments.admin.urgent import badge
from experiments.core.cards import State
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import Problem
from experiments.core.life.checklist import states
from experiments.core.life.consequences import ServedExperiment
from experiments.core.life.lifecycle import Verb
from experiments.core.life.ramping import first_share, parse_ramp
from experiments.core.life.unchecked import unchecked
from experiments.core.permissions import Action
from experiments.core.types import Status
from experiments.models import Experiment
from experiments.selectors import checklist
from experiments.selectors.experiments import design_of, open_iteration, resumes_anew

TABS = (
    ("checklist", "Checklist"),
    ("plan", "Plan"),
    ("offline", "Offline evaluations"),
    ("traffic", "Traffic"),
    ("results", "Results"),
    ("cost", "Cost"),
    ("health", "Health"),
    ("wiring", "Wiring"),
    ("history", "History"),
    ("settings", "Settings"),
)
FIRST_TAB = {
    Status.RUNNING: "results",
    Status.PAUSED: "results",
    Status.COMPLETED: "results",
    Status.ARCHIVED: "results",
}
UNLAUNCHED = (Status.DRAFT, Status.DARK_LAUNCH)
ANALYSED = (Status.RUNNING, Status.PAUSED)
ENDED = (Status.COMPLETED, Status.ARCHIVED)
FORWARD = ("start_dark_launch", "start", "resume", "archive")
"""Verbs that lead on; the others turn aside and are offered smaller."""
GRAVE = ("emergency_stop", "abort_dark_launch")


@dataclass(frozen=True)
class Next:
    """The one next step: a button when this person can take it, else who is waited for;
    ``neutral``: it recommends nothing.
    """

    label: str
    url: str | None
    note: str
    blockers: Sequence[Problem] = ()
    neutral: bool = False


def context(view: View, tab: str) -> dict[str, Any]:
    """Everything the page shows: its head and the section asked for."""
    items = states(view.facts)
    known = dict(TABS)
    tab = tab if tab in known else FIRST_TAB.get(Status(view.experiment.status), "checklist")
    waiting = [s for s in items if s.required and not s.settled]
    steps = checklist.steps_of(view.facts, view.actor, member=view.member)
    unsettled = len(waiting) if view.experiment.status in UNLAUNCHED else 0
    return {
        "title": view.experiment.name,
        "experiment": view.experiment,
        "original": Crumb(view.experiment, view.experiment.name),
        "view": view,
        "no_checks": unchecked(view.experiment.experiment_type, len(view.rules.requires)),
        "card": view.card,
        "state": badge(view.card),
        "next": _next(view, steps),
        "asides": _asides(view, steps),
        "gets": gets_now(view.experiment, view.now),
        "seen_now": seen_now(view.experiment, view.now)
        if view.experiment.status in ENDED
        else None,
        "tabs": [
            (key, label, page_url(view.experiment.pk, key), unsettled if key == "checklist" else 0)
            for key, label in TABS
        ],
        "tab": tab,
        "section": f"admin/assay/section_{tab}.html",
        "editable": view.may(Action.EDIT_DRAFT),
        **SECTIONS[tab](view, items),
    }


def serving_of(experiment: Experiment, rules: PolicyRules, now: datetime) -> ServedExperiment:
    """What the consequence sentences need, from the experiment as planned."""
    iteration = open_iteration(experiment)
    anew = iteration is not None and resumes_anew(iteration, design_of(experiment), now)
    arms, steps = list(experiment.variants.all()), parse_ramp(experiment.ramp)
    control = next((v.name for v in arms if v.is_control), "control")
    tests = [v.name for v in arms if not v.is_control]
    return ServedExperiment(
        flag=experiment.flag_id or "none",
        unit=experiment.unit_type,
        traffic=first_share(steps, experiment.traffic),
        ramp_to=experiment.traffic if len(steps) > 1 else None,
        control=control,
        tests=tests,
        dark_mode=experiment.dark_mode,
        holdback=rules.holdback,
        anew=anew,
    )


def _next(view: View, steps: Sequence[checklist.VerbStep]) -> Next:
    """The card's next step, with its page or with what stands in the way of it."""
    step = view.step
    verb = step.target.removeprefix("do:") if step.target.startswith("do:") else ""
    if view.facts.status in UNLAUNCHED and not verb:
        verb = next((one.verb for one in steps if one.verb in FORWARD), "")
    pressed = next((one for one in steps if one.verb == verb), None)
    blockers = () if pressed is None else pressed.blockers
    if step.target.startswith("do:") and blockers:
        return Next(step.label, None, "Not possible yet:", blockers)
    return Next(
        step.label,
        step_url(view.experiment, step),
        step.note,
        blockers,
        neutral=step.target == "decide",
    )


def _asides(view: View, steps: Sequence[Any]) -> list[Link]:
    copy = (
        [Link("Clone", reverse("admin:experiments_experiment_add") + f"?like={view.experiment.pk}")]
        if view.may(Action.EDIT_DRAFT)
        else []
    )
    links = [
        Link(
            _aside_label(view, s), view.url("do", s.verb), "danger-line" if s.verb in GRAVE else ""
        )
        for s in steps
        if not s.blockers
        and f"do:{s.verb}" != view.step.target
        and not (s.verb in FORWARD and view.facts.status in UNLAUNCHED)
    ]
    holdable = view.experiment.auto_promote or view.experiment.promotion_held
    if view.experiment.status == Status.RUNNING and holdable and view.may(Action.HOLD_PROMOTION):
        links.append(
            Link(
                "Release the promotion" if view.experiment.promotion_held else "Hold the promotion",
                view.url("hold"),
            )
        )
    if view.may(Action.RETURN_TO_CONTROL) and _returnable(view):
        links.append(Link("Return to control", view.url("do", "return_to_control"), "danger-line"))
    return [*links, *copy]


def _aside_label(view: View, step: Any) -> str:
    """A promotion that nobody recommends says so before it is pressed."""
    ready = view.card.state in (State.PROMOTING, State.PROMOTION_HELD, State.PROMOTABLE)
    return "Promote anyway" if step.verb == Verb.PROMOTE and not ready else str(step.label)


def _returnable(view: View) -> bool:
    """Whether there is a promotion to take back; after 28 days it is no longer one click."""
    promoted = view.experiment.rollouts.filter(closed_at=None, returnable_until__gt=view.now)
    return promoted.exclude(variant__is_control=True).exists()
