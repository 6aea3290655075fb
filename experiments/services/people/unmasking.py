"""Looking behind the mask of results that cannot be believed, to find out why: for data scientists,
and written down.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.permissions import Action
from experiments.core.types import Actor
from experiments.models import ChangeLogEntry
from experiments.services.ground import audit
from experiments.services.ground.guarding import locked, permit, wanted_reason


def look_behind_mask(
    actor: Actor, now: datetime, *, experiment_id: int, reason: str
) -> ChangeLogEntry:
    """Write down who looks and why; showing the numbers is the caller's, once."""
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.UNMASK, experiment)
        why = wanted_reason(reason, experiment.key, "a look behind the mask")
        return audit.record(actor, now, action="results_unmasked", obj=experiment, reason=why)
