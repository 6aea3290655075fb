"""Moving ramps by themselves: the newest analysis is asked, the move is a pure function of what it
says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from django.db import transaction

from analytics.selectors.ramps import facts_at, open_stay
from experiments.core.errors import Conflict, Refused
from experiments.core.life.ramping import RampMove, next_move
from experiments.core.types import SYSTEM
from experiments.models import Experiment
from experiments.services.life import ramps
from experiments.services.life.ramps import Judged

log = structlog.get_logger(__name__)

_VERBS: Mapping[str, Callable[..., Experiment]] = {
    "advance": ramps.advance,
    "hold": ramps.hold,
    "resume": ramps.resume,
    "roll_back": ramps.roll_back,
}
"""The moves that change something."""


def move_ramp(experiment_id: int, *, now: datetime) -> RampMove | None:
    """Do what the facts ask of an experiment's ramp; None when it has none that is open.

    Whoever moved it meanwhile was first; a refusal (no free buckets, a pause) is looked at again
    with the next tick.
    """
    stay = open_stay(experiment_id)
    if stay is None:
        return None
    move = next_move(facts_at(stay, now))
    verb = _VERBS.get(move.kind)
    if verb is None:
        return move
    try:
        with transaction.atomic():
            verb(
                SYSTEM,
                now,
                experiment_id=experiment_id,
                reason=move.rule,
                judged=Judged(stay.iteration_id, stay.step),
            )
    except (Conflict, Refused) as refusal:
        log.warning("ramp_not_moved", experiment=experiment_id, move=move.kind, reason=str(refusal))
        return RampMove("wait", str(refusal))
    return move
