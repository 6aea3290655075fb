"""What decisions have to say, put into the outbox where the decision is stored or carried out.

Each decision is told once. What the machine carries out is told by the change itself, in the
changelog's line; so only the rest is told here: what asks a person, what will come by itself later,
what changes nothing, and what could not be done.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.models import Decision
from experiments.core.cards import Card
from experiments.core.design.policies import Window
from experiments.core.figures import moment
from experiments.core.messages.notices import Notice, NoticeKind, one_line
from experiments.core.types import JSON
from experiments.models import Experiment
from experiments.selectors.experiments import iteration_design, iteration_rules
from experiments.services.ground import outbox

_KINDS = {"escalate": NoticeKind.BREACH, "keep": NoticeKind.DECISION, "hold": NoticeKind.DECISION}
"""Verdicts that nobody carries out."""
_REFUSED = {"stop": NoticeKind.BREACH, "promote": NoticeKind.PROMOTION}


def decided(experiment: Experiment, decision: Decision, now: datetime) -> None:
    """A decision was made: tell it, unless a change will."""
    degraded = decision.verdict == "hold" and bool(decision.arms)
    kind = NoticeKind.BREACH if degraded else _KINDS.get(decision.verdict)
    if kind is not None:
        _tell(experiment, decision, now, kind)
    elif decision.verdict == "promote" and iteration_design(decision.iteration).auto_promote:
        window = iteration_rules(decision.iteration).window
        if not in_window(window, now, experiment.time_zone):
            promotion_ahead(experiment, decision, now)


def promotion_ahead(experiment: Experiment, decision: Decision, now: datetime) -> datetime:
    """Give notice of a promotion that is waiting for its window, once; says when notice was
    given.
    """
    key = f"notice:{decision.pk}"
    told = outbox.told_at(key)
    if told is not None:
        return told
    hours = iteration_rules(decision.iteration).notice_hours
    comes = now + timedelta(hours=hours)
    arm = "" if decision.variant is None else decision.variant.key
    said = _card_of(experiment, now).sentence
    text = f"{said}\nIn its promotion window, or else from {moment(comes)} on. Hold it on the experiment's page."
    title = f"{experiment.key}: {arm} will be promoted by itself"
    outbox.put(
        now,
        Notice(
            NoticeKind.PROMOTION, title, text, _facts(decision) | {"not_before": comes.isoformat()}
        ),
        key=key,
        experiment=experiment,
    )
    return now


def refused(experiment: Experiment, decision: Decision, now: datetime, why: str) -> None:
    """A decision could not be carried out: the rules refused it, and a person is asked."""
    kind = _REFUSED.get(decision.verdict, NoticeKind.DECISION)
    _tell(experiment, decision, now, kind, why)


def overtaken(experiment: Experiment, decision: Decision, now: datetime, why: str) -> None:
    """A decision came too late: somebody was first."""
    _tell(experiment, decision, now, NoticeKind.DECISION, why)


def in_window(window: Window, now: datetime, zone: str) -> bool:
    """Whether a moment lies in the promotion window, in the experiment's time zone."""
    local = now.astimezone(ZoneInfo(zone))
    return window.always or (
        local.weekday() in window.days and window.from_hour <= local.hour < window.to_hour
    )


def _tell(
    experiment: Experiment, decision: Decision, now: datetime, kind: NoticeKind, why: str = ""
) -> None:
    """The card's sentence and its next step, as every page says them; the rule behind it
    follows.
    """
    found = _card_of(experiment, now)
    title = one_line(
        f"{experiment.name}: {found.state.value}" + (" (not carried out)" if why else "")
    )
    text = "\n".join(
        filter(None, (found.sentence, why, f"Decision {decision.pk}: {decision.rule}"))
    )
    notice = Notice(kind, title, text, _facts(decision) | {"state": found.state.value})
    outbox.put(now, notice, key=f"decision:{decision.pk}", experiment=experiment)


def _facts(decision: Decision) -> dict[str, JSON]:
    variant = None if decision.variant is None else decision.variant.key
    return {
        "decision": decision.pk,
        "verdict": decision.verdict,
        "outcome": decision.outcome,
        "variant": variant,
    }


def _card_of(experiment: Experiment, now: datetime) -> Card:
    from analytics.selectors.cards import (
        card_of,
    )  # here: cards need numpy, and a tick that tells nothing does not

    return card_of(experiment, now)
