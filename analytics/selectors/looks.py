"""Looks as they were stored: what an iteration's analyses have decided so far."""

from __future__ import annotations

from analytics.core.deciding.look_state import LookState
from analytics.core.ground.encoding import restored
from experiments.models import Iteration


def look_states(iteration: Iteration) -> tuple[LookState, ...]:
    """The iteration's looks so far, as they were stored."""
    return tuple(
        restored(state, LookState)
        for state in iteration.looks.order_by("number").values_list("state", flat=True)
    )
