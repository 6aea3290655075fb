"""The day partitions of the next days, made before anybody writes to them, so that no request waits
for one at midnight.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from analytics.services.ingest.partitions import Parent, ensure_days

AHEAD = 3
"""Days after today: clocks that run ahead may be two days ahead of ours."""


def make_days_ahead(now: datetime) -> int:
    """Today's and the next days' partitions of every event table; how many were missing."""
    today = now.astimezone(UTC).date()
    days = [today + timedelta(days=n) for n in range(AHEAD + 1)]
    return sum(len(ensure_days(parent, days)) for parent in get_args(Parent))
