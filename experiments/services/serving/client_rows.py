"""The caps on rows that client keys may have stored: everybody can read such a key in a page.

Answers are never refused for it: what is above a cap is answered like everything else and not
stored. The counts are this process's own, so that no request waits for a database or Redis; with n
web processes the caps are up to n times as high.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from django.conf import settings

from experiments.core.serving.caps import HourlyCaps
from experiments.metrics import CLIENT_ROWS_DROPPED

Admit: TypeAlias = Callable[[str, datetime], bool]
"""Whether one more row of a unit may be stored now."""

_caps = HourlyCaps(settings.CLIENT_ROWS_PER_UNIT, settings.CLIENT_ROWS_PER_ADDRESS)

_dropped, _counting = 0, threading.Lock()


def admitting(key: int, sender: str) -> Admit:
    """For the rows of one key that come from one address."""
    return lambda unit, now: admits(key, unit, sender, now)


def admits(key: int, unit: str, sender: str, now: datetime) -> bool:
    """Whether one more row of this unit may be stored for this key, from this address."""
    if _caps.admits(key, unit, sender, now.timestamp()):
        return True
    CLIENT_ROWS_DROPPED.inc()
    return False


def note_dropped(count: int) -> None:
    """Count exposures that a decision door answered and did not queue, until somebody takes the
    count to the tallies.
    """
    global _dropped
    with _counting:
        _dropped += count


def take_dropped() -> int:
    """What was counted since the last call."""
    global _dropped
    with _counting:
        taken, _dropped = _dropped, 0
    return taken


def forget() -> None:
    """Count from zero with the settings of now, in tests."""
    global _caps
    _caps = HourlyCaps(settings.CLIENT_ROWS_PER_UNIT, settings.CLIENT_ROWS_PER_ADDRESS)
