"""When experiments ran, laid on a strip of days: what is drawn of each iteration within a
window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["dark", "running", "paused", "planned"]
WIDTH = 1000
NARROWEST = 3
"""Of so many parts of the strip: an hour among months is still seen."""


@dataclass(frozen=True)
class Ran:
    """One iteration's moments: what is still open has no end. ``pauses`` are (began, ended)."""

    began_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    planned_end: datetime | None = None
    pauses: tuple[tuple[datetime, datetime | None], ...] = ()


@dataclass(frozen=True)
class TimelineBar:
    """A part of the strip: from ``x``, ``width`` wide, of 1,000."""

    stage: Stage
    x: int
    width: int
    since: datetime
    until: datetime


def bars(ran: Ran, since: datetime, until: datetime, now: datetime) -> list[TimelineBar]:
    """What is drawn of an iteration: dark, running, its pauses over that, and dashed what is
    planned.
    """
    placed = (
        _placed(stage, begin, end, since, until) for stage, begin, end in _stretches(ran, now)
    )
    return [bar for bar in placed if bar is not None]


def _stretches(ran: Ran, now: datetime) -> Iterator[tuple[Stage, datetime, datetime]]:
    last = ran.ended_at or now
    yield "dark", ran.began_at, ran.started_at or last
    if ran.started_at is not None:
        yield "running", ran.started_at, last
    for begin, end in ran.pauses:
        yield "paused", begin, end or last
    if ran.ended_at is None and ran.started_at is not None and ran.planned_end is not None:
        yield "planned", now, ran.planned_end


def _placed(
    stage: Stage, begin: datetime, end: datetime, since: datetime, until: datetime
) -> TimelineBar | None:
    begin, end = max(begin, since), min(end, until)
    if end <= begin:
        return None
    x = round(WIDTH * ((begin - since) / (until - since)))
    width = max(NARROWEST, round(WIDTH * ((end - begin) / (until - since))))
    return TimelineBar(stage, min(x, WIDTH - width), width, begin, end)


def ticks(since: datetime, until: datetime) -> list[tuple[int, date]]:
    """Days to write on the strip: Mondays, or the firsts of months where those would be more than a
    dozen.
    """
    days = [since.date() + timedelta(days=n) for n in range(1, (until - since).days + 1)]
    mondays = [day for day in days if day.weekday() == 0]
    chosen = mondays if len(mondays) <= 13 else [day for day in days if day.day == 1]
    return [
        (round(WIDTH * (day - since.date()).days / max(1, (until - since).days)), day)
        for day in chosen
    ]


def most_at_once(rans: Iterable[Ran], now: datetime) -> int:
    """The most iterations that ran at one moment."""
    steps = [
        step
        for ran in rans
        if ran.started_at
        for step in ((ran.started_at, 1), (ran.ended_at or now, -1))
    ]
    most = current = 0
    for _, change in sorted(steps):
        current += change
        most = max(most, current)
    return most
