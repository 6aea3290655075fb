"""All experiments on one strip of days: what ran when, what overlapped, and what was up in the
world.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse

from experiments.admin.base import WorkplaceAdmin
from experiments.core.clock import utc_now
from experiments.drawing import timelines
from experiments.drawing.timelines import WIDTH, TimelineBar
from experiments.models import Experiment, TimelineNote
from experiments.selectors.timelines import notes_of_all, served_between

SPANS = {"30": "30 days", "90": "90 days", "365": "a year"}
AHEAD = 5
"""A fifth of the span before now is drawn after it: what is planned."""


@dataclass(frozen=True)
class TimelineRow:
    """One experiment with its bars, and what to say of them."""

    experiment: Experiment
    bars: list[TimelineBar]
    iterations: int


def page(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """The strip, of the last 90 days unless asked otherwise."""
    admin.refuse_unless_may_view(request)
    asked = request.GET.get("days", "90")
    days = int(asked) if asked in SPANS else 90
    now = utc_now()
    since, until = now - timedelta(days=days), now + timedelta(days=days // AHEAD)
    found = served_between(since, until)
    lines = [
        TimelineRow(
            one, [bar for ran in rans for bar in timelines.bars(ran, since, until, now)], len(rans)
        )
        for one, rans in found
    ]
    context: dict[str, Any] = {
        "title": "Timeline",
        "lines": lines,
        "spans": [(value, label, value == str(days)) for value, label in SPANS.items()],
        "ticks": timelines.ticks(since, until),
        "now_x": round(WIDTH * days / (days + days // AHEAD)),
        "most": timelines.most_at_once((ran for _, rans in found for ran in rans), now),
        "notes": [
            (_x(note, since.date(), (until - since).days), note)
            for note in notes_of_all(since, until)
        ],
    }
    return admin.page(request, "admin/assay/timeline.html", context)


def _x(note: TimelineNote, first: date, days: int) -> int:
    return max(0, round(WIDTH * (note.first_day - first).days / days))
