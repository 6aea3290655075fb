"""Time as an experiment counts it: complete local days, the clock, matured units, and when a look
is legal.

Days are calendar days of the experiment's zone, 23 to 25 hours long where clocks change. Nothing
here asks what time it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from experiments.core import figures

GRACE = timedelta(hours=24)
"""How long after a unit's window late events are still waited for."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class ServingSpan:
    """A stretch of serving at the last ramp step, unpaused, from start until before end (None:
    still going).
    """

    start: datetime
    end: datetime | None = None


FEW = 3
"""Of more weekdays than that, only the number of days is said."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How many complete days of each weekday (Monday first) are in, against the weeks the policy
    asks for.
    """

    weeks: int
    days: int
    per_weekday: tuple[int, ...]

    @property
    def complete(self) -> bool:
        return min(self.per_weekday) >= self.weeks

    @property
    def sentence(self) -> str:
        """What a page shows: how many of the days are in and which weekdays are missing when they
        are few, or that it is complete.
        """
        missing = [
            f"{name} {seen} of {self.weeks}"
            for name, seen in zip(WEEKDAYS, self.per_weekday, strict=True)
            if seen < self.weeks
        ]
        if not missing:
            return f"complete: {self.days} full days"
        counted = f"{sum(min(seen, self.weeks) for seen in self.per_weekday)} of {self.weeks * len(WEEKDAYS)} days"
        return counted if len(missing) > FEW else f"{counted}; still missing: {', '.join(missing)}"


@dataclass(frozen=True, slots=True)
class LookPermission:
    """Whether a look may be taken: of which local day, on data up to which moment; else the
    reason.
    """

    allowed: bool
    day: date
    data_cut: datetime
    reason: str = ""


def day_start(day: date, zone: str) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, time(0), ZoneInfo(zone)).astimezone(UTC)


def last_complete_day(now: datetime, zone: str) -> date:
    """The latest local day that is over at ``now``: yesterday, there."""
    return now.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)


def without(
    spans: Sequence[ServingSpan], gaps: Sequence[tuple[datetime, datetime]]
) -> tuple[ServingSpan, ...]:
    """The stretches less the gaps, which are in order; what is nothing is left out. Every stretch
    has an end.
    """
    found = []
    for span in spans:
        start = span.start
        for begins, ends in gaps:
            found.append(
                ServingSpan(start, min(begins, span.end) if span.end is not None else begins)
            )
            start = max(start, ends)
        found.append(ServingSpan(start, span.end))
    return tuple(span for span in found if span.end is None or span.start < span.end)


def complete_days(running: Sequence[ServingSpan], zone: str, until: datetime) -> tuple[date, ...]:
    """Local days wholly inside one uninterrupted stretch of serving, and over at ``until``."""
    days: list[date] = []
    for start, end in _joined(running, until):
        day = start.astimezone(ZoneInfo(zone)).date()
        if day_start(day, zone) < start:
            day += timedelta(days=1)
        while day_start(day + timedelta(days=1), zone) <= end:
            days.append(day)
            day += timedelta(days=1)
    return tuple(days)


def clock(running: Sequence[ServingSpan], zone: str, weeks: int, until: datetime) -> Clock:
    """The clock: complete when every weekday has ``weeks`` complete days."""
    days = complete_days(running, zone, until)
    counts = [0] * 7
    for day in days:
        counts[day.weekday()] += 1
    return Clock(weeks, len(days), tuple(counts))


def matured_until(
    data_cut: datetime, window: timedelta | None, grace: timedelta = GRACE
) -> datetime:
    """Units first exposed at or before this moment are matured: exposure + window + grace ≤ data
    cut.

    Without a window a unit never matures; every unit counts with all it has (and looks only once).
    """
    return data_cut if window is None else data_cut - window - grace


def is_matured(
    exposed: datetime, data_cut: datetime, window: timedelta | None, grace: timedelta = GRACE
) -> bool:
    """Whether a unit's whole window, and the wait for late events, is over at the data cut."""
    return exposed <= matured_until(data_cut, window, grace)


def legal_look(
    now: datetime,
    zone: str,
    the_clock: Clock,
    *,
    window: timedelta | None,
    previous: date | None = None,
    planned_end: datetime | None = None,
    information: float = 0.0,
    over: bool = False,
    never: str = "",
) -> LookPermission:
    """May a look be taken at ``now``?

    One look per complete local day, on data up to that day's end, once the clock is complete.
    ``previous`` is the day of the latest look, ``information`` the t this look would have, ``over``
    that the last look was taken, ``never`` why none can ever be taken. A metric without a window
    gets one look: at the planned end, or when the planned information is in.
    """
    day = last_complete_day(now, zone)
    cut = day_start(day + timedelta(days=1), zone)

    def answer(reason: str) -> LookPermission:
        return LookPermission(not reason, day, cut, reason)

    if over:
        return answer("the last look was taken: everything after it is exploratory")
    if never:
        return answer(never)
    if not the_clock.complete:
        return answer(f"the clock is not complete ({the_clock.sentence})")
    if previous is not None and previous >= day:
        return answer(day_is_used(day))
    if window is None and not (
        information >= 1 or (planned_end is not None and planned_end <= cut)
    ):
        return answer("a metric without a conversion window is looked at once, at the end")
    return answer("")


def day_is_used(day: date) -> str:
    """Why there is no second look at the same data."""
    return f"the data up to {figures.day(day)} have been used; the next complete day is needed"


def _joined(running: Sequence[ServingSpan], until: datetime) -> list[tuple[datetime, datetime]]:
    """Stretches up to ``until``, those that touch or overlap made one."""
    spans = sorted((s.start, min(until, s.end) if s.end is not None else until) for s in running)
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
