"""Exposures of client keys that decision doors answered and did not store: counted in memory there,
and in the tallies by this.
"""

from __future__ import annotations

from datetime import datetime

from analytics.core.intake.tallies import OVER_CAP
from analytics.services.ingest.batch import add_to_tallies
from experiments.services.serving import client_rows

DOOR = "decision"


def carry(now: datetime) -> int:
    """Add what this process dropped to the day's tallies; says how many. While the database is away
    the count waits.
    """
    count = client_rows.take_dropped()
    if count:
        try:
            add_to_tallies(now, DOOR, {OVER_CAP: count})
        except Exception:  # whatever failed, the count must not be lost; the error goes on
            client_rows.note_dropped(count)
            raise
    return count
