"""What a second person must do: nobody waves through what they asked for."""

from __future__ import annotations

from experiments.core.checklist import Requested
from experiments.core.errors import Problem
from experiments.core.permissions import Action
from experiments.core.types import Actor, ActorKind

FOUR_EYES: frozenset[Action] = frozenset({Action.APPROVE_LAUNCH, Action.PROMOTE, Action.RESUME_AFTER_HARM})
"""What somebody other than the requester must do."""


def four_eyes(actor: Actor, request: Requested | None) -> list[Problem]:
    """The one who asked for the launch may not wave it through; a key counts as its owner."""
    if actor.kind is ActorKind.MACHINE or request is None or request.requested_by_id != actor.user_id:
        return []
    return [Problem("four_eyes", f"{request.requested_by} asked for this launch; a second person must do this", "actor")]
