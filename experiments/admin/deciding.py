"""Where a person decides: what can be done side by side, each with its consequence and what stands
against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

from analytics.selectors.cards import unmet_conditions
from experiments.admin import experiment_view
from experiments.admin.base import WorkplaceAdmin
from experiments.admin.experiment_actions import found, in_the_way, not_theirs
from experiments.admin.experiment_page import serving_of
from experiments.admin.experiment_view import View, page_url
from experiments.core.clock import utc_now
from experiments.core.errors import Problem
from experiments.core.life.consequences import sentence
from experiments.core.life.lifecycle import Transition, Verb, verbs_from
from experiments.core.permissions import Action
from experiments.core.types import PauseCause, Status

_ORDER = (Verb.RESUME, Verb.CONCLUDE, Verb.PAUSE)
_LABELS = {Verb.CONCLUDE: "Stop it for good", Verb.PAUSE: "Pause it", Verb.RESUME: "Resume it"}


@dataclass(frozen=True)
class Choice:
    """One thing to do: what follows, what is not met, and what stands in the way of this person."""

    label: str
    consequence: str
    url: str | None
    button: str = ""
    tone: str = ""
    unmet: Sequence[str] = ()
    blockers: Sequence[Problem] = ()


def page(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """The choices of now. It changes nothing."""
    admin.refuse_unless_may_view(request)
    view = experiment_view.look(request, found(experiment_id), utc_now())
    context = {
        "title": view.experiment.name,
        "experiment": view.experiment,
        "card": view.card,
        "choices": choices(view),
    }
    return admin.page(
        request, "admin/assay/decide.html", context | {"back": page_url(view.experiment.pk)}
    )


def choices(view: View) -> list[Choice]:
    """Stop, keep running, promote: as the lifecycle allows them now, nothing recommended by its
    place or colour.
    """
    e = view.experiment
    arrows = {
        arrow.verb: arrow for arrow in verbs_from(Status(e.status), PauseCause(e.pause_cause))
    }
    made = [_choice(view, arrows[verb], view.now) for verb in _ORDER if verb in arrows]
    if e.status == Status.RUNNING:
        made.append(_keep(view))
    return [*made, *(_promotions(view, arrows[Verb.PROMOTE]) if Verb.PROMOTE in arrows else [])]


def _choice(view: View, arrow: Transition, now: datetime) -> Choice:
    e = view.experiment
    against = [
        *not_theirs(view.actor, e, arrow.action),
        *in_the_way(view.actor, e, arrow.verb, now),
    ]
    consequence = sentence(arrow.verb, serving_of(e, view.rules, now))
    url = None if against else view.url("do", arrow.verb)
    return Choice(
        _LABELS.get(arrow.verb, arrow.label), consequence, url, f"{arrow.label}…", blockers=against
    )


def _keep(view: View) -> Choice:
    """Nothing changes; a promotion that is on hold can be released."""
    held = view.experiment.promotion_held and view.may(Action.HOLD_PROMOTION)
    url = view.url("hold") if held else page_url(view.experiment.pk)
    button = "Release the hold…" if held else "Keep running"
    return Choice(
        "Keep it running",
        "Nothing changes: users keep what they get, and it is analysed every few minutes.",
        url,
        button,
    )


def _promotions(view: View, arrow: Transition) -> list[Choice]:
    """Promoting each test arm that serves, with the conditions that it does not meet."""
    e = view.experiment
    off = set(
        e.iterations.filter(ended_at__isnull=True).values_list(
            "stopped_arms__variant__key", flat=True
        )
    )
    arms = [arm for arm in e.variants.all() if not arm.is_control and arm.key not in off]
    against = [
        *not_theirs(view.actor, e, arrow.action),
        *in_the_way(view.actor, e, Verb.PROMOTE, view.now),
    ]
    return [_promotion(view, arm.key, arm.name, against) for arm in arms]


def _promotion(view: View, key: str, name: str, against: Sequence[Problem]) -> Choice:
    unmet = unmet_conditions(view.experiment.pk, key)
    consequence = sentence(Verb.PROMOTE, serving_of(view.experiment, view.rules, view.now))
    url = None if against else f"{view.url('do', Verb.PROMOTE)}?variant={key}"
    label = f"Promote “{name}” anyway" if unmet else f"Promote “{name}”"
    return Choice(label, consequence, url, f"{label}…", "bad" if unmet else "", unmet, against)
