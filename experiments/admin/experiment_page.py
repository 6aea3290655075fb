"""The experiment's page: head, next step, and one section at a time. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from analytics.selectors.standing import Said
from experiments.admin import results_section
from experiments.admin.base import Crumb
from experiments.admin.experiment_sections import SECTIONS
from experiments.admin.experiment_view import Link, View, approves, page_url
from experiments.admin.rollout_section import seen_now
from experiments.core.checklist import SIGNED_ITEMS, ItemState, basis, states
from experiments.core.consequences import Serving
from experiments.core.errors import Problem
from experiments.core.headline import Standing, headline, unchecked
from experiments.core.lifecycle import Verb, transition_for
from experiments.core.permissions import SIGNING, Action, who_may
from experiments.core.policies import PolicyRules
from experiments.core.ramping import first_share, parse_ramp
from experiments.core.types import Item, PauseCause, Status
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
FIRST_TAB = {Status.RUNNING: "results", Status.PAUSED: "results", Status.COMPLETED: "results", Status.ARCHIVED: "results"}
UNLAUNCHED = (Status.DRAFT, Status.DARK_LAUNCH)
ANALYSED = (Status.RUNNING, Status.PAUSED)
ENDED = (Status.COMPLETED, Status.ARCHIVED)
FORWARD = ("start_dark_launch", "start", "resume", "archive")
"""Verbs that lead on; the others turn aside and are offered smaller."""
GRAVE = ("emergency_stop", "abort_dark_launch")


@dataclass(frozen=True)
class Next:
    """The one next step: a button when this person can take it, else who is waited for."""

    label: str
    url: str | None
    note: str
    blockers: Sequence[Problem] = ()


def context(view: View, tab: str) -> dict[str, Any]:
    """Everything the page shows: its head and the section asked for."""
    items = states(view.facts)
    known = dict(TABS)
    tab = tab if tab in known else FIRST_TAB.get(Status(view.experiment.status), "checklist")
    waiting = [s for s in items if s.required and s.state != "done"]
    said = results_section.said(view.experiment) if view.experiment.status in ANALYSED else None
    steps = checklist.steps_of(view.facts, view.actor, member=view.member)
    unsettled = len(waiting) if view.experiment.status in UNLAUNCHED else 0
    return {
        "title": view.experiment.name,
        "experiment": view.experiment,
        "original": Crumb(view.experiment, view.experiment.name),
        "view": view,
        "no_checks": unchecked(view.experiment.experiment_type, len(view.rules.requires)),
        "headline": headline(_standing(view, waiting, said)),
        "next": _next(view, waiting, steps, said),
        "asides": _asides(view, steps),
        "seen_now": seen_now(view.experiment, view.now) if view.experiment.status in ENDED else None,
        "tabs": [(key, label, page_url(view.experiment.pk, key), unsettled if key == "checklist" else 0) for key, label in TABS],
        "tab": tab,
        "section": f"admin/assay/section_{tab}.html",
        "editable": view.may(Action.EDIT_DRAFT),
        **SECTIONS[tab](view, items),
    }


def serving_of(experiment: Experiment, rules: PolicyRules, now: datetime) -> Serving:
    """What the consequence sentences need, from the experiment as planned."""
    iteration = open_iteration(experiment)
    anew = iteration is not None and resumes_anew(iteration, design_of(experiment), now)
    arms, steps = list(experiment.variants.all()), parse_ramp(experiment.ramp)
    control = next((v.name for v in arms if v.is_control), "control")
    tests = [v.name for v in arms if not v.is_control]
    return Serving(
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


def _standing(view: View, waiting: Sequence[ItemState], said: Said | None) -> Standing:
    e = view.experiment
    finding = said.sentence if said else None
    winner = e.rollouts.select_related("variant").last() if e.status in ENDED else None
    return Standing(e.status, e.outcome, e.pause_cause, [s.title for s in waiting], finding, winner.variant.name if winner else None)


def _next(view: View, waiting: Sequence[ItemState], steps: Sequence[Any], said: Said | None) -> Next:
    forward = next((s for s in steps if s.verb in FORWARD), None)
    due = next((item for item in waiting if _is_due(view, item.item)), None)
    if due is not None:
        return _item_next(view, due, forward)
    if view.experiment.status == Status.RUNNING:
        return _running(view, steps, said.kind if said else "")
    if forward is None:
        return _nothing_to_press(view)
    if forward.blockers:
        return Next(f"{forward.label}: not possible yet", None, "What stands in the way:", forward.blockers)
    return Next(forward.label, view.url("do", forward.verb), "You will be asked to confirm.")


def _is_due(view: View, item: Item) -> bool:
    """Whether an open item is this stage's: the last two come with or after the dark launch."""
    late = item in (Item.DARK_LAUNCH, Item.APPROVAL) and view.rules.dark_launch
    return view.experiment.status == Status.DARK_LAUNCH or (view.experiment.status == Status.DRAFT and not late)


def _running(view: View, steps: Sequence[Any], recommended: str) -> Next:
    """Only a decision that asks for a person makes promoting the next step."""
    promote = next((s for s in steps if s.verb == "promote"), None)
    if recommended == "promote" and not view.experiment.promotion_held:
        return Next("A winner: promoted by itself", None, "In the policy's promotion window. Hold it if there is a reason to wait.")
    if promote is None or recommended not in ("escalate", "promote"):
        return _nothing_to_press(view)
    if promote.blockers:
        return Next("A second person decides", None, "The analysis asks for a person.", promote.blockers)
    return Next("Decide: promote", view.url("do", "promote"), "The analysis asks for a person. Or conclude it.")


