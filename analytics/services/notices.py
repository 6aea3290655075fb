"""What decisions and health findings have to say, put into the outbox where the decision is stored or carried out.

Each decision is told once. What the machine carries out is told by the change itself, in the
changelog's line; so only the rest is told here: what asks a person, what will come by itself later,
what changes nothing, and what could not be done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.core.findings import Finding
from analytics.core.results import WHAT_TO_DO
from analytics.models import Decision
from analytics.selectors.cards import card_of
from experiments.core.figures import moment
from experiments.core.notices import Notice, NoticeKind, one_line
from experiments.core.policies import Window
from experiments.core.types import JSON
from experiments.models import Experiment
from experiments.selectors.experiments import iteration_design, iteration_rules
from experiments.services import outbox

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


def unhealthy(experiment: Experiment, iteration_id: int, found: Sequence[Finding], before: Collection[str], now: datetime) -> None:
    """Tell the findings that were not there at the reading before (``before`` are its codes); one that comes and goes, once a day."""
    for one in found:
        if one.weight == "info" or one.code in before or one.code in _QUIET:
            continue
        advice = WHAT_TO_DO.get(one.code, "")
        hidden = "\nResults stay masked until this is repaired." if one.masks else ""
        facts: dict[str, JSON] = {"finding": one.code, "weight": one.weight, "masks": one.masks}
        title = f"{experiment.key}: {one.sentence}"
        key = f"health:{iteration_id}:{one.code}:{now:%Y-%m-%d}"
        outbox.put(now, Notice(NoticeKind.HEALTH, title, f"{advice}{hidden}".strip(), facts), key=key, experiment=experiment)


_QUIET = frozenset({"no_data", "cannot_say"})
"""An experiment that has just begun has no data, and nothing is wrong."""


def promotion_ahead(experiment: Experiment, decision: Decision, now: datetime) -> datetime:
    """Give notice of a promotion that is waiting for its window, once; says when notice was given."""
    key = f"notice:{decision.pk}"
    told = outbox.told_at(key)
    if told is not None:
        return told
    hours = iteration_rules(decision.iteration).notice_hours
    comes = now + timedelta(hours=hours)
    arm = "" if decision.variant is None else decision.variant.key
    said = card_of(experiment, now).sentence
    text = f"{said}\nIn its promotion window, or else from {moment(comes)} on. Hold it on the experiment's page."
    title = f"{experiment.key}: {arm} will be promoted by itself"
    outbox.put(
        now, Notice(NoticeKind.PROMOTION, title, text, _facts(decision) | {"not_before": comes.isoformat()}), key=key, experiment=experiment
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
    return window.always or (local.weekday() in window.days and window.from_hour <= local.hour < window.to_hour)


def _tell(experiment: Experiment, decision: Decision, now: datetime, kind: NoticeKind, why: str = "") -> None:
    """The card's sentence and its next step, as every page says them; the rule behind it follows."""
    found = card_of(experiment, now)
    title = one_line(f"{experiment.name}: {found.state.value}" + (" (not carried out)" if why else ""))
    text = "\n".join(filter(None, (found.sentence, why, f"Decision {decision.pk}: {decision.rule}")))
    notice = Notice(kind, title, text, _facts(decision) | {"state": found.state.value})
    outbox.put(now, notice, key=f"decision:{decision.pk}", experiment=experiment)


def _facts(decision: Decision) -> dict[str, JSON]:
    variant = None if decision.variant is None else decision.variant.key
    return {"decision": decision.pk, "verdict": decision.verdict, "outcome": decision.outcome, "variant": variant}
