"""Time comes in from outside: domain code takes ``now`` and never asks for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The moment, for shells to pass inward."""
    return datetime.now(UTC)


def local_day(moment: datetime, zone: tzinfo | str) -> date:
    """The calendar day of a moment in an experiment's time zone."""
    return moment.astimezone(_zone(zone)).date()


def _zone(zone: tzinfo | str) -> tzinfo:
    return ZoneInfo(zone) if isinstance(zone, str) else zone
