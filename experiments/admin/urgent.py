"""Experiments by urgency: what the rows of lists say and how lists are ordered, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, IntegerField, OuterRef, QuerySet, Value, When

from analytics.selectors.standing import Said, standing
from experiments.core.types import PauseCause, Status
from experiments.core.urgency import WORDS, Signals, Urgency, urgency
from experiments.models import Experiment, LaunchRequest

LIVE = (Status.RUNNING, Status.PAUSED)
TONES = {
    Urgency.HARM: "bad",
    Urgency.PROMOTE: "good",
    Urgency.PERSON: "warn",
    Urgency.UNHEALTHY: "bad",
    Urgency.SIGN_OFF: "warn",
    Urgency.ENDS_SOON: "info",
}
MARKS = {"safe": ("good", "✓", "safe"), "breach": ("bad", "✗", "breach"), "unknown": ("warn", "?", "cannot say yet")}
DOTS = 5
FEW = 3


@dataclass(frozen=True)
class Dot:
    """One guardrail's mark: its colour, its shape, and its words."""

    tone: str
    sign: str
    title: str


def ranks(rows: QuerySet[Experiment], now: datetime) -> dict[int, Urgency]:
    """Experiment id → its urgency, of all of these: three queries whatever their number."""
    asked = Exists(LaunchRequest.objects.filter(experiment=OuterRef("pk")))
    fields = ("pk", "status", "pause_cause", "start_ts", "planned_end", "asked")
    found = list(rows.order_by().annotate(asked=asked).values_list(*fields))
    said = standing(pk for pk, status, *_ in found if status in LIVE)
    return {pk: urgency(_signals(said.get(pk), now, *facts)) for pk, *facts in found}


def by_urgency(rows: QuerySet[Experiment], ranked: Mapping[int, Urgency]) -> QuerySet[Any]:
    """The same rows with their rank, most urgent first; within a rank the one that ends first, then the newest."""
    groups: dict[Urgency, list[int]] = {}
    for pk, rank in ranked.items():
        groups.setdefault(rank, []).append(pk)
    whens = [When(pk__in=pks, then=Value(int(rank))) for rank, pks in groups.items()]
    return rows.annotate(urgency=Case(*whens, default=Value(int(Urgency.ENDED)), output_field=IntegerField()))


def dots(said: Said | None, names: Mapping[str, str]) -> list[Dot]:
    """A mark per guardrail, the worst first; at most five, the last of which counts the others."""
    verdicts = sorted((said.guardrails if said else {}).items(), key=lambda pair: ("breach", "unknown", "safe").index(pair[1]))
    shown = verdicts if len(verdicts) <= DOTS else verdicts[: DOTS - 1]
    marks = [Dot(tone, sign, f"{names.get(key, key)}: {word}") for key, (tone, sign, word) in ((k, MARKS[v]) for k, v in shown)]
    if len(verdicts) > len(shown):
        rest = verdicts[len(shown) :]
        marks.append(Dot("", f"+{len(rest)}", "; ".join(f"{names.get(key, key)}: {MARKS[verdict][2]}" for key, verdict in rest)))
    return marks


def clock(said: Said | None) -> tuple[str, str]:
    """How far the clock is (``9 of 14 days``), and the weekdays that it lacks when they are few."""
    if said is None or said.days is None:
        return "", ""
    seen, wanted = said.days
    lacking = said.weekdays if 0 < len(said.weekdays) <= FEW else ()
    return f"{seen} of {wanted} days", f"{', '.join(lacking)} missing" if lacking else ""


def badge(rank: int) -> tuple[str, str]:
    """Tone and word of a rank; nothing for those whose stage says it already."""
    known = Urgency(rank)
    return (TONES[known], WORDS[known]) if known in TONES else ("", "")


def _signals(
    said: Said | None, now: datetime, status: str, cause: str, started: datetime | None, end: datetime | None, asked: bool
) -> Signals:
    return Signals(
        status=Status(status),
        pause_cause=PauseCause(cause),
        advice=said.kind if said else "",
        breach=bool(said and said.breach),
        masked=bool(said and said.masked),
        failed=bool(said and said.failed),
        units=said.units if said else None,
        hours=None if started is None else (now - started).total_seconds() / 3600,
        days_left=None if end is None else (end - now).total_seconds() / 86_400,
        requested=asked,
    )
