"""When an undelivered message is tried again: a fixed schedule, each pause four times the one
before.
"""

from __future__ import annotations

from datetime import datetime, timedelta

ATTEMPTS = 7
"""Then it is a dead letter, about 23 hours after the first try."""
FIRST = timedelta(minutes=1)
"""Longer than any one attempt may take, so that nobody else picks up what is being sent."""


def due_again(now: datetime, attempts: int) -> datetime:
    """When to try again if the attempt that begins now, the ``attempts``-th, comes to nothing."""
    pauses: int = 4 ** (attempts - 1)
    return now + FIRST * pauses
