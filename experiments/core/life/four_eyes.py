"""What a second person must do: nobody waves through what they asked for."""

from __future__ import annotations

from experiments.core.errors import Problem
from experiments.core.life.checklist import Requested
from experiments.core.permissions import Action
from experiments.core.types import Actor, ActorKind

FOUR_EYES: frozenset[Action] = frozenset(
    {Action.APPROVE_LAUNCH, Action.PROMOTE, Action.RESUME_AFTER_HARM}
)
"""What somebody other than the requester must do."""


def four_eyes(actor: Actor, request: Requested | None) -> list[Problem]:
    """The one who asked for the launch may not wave it through; a key counts as its owner, and as
    the one who made it.
    """
    if actor.kind is ActorKind.MACHINE or request is None or actor.user_id not in request.askers:
        return []
    return [
        Problem("four_eyes", f"{_asked(actor, request)}; a second person must do this", "actor")
    ]


def _asked(actor: Actor, request: Requested) -> str:
    if actor.user_id == request.requested_by_id:
        return f"{request.requested_by} asked for this launch"
    return (
        f"{request.requested_by} asked for this launch with a key that {request.key_made_by} made"
    )
