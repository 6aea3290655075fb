"""Stored events of one experiment as a table for offline work: whose event, under which variant,
and chosen keys of its payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from analytics.core.sheet import Cell
from experiments.core.errors import InvalidInput

HEADER = ("event_id", "timestamp", "unit_type", "unit", "variant", "event_type", "value")
_KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
_PAGE = 5_000
# The event's unit decides the variant: an event counts for the unit that had met the experiment by
# then.
_EVENTS = """
SELECT v.event_id, v.ts, v.unit_type, v.user_id, r.key, v.event_type, v.value, {fields}
FROM ai_events v
JOIN LATERAL (
    SELECT a.variant_id FROM experiment_assignments a
    WHERE a.experiment_id = %(experiment)s AND a.user_id = v.user_id AND a.environment = 'production' AND a.phase = 'main'
        AND a.exposure_ts <= v.ts
    ORDER BY a.exposure_ts DESC LIMIT 1
) met ON true
JOIN experiment_variants r ON r.variant_id = met.variant_id
WHERE v.environment = 'production' AND (v.experiment_id IS NULL OR v.experiment_id = %(experiment)s)
    AND v.event_date BETWEEN %(first)s AND %(last)s AND (%(types)s::text[] IS NULL OR v.event_type = ANY(%(types)s))
ORDER BY v.ts, v.event_id
"""


def header(payload: Sequence[str]) -> tuple[str, ...]:
    """The columns: an event's own, then the keys of its payload."""
    return (*HEADER, *payload)


def exported_events(
    experiment_id: int,
    *,
    payload: Sequence[str],
    since: datetime,
    until: datetime,
    event_types: Sequence[str] = (),
) -> Iterator[tuple[Cell, ...]]:
    """Events of units that had met the experiment, oldest first; a payload without a key has an
    empty cell.

    Rows are read in pages, so memory does not grow with them. Refuses a key of the payload that
    cannot be one.
    """
    bad = next((key for key in payload if not _KEY.fullmatch(key)), None)
    if bad is not None:
        raise InvalidInput(
            f"payload: a key is 1 to 64 letters, digits and _; found {bad[:80]!r}", "payload"
        )
    fields = ", ".join(f"v.payload ->> '{key}'" for key in payload) or "NULL"
    asked: dict[str, Any] = {  # what a cursor takes
        "experiment": experiment_id,
        "first": since.date(),
        "last": until.date(),
        "types": list(event_types) or None,
    }
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EVENTS.format(fields=fields), asked)
        while rows := cursor.fetchmany(_PAGE):
            for row in rows:
                yield (row[0], row[1].isoformat(), *row[2 : len(HEADER) + len(payload)])
