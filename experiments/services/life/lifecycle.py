"""One door to every lifecycle verb; the verbs themselves stand in launches, stops and rollouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from experiments.core.errors import InvalidInput
from experiments.core.life.lifecycle import Verb
from experiments.core.types import Actor
from experiments.models import Experiment
from experiments.services.life.launches import resume, start, start_dark_launch
from experiments.services.life.rollouts import hold_promotion, promote, return_to_control
from experiments.services.life.stops import (
    abort_dark_launch,
    archive,
    conclude,
    emergency_stop,
    pause,
    stop_arms,
)

__all__ = [
    "abort_dark_launch", "archive", "conclude", "emergency_stop", "hold_promotion", "pause", "promote", "resume", "return_to_control",
    "start", "start_dark_launch", "stop_arms", "transition",
]  # fmt: skip

_VERBS: Mapping[Verb, Callable[..., Experiment]] = {
    Verb.START_DARK_LAUNCH: start_dark_launch,
    Verb.ABORT_DARK_LAUNCH: abort_dark_launch,
    Verb.START: start,
    Verb.PAUSE: pause,
    Verb.RESUME: resume,
    Verb.EMERGENCY_STOP: emergency_stop,
    Verb.CONCLUDE: conclude,
    Verb.ARCHIVE: archive,
}


def transition(
    actor: Actor, now: datetime, *, experiment_id: int, verb: Verb | str, reason: str = ""
) -> Experiment:
    """Press a verb by its name. Promoting is not among these: it needs a variant."""
    if verb not in list(_VERBS):
        raise InvalidInput(
            f"verb {str(verb)[:40]!r}: expected one of {', '.join(_VERBS)}", field="verb"
        )
    return _VERBS[Verb(verb)](actor, now, experiment_id=experiment_id, reason=reason)
