"""Time comes in from outside: domain code takes ``now`` and never asks for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The moment, for shells to pass inward."""
    return datetime.now(UTC)


def local_day(moment: datetime, zone: tzinfo | str) -> date:
    """The calendar day of a moment in an experiment's time zone."""
    return moment.astimezone(_zone(zone)).date()


def day_bounds(day: date, zone: tzinfo | str) -> tuple[datetime, datetime]:
    """First moment of a local day and first moment of the next, in UTC (23 to 25 hours apart)."""
    tz = _zone(zone)
    start = datetime.combine(day, time(0), tz)
    end = datetime.combine(day + timedelta(days=1), time(0), tz)
    return start.astimezone(UTC), end.astimezone(UTC)


def _zone(zone: tzinfo | str) -> tzinfo:
    return ZoneInfo(zone) if isinstance(zone, str) else zone
