"""Raw rows leave the house only with a name and a line in the changelog."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.permissions import Action
from experiments.core.types import JSON, Actor
from experiments.models import ChangeLogEntry
from experiments.services.ground import audit
from experiments.services.ground.guarding import locked, permit


def log_event_export(
    actor: Actor, now: datetime, *, experiment_id: int, payload: JSON, reason: str
) -> ChangeLogEntry:
    """Write down who exports the events of an experiment's units, and which keys of their
    payloads.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.RAW_ROWS, experiment)
        return audit.record(
            actor,
            now,
            action="events_exported",
            obj=experiment,
            reason=reason,
            after={"payload": payload},
        )
