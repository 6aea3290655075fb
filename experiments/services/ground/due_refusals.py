"""Due work that was refused: written into the experiment's history and told once, not at every
tick.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import structlog
from django.db import transaction

from experiments.core.errors import AssayError
from experiments.core.types import JSON, SYSTEM
from experiments.models import ChangeLogEntry, Experiment
from experiments.services.ground import audit

log = structlog.get_logger(__name__)


def tell(now: datetime, what: str, experiment_id: int, error: AssayError) -> bool:
    """Whether this was new: what is planned, or what stands against it, is not what was told last.

    The line in the changelog makes the message to those who subscribed.
    """
    experiment = Experiment.objects.get(pk=experiment_id)
    after, action = _facts(experiment, error), f"{what}_refused"
    last = (
        ChangeLogEntry.objects.filter(experiment=experiment, action=action).order_by("-id").first()
    )
    if last is not None and last.after == after:
        return False
    log.warning("due_but_refused", what=what, experiment=experiment_id, reason=str(error))
    with transaction.atomic():
        audit.record(SYSTEM, now, action=action, obj=experiment, reason=_said(error), after=after)
    return True


def _facts(experiment: Experiment, error: AssayError) -> dict[str, JSON]:
    """What makes a refusal another one. Sentences may count days or units, so codes and fields
    stand for them.
    """
    against: list[JSON] = [
        *sorted({f"{one.code}:{one.field}" for one in error.problems} or {error.code})
    ]
    plan = f"{experiment.planned_start} {experiment.planned_end}"
    return {"against": against, "plan": hashlib.sha256(plan.encode()).hexdigest()[:12]}


def _said(error: AssayError) -> str:
    return "; ".join(dict.fromkeys([error.message, *(one.message for one in error.problems)]))
