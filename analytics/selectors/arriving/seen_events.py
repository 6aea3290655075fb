"""Which events the applications have sent of late, to choose from when a metric is defined."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from experiments.core.types import Environment

DAYS = 28
ROWS_A_DAY = 2_000
"""At most so many rows of each day are read, so that the page costs the same however much arrives.
"""
MOST_NAMES = 40


@dataclass(frozen=True)
class SeenEvent:
    """An event type among the rows read: how many of them, and how many carry a value, a latency
    and a cost.
    """

    name: str
    rows: int
    value: int
    latency_ms: int
    cost_micro: int

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that a metric can add up."""
        return tuple(name for name in ("value", "latency_ms", "cost_micro") if getattr(self, name))


_SEEN = """
SELECT event_type, count(*), count(value), count(latency_ms), count(cost_micro)
FROM unnest(%s::date[]) AS day, LATERAL (
    SELECT event_type, value, latency_ms, cost_micro FROM ai_events WHERE event_date = day AND environment = %s LIMIT %s
) read
GROUP BY event_type ORDER BY count(*) DESC, event_type LIMIT %s
"""
"""Day by day, since a limit over all of them would read the oldest partition alone; Django has no
word for that.
"""


def seen_events(
    now: datetime, *, days: int = DAYS, rows_a_day: int = ROWS_A_DAY
) -> tuple[SeenEvent, ...]:
    """Production event types of the last days, the most frequent first; counts are of the rows
    read.
    """
    today = now.astimezone(UTC).date()
    asked = [today - timedelta(days=back) for back in range(days)]
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, [asked, Environment.PRODUCTION.value, rows_a_day, MOST_NAMES])
        return tuple(SeenEvent(*row) for row in cursor.fetchall())
