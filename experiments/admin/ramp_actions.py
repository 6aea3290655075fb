"""What people do to a ramp: advance it, hold it, let it go on; each asked first, with what stands
against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse, QueryDict

from experiments.admin.base import WorkplaceAdmin, actor_of
from experiments.admin.doing import Confirm, confirmed
from experiments.admin.experiment_actions import found, not_theirs
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import reason_field
from experiments.admin.ramp_section import facts_of
from experiments.core.clock import utc_now
from experiments.core.errors import Problem
from experiments.core.life.ramping import (
    RampAction,
    RampFacts,
    next_move,
    percent,
    standing_against,
    waits_for,
)
from experiments.core.permissions import Action
from experiments.core.types import Actor, Status
from experiments.models import Experiment, RampStay
from experiments.services.life import ramps


@dataclass(frozen=True)
class _Doing:
    """One thing people do: its right, its words, and the service."""

    right: Action
    label: str
    done: str
    service: Callable[..., Experiment]


_DOINGS: Mapping[RampAction, _Doing] = {
    RampAction.ADVANCE: _Doing(
        Action.ADVANCE_RAMP, "Advance the ramp", "the ramp went one step up", ramps.advance
    ),
    RampAction.HOLD: _Doing(Action.HOLD_RAMP, "Hold the ramp", "the ramp is held", ramps.hold),
    RampAction.RESUME: _Doing(
        Action.HOLD_RAMP, "Resume the ramp", "the ramp goes on by itself", ramps.resume
    ),
}


def do(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, action: str
) -> HttpResponse:
    """Ask, then advance, hold or resume."""
    if action not in list(RampAction):
        raise Http404("no such thing to do to a ramp")
    experiment, verb = found(experiment_id), RampAction(action)
    doing = _DOINGS[verb]

    def work(data: QueryDict) -> str:
        reason = data.get("reason", "").strip()
        doing.service(actor_of(request), utc_now(), experiment_id=experiment.pk, reason=reason)
        return f"{experiment.name}: {doing.done}."

    confirm = _confirm(actor_of(request), experiment, verb, utc_now())
    return confirmed(
        admin, request, title=experiment.name, about=experiment, confirm=confirm, work=work
    )


def _confirm(actor: Actor, experiment: Experiment, verb: RampAction, now: datetime) -> Confirm:
    doing = _DOINGS[verb]
    stay = RampStay.objects.filter(
        iteration__experiment=experiment, iteration__ended_at=None, ended_at=None
    ).first()
    facts = (
        None
        if stay is None or experiment.status != Status.RUNNING
        else facts_of(experiment.pk, now)
    )
    return Confirm(
        question=f"{doing.label} of {experiment.name}?",
        button=doing.label,
        back=page_url(experiment.pk, "traffic"),
        consequence="" if facts is None else _consequence(verb, facts, experiment.unit_type),
        said="" if facts is None else next_move(facts).rule,
        fields=[
            reason_field(
                required=verb is RampAction.HOLD
                or (facts is not None and verb is RampAction.ADVANCE and bool(waits_for(facts)))
            )
        ],
        blockers=[
            *not_theirs(actor, experiment, doing.right),
            *_in_the_way(experiment, verb, facts),
        ],
    )


def _consequence(verb: RampAction, facts: RampFacts, unit: str) -> str:
    now = percent(facts.step.share)
    if verb is RampAction.HOLD:
        return f"nothing. {now} of {unit}s stay in the experiment until somebody resumes or advances it."
    if verb is RampAction.RESUME or facts.at + 1 == len(facts.steps):
        return "nothing yet. The next step is taken by itself once its minimum is met and nothing stands against it."
    then = percent(facts.steps[facts.at + 1].share)
    return f"{then} of {unit}s are in the experiment instead of {now}. Those who are in it keep the variant they have."


def _in_the_way(experiment: Experiment, verb: RampAction, facts: RampFacts | None) -> list[Problem]:
    """What stands against it now; the service asks again."""
    if facts is None:
        return [Problem("no_ramp", f"{experiment.name} runs no ramp now.", "ramp")]
    if verb is not RampAction.ADVANCE:
        return []
    against = [*standing_against(facts), *([facts.unknown] if facts.unknown else [])]
    return [Problem("ramp_against", one, "ramp") for one in against]
