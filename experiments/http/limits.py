"""How many requests a key that manages or reads may send; doors that decide or store never ask
this.

Each process counts for itself, within fixed windows: the limit keeps a script's loop from taking
all turns at the database, and needs no server for that.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from django.conf import settings

from experiments.core.errors import TooMany
from experiments.core.serving.keyring import KeyIdentity

WINDOW = 60.0


@dataclass
class Windows:
    """Requests by key in the present window."""

    began: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def left_after(self, key_id: int, limit: int, now: float) -> float:
        """Count a request; 0.0, or the seconds until the next window when it is one too many."""
        with self.lock:
            if now - self.began >= WINDOW:
                self.began, self.counts = now, {}
            self.counts[key_id] = self.counts.get(key_id, 0) + 1
            return self.began + WINDOW - now if self.counts[key_id] > limit else 0.0


_windows = Windows()


def refuse_too_many(key: KeyIdentity) -> None:
    """Count a request; refuse it when its key has sent too many."""
    limit = settings.MANAGEMENT_LIMIT
    seconds = _windows.left_after(key.key_id, limit, time.monotonic())
    if seconds:
        message = f"key {key.name}: more than {limit:,} requests within {WINDOW:.0f} seconds; send this one again later"
        raise TooMany(message, retry_after=math.ceil(seconds))
