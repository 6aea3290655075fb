"""When the nightly scan's night begins."""

from __future__ import annotations

from datetime import date, datetime, timedelta

NIGHT_BEGINS = timedelta(hours=2)
"""After midnight UTC: late rows of the day before are in by then."""


def night_of(now: datetime) -> date:
    """The night a moment belongs to: the one that began last."""
    return (now - NIGHT_BEGINS).date()