def _item_next(view: View, due: ItemState, forward: Any) -> Next:
    """The next open item: this person's turn, or somebody else's."""
    anchor = page_url(view.experiment.pk, "checklist") + f"#item-{due.item}"
    blockers = list(forward.blockers) if forward else []
    if _can_help(view, due.item) and _waits_for_signature(view, due.item):
        return Next(f"Sign: {due.title}", anchor, due.message, blockers)
    if _can_help(view, due.item):
        return Next(_DO[due.item], _where(view, due.item, anchor), due.message, blockers)
    if due.item == Item.APPROVAL and not view.facts.request:
        return Next("Waiting for: the launch request", None, f"{who_may(Action.REQUEST_LAUNCH)}.", blockers)
    return Next(f"Waiting for: {due.title}", None, f"This is for: {due.role}.", blockers)


_DO = {
    Item.PRD: "Complete the PRD",
    Item.FLAG: "Choose a flag",
    Item.METRICS: "Choose metrics and guardrails",
    Item.SAMPLE_SIZE: "Compute the sample size",
    Item.OFFLINE: "Settle the offline thresholds",
    Item.DARK_LAUNCH: "Check and sign the dark launch",
    Item.APPROVAL: "Request the launch",
}
FORM_PARTS = {Item.PRD: "prd", Item.FLAG: "audience", Item.METRICS: "metrics"}
_HELPS: dict[Item, tuple[Action, ...]] = {
    Item.PRD: (Action.SIGN_PRD, Action.EDIT_DRAFT),
    Item.FLAG: (Action.EDIT_DRAFT,),
    Item.METRICS: (Action.EDIT_DRAFT,),
    Item.SAMPLE_SIZE: (Action.COMPUTE_EVIDENCE,),
    Item.OFFLINE: (Action.SIGN_OFFLINE, Action.RECORD_OFFLINE),
    Item.DARK_LAUNCH: (Action.SIGN_DARK_LAUNCH,),
}


def _where(view: View, item: Item, anchor: str) -> str:
    """The form in which the item is brought on, where it is not the checklist itself."""
    if item in FORM_PARTS and view.may(Action.EDIT_DRAFT):
        return f"{view.url('edit')}#{FORM_PARTS[item]}"
    if item == Item.OFFLINE and view.may(Action.RECORD_OFFLINE):
        return page_url(view.experiment.pk, "offline")
    if item == Item.APPROVAL and not view.facts.request:
        return view.url("request_launch")
    return anchor


def _waits_for_signature(view: View, item: Item) -> bool:
    """Whether a person's signature is all that is missing, and this person may give it."""
    return item in SIGNED_ITEMS and basis(view.facts, item).signable and view.may(SIGNING[item])


def _can_help(view: View, item: Item) -> bool:
    if item == Item.APPROVAL:
        return approves(view.actor, view.facts.request) if view.facts.request else view.may(Action.REQUEST_LAUNCH)
    return any(view.may(action) for action in _HELPS[item])


def _nothing_to_press(view: View) -> Next:
    notes = {
        Status.RUNNING: ("Let it run", "Results are analysed by themselves; nothing needs to be pressed."),
        Status.ARCHIVED: ("Nothing to do", "It is archived; its history stays."),
        Status.COMPLETED: ("Finished", "Read the results and write down what was learned."),
    }
    label, note = notes.get(Status(view.experiment.status)) or _waits_for_press(view)
    return Next(label, None, note)


def _waits_for_press(view: View) -> tuple[str, str]:
    """Which arrow is next, and whose it is."""
    verb = Verb.START_DARK_LAUNCH if view.experiment.status == Status.DRAFT and view.rules.dark_launch else Verb.START
    verb = Verb.RESUME if view.experiment.status == Status.PAUSED else verb
    arrow = transition_for(verb, Status(view.experiment.status), PauseCause(view.experiment.pause_cause))
    if arrow is None:
        return "Waiting for the team", "This step is for a member of the experiment's team."
    return f"Waiting for: {arrow.label}", f"{who_may(arrow.action)}."


def _asides(view: View, steps: Sequence[Any]) -> list[Link]:
    copy = (
        [Link("Clone", reverse("admin:experiments_experiment_add") + f"?like={view.experiment.pk}")] if view.may(Action.EDIT_DRAFT) else []
    )
    links = [
        Link(s.label, view.url("do", s.verb), "danger-line" if s.verb in GRAVE else "")
        for s in steps
        if not s.blockers and s.verb not in FORWARD
    ]
    holdable = view.experiment.auto_promote or view.experiment.promotion_held
    if view.experiment.status == Status.RUNNING and holdable and view.may(Action.HOLD_PROMOTION):
        links.append(Link("Release the promotion" if view.experiment.promotion_held else "Hold the promotion", view.url("hold")))
    if view.may(Action.RETURN_TO_CONTROL) and _returnable(view):
        links.append(Link("Return to control", view.url("do", "return_to_control"), "danger-line"))
    return [*links, *copy]


def _returnable(view: View) -> bool:
    """Whether there is a promotion to take back; after 28 days it is no longer one click."""
    promoted = view.experiment.rollouts.filter(closed_at=None, returnable_until__gt=view.now)
    return promoted.exclude(variant__is_control=True).exists()
