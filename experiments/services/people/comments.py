"""What people say to each other about an experiment: kept as lines of the changelog, which tells
whoever follows it.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.errors import InvalidInput
from experiments.core.permissions import Action
from experiments.core.types import Actor
from experiments.models import ChangeLogEntry
from experiments.services.ground import audit
from experiments.services.ground.guarding import locked, permit

COMMENTED = "commented"
MOST_CHARACTERS = 4_000


def comment(actor: Actor, now: datetime, *, experiment_id: int, text: str) -> ChangeLogEntry:
    """Say something; it changes nothing, and like every line it can be neither edited nor
    removed.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.COMMENT, experiment)
        said = text.strip()
        if not 0 < len(said) <= MOST_CHARACTERS:
            raise InvalidInput(
                f"{experiment.key}: a comment has 1 to {MOST_CHARACTERS:,} characters; found {len(said):,}",
                field="text",
            )
        return audit.record(actor, now, action=COMMENTED, obj=experiment, reason=said)
