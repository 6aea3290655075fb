"""Carrying out stored decisions: once each, under the experiment's row lock, as the machine.

Only the newest decision of an iteration counts. A person who acted first wins: the decision is
noted as not carried out. A promotion waits for the policy's window (or its notice), for a hold to
be lifted, and is off while anything is breached or masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from analytics.models import AppliedDecision, Decision
from analytics.selectors.trouble import trouble_now
from analytics.services.analysis import notices
from analytics.services.analysis.notices import in_window
from experiments.core.errors import AssayError
from experiments.core.figures import moment
from experiments.core.types import SYSTEM, Origin, Outcome, Status
from experiments.models import Experiment, Iteration
from experiments.selectors.experiments import iteration_rules
from experiments.services.life import lifecycle

ACTING = ("stop", "promote", "conclude")
"""Verdicts that the machine carries out; the others are for people to read."""
APPLIES_IN = {
    "stop": (Status.DARK_LAUNCH, Status.RUNNING),
    "promote": (Status.RUNNING,),
    "conclude": (Status.RUNNING,),
}


@dataclass(frozen=True)
class WaitingDecision:
    """A decision that stands but may not be carried out yet, and why."""

    decision_id: int
    reason: str


def decide(iteration_id: int, *, now: datetime) -> AppliedDecision | WaitingDecision | None:
    """Carry out the iteration's newest decision if it asks for something; None when there is
    nothing to do.
    """
    with transaction.atomic():
        iteration = Iteration.objects.select_related("experiment").get(pk=iteration_id)
        experiment = Experiment.objects.select_for_update(no_key=True).get(
            pk=iteration.experiment_id
        )
        decision = pending(iteration)
        if decision is None:
            return None
        iteration.refresh_from_db()
        gone = _overtaken(experiment, iteration, decision)
        if gone:
            notices.overtaken(experiment, decision, now, gone)
            return _note(decision, now, done=False, note=gone)
        wait = _wait(experiment, iteration, decision, now)
        if wait:
            return WaitingDecision(decision.pk, wait)
        return _carry_out(experiment, decision, now)


def pending(iteration: Iteration) -> Decision | None:
    """The iteration's newest decision, when it asks for something that was not tried yet."""
    newest = (
        Decision.objects.filter(iteration=iteration)
        .order_by("-made_at", "-pk")
        .select_related("variant")
        .first()
    )
    if (
        newest is None
        or newest.verdict not in ACTING
        or AppliedDecision.objects.filter(decision=newest).exists()
    ):
        return None
    return newest


def iterations_with_pending() -> list[int]:
    """Open iterations whose newest decision may ask for something, oldest first."""
    open_ones = Decision.objects.filter(
        iteration__ended_at__isnull=True, verdict__in=ACTING, applied__isnull=True
    )
    return list(
        open_ones.order_by("iteration_id").values_list("iteration_id", flat=True).distinct()
    )


def _overtaken(experiment: Experiment, iteration: Iteration, decision: Decision) -> str:
    """Why a decision can never be carried out any more; empty when it can."""
    if experiment.status not in APPLIES_IN[decision.verdict] or iteration.ended_at is not None:
        return f"not carried out: the experiment was {experiment.status} by then; whoever changed it was first"
    if decision.verdict == "promote" and experiment.origin == Origin.IMPORT:
        return "not carried out: imported data never promote"
    return ""


def _wait(experiment: Experiment, iteration: Iteration, decision: Decision, now: datetime) -> str:
    """Why a promotion must wait; empty when it need not, and for everything else."""
    if decision.verdict != "promote":
        return ""
    if experiment.promotion_held:
        return "the owner holds the promotion"
    trouble = trouble_now(iteration.pk)
    if trouble:
        return trouble
    rules = iteration_rules(iteration)
    if in_window(rules.window, now, experiment.time_zone):
        return ""
    known_until = notices.promotion_ahead(experiment, decision, now) + timedelta(
        hours=rules.notice_hours
    )
    if now >= known_until:
        return ""
    return f"outside the promotion window; with {rules.notice_hours} h notice it comes at {moment(known_until)}"


def _carry_out(experiment: Experiment, decision: Decision, now: datetime) -> AppliedDecision:
    """The verb in a savepoint of its own: if the rules refuse it, the refusal is what is noted."""
    try:
        with transaction.atomic():
            _call(experiment, decision, now)
    except AssayError as refusal:
        notices.refused(experiment, decision, now, str(refusal))
        return _note(decision, now, done=False, note=f"refused: {refusal}"[:2000])
    return _note(decision, now, done=True, note=decision.rule)


def _call(experiment: Experiment, decision: Decision, now: datetime) -> None:
    reason = f"decision {decision.pk}: {decision.rule}"
    if decision.verdict == "promote" and decision.variant is not None:
        lifecycle.promote(
            SYSTEM,
            now,
            experiment_id=experiment.pk,
            variant_key=decision.variant.key,
            decision_note=reason,
            decision_id=decision.pk,
            iteration_id=decision.iteration_id,
        )
    elif decision.verdict == "stop":
        named = decision.arms or ([decision.variant.key] if decision.variant is not None else [])
        lifecycle.stop_arms(
            SYSTEM, now, experiment_id=experiment.pk, variant_keys=named, reason=reason
        )
    else:
        lifecycle.conclude(
            SYSTEM,
            now,
            experiment_id=experiment.pk,
            outcome=Outcome(decision.outcome),
            reason=reason,
        )


def _note(decision: Decision, now: datetime, *, done: bool, note: str) -> AppliedDecision:
    return AppliedDecision.objects.create(decision=decision, done=done, note=note, applied_at=now)
