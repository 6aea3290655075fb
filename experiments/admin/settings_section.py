"""What is set around an experiment: its policy in words, its team, its dates, and what was amended
since its launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model

from experiments.admin.experiment_view import View
from experiments.admin.template_filters import thousandths
from experiments.core.design.policies import PolicyRules
from experiments.core.figures import counted
from experiments.core.permissions import Action
from experiments.core.types import Status
from experiments.models import ChangeLogEntry

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_PEOPLE = 500
MOST_AMENDMENTS = 30


def section(view: View, items: Sequence[Any]) -> dict[str, Any]:
    """The settings tab."""
    e = view.experiment
    team = list(e.collaborators.order_by("username"))
    known = {e.owner_id, *(one.pk for one in team)}
    people = (
        get_user_model()
        .objects.filter(is_active=True, groups__isnull=False)
        .exclude(pk__in=known)
        .distinct()
        .order_by("username")
    )
    started = e.start_ts if e.status != Status.DRAFT else None
    amended = (
        ChangeLogEntry.objects.filter(experiment=e, action="experiment_edited", at__gt=started)
        if started
        else ()
    )
    return {
        "policy_words": in_words(view.rules),
        "team": team,
        "people": list(people[:MOST_PEOPLE]) if view.may(Action.EDIT_DRAFT) else [],
        "team_url": view.url("team") if view.may(Action.EDIT_DRAFT) else None,
        "amendments": list(amended[:MOST_AMENDMENTS]) if started else [],
        "started": started,
    }


def in_words(rules: PolicyRules) -> list[str]:
    """A policy's demands as sentences."""
    found = [
        f"Asks for {len(rules.requires)} checklist items before launch."
        if rules.requires
        else "Asks for no checklist item."
    ]
    if rules.min_control or rules.max_test < 1000:
        found.append(
            f"Control at least {thousandths(rules.min_control)} of all units, each test arm {thousandths(rules.min_test)}"
            f" to {thousandths(rules.max_test)}."
        )
    found.append(
        f"A decision needs {counted(rules.weeks, 'complete week')}: every weekday so often."
    )
    if rules.dark_launch:
        found.append(
            f"A dark launch of at least {counted(rules.dark_min_hours, 'hour')} and {counted(rules.dark_min_requests, 'request')}."
        )
    found.append(_window(rules))
    if rules.holdback:
        found.append(
            f"After a promotion {thousandths(rules.holdback)} of the audience are held back for comparison."
        )
    return found


def _window(rules: PolicyRules) -> str:
    if rules.window.always:
        return "A winner may be promoted by itself at any time."
    days = ", ".join(DAYS[day] for day in rules.window.days)
    return (
        f"A winner is promoted by itself on {days} from {rules.window.from_hour} to {rules.window.to_hour},"
        f" elsewhere after {rules.notice_hours} hours' notice."
    )
