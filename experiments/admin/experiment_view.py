"""Who looks at which experiment, when: what every part of its page is built from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from analytics.selectors.cards import card_of
from experiments.admin.base import actor_of, may
from experiments.core.cards import Card, NextStep, Viewer
from experiments.core.design.policies import PolicyRules
from experiments.core.life.checklist import LaunchFacts, Requested
from experiments.core.life.four_eyes import four_eyes
from experiments.core.permissions import Action
from experiments.core.permissions import may as allowed
from experiments.core.types import Actor
from experiments.models import Experiment
from experiments.selectors import checklist
from experiments.selectors.experiments import is_member, rules_of


@dataclass(frozen=True)
class Link:
    """A button that leads to a confirm page or a form."""

    label: str
    url: str
    style: str = ""


@dataclass(frozen=True)
class View:
    """Who looks at which experiment, when; what every section is built from."""

    experiment: Experiment
    actor: Actor
    member: bool
    rules: PolicyRules
    now: datetime
    request: HttpRequest
    facts: LaunchFacts
    card: Card

    def url(self, name: str, *args: Any) -> str:
        """The URL of one of this experiment's pages."""
        return reverse(f"admin:experiment_{name}", args=(self.experiment.pk, *args))

    @property
    def step(self) -> NextStep:
        """What whoever looks does next."""
        return self.card.step(Viewer(self.actor, self.member))

    def may(self, action: Action) -> bool:
        """Whether to offer it; the service decides."""
        return may(self.request, action, member=self.member)


def approves(actor: Actor, request: Requested | None) -> bool:
    """Whether this person may give the approval that was asked for: never one's own."""
    return (
        request is not None
        and not four_eyes(actor, request)
        and allowed(actor, Action.APPROVE_LAUNCH, member=False)
    )


def page_url(experiment_id: int, tab: str = "") -> str:
    """The experiment's page, at a section."""
    return reverse("admin:experiments_experiment_change", args=(experiment_id,)) + (
        f"?tab={tab}" if tab else ""
    )


def look(request: HttpRequest, experiment: Experiment, now: datetime) -> View:
    """The view of an experiment for whoever asks."""
    actor = actor_of(request)
    facts = checklist.facts(experiment, now)
    return View(
        experiment,
        actor,
        is_member(actor, experiment),
        rules_of(experiment),
        now,
        request,
        facts,
        card_of(experiment, now, facts),
    )


def step_url(experiment: Experiment, step: NextStep) -> str | None:
    """The page on which a next step is taken; None when there is nothing to press."""
    where, _, name = step.target.partition(":")
    experiment_id = experiment.pk
    if where == "tab":
        return page_url(experiment_id, name)
    if where == "item":
        return page_url(experiment_id, "checklist") + f"#item-{name}"
    if where == "form":
        return reverse("admin:experiment_edit", args=(experiment_id,)) + f"#{name}"
    if where == "do":
        return reverse("admin:experiment_do", args=(experiment_id, name))
    if where == "flag":
        return (
            reverse("admin:experiments_flag_change", args=(experiment.flag.pk,))
            if experiment.flag is not None
            else None
        )
    return reverse(f"admin:experiment_{where}", args=(experiment_id,)) if where else None
