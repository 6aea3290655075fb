"""Experiments by urgency: what the rows of lists say and how lists are ordered, in a fixed number
of queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.db.models.functions import Coalesce

from analytics.services.analysis.standings import Unkept
from experiments.core.cards import Card, Reading
from experiments.core.cards.urgency import Urgency
from experiments.core.types import Status
from experiments.models import Experiment

LIVE = (Status.RUNNING, Status.PAUSED)
TONES = {
    Urgency.HARM: "bad",
    Urgency.PROMOTE: "good",
    Urgency.PERSON: "warn",
    Urgency.UNHEALTHY: "bad",
    Urgency.SIGN_OFF: "warn",
    Urgency.ENDS_SOON: "info",
}
MARKS = {
    "safe": ("good", "✓", "safe"),
    "breach": ("bad", "✗", "breach"),
    "unknown": ("warn", "?", "not proven safe yet"),
}
DOTS = 5
FEW = 3


@dataclass(frozen=True)
class Dot:
    """One guardrail's mark: its colour, its shape, and its words."""

    tone: str
    sign: str
    title: str


def by_urgency(rows: QuerySet[Experiment], unkept: Mapping[int, Unkept]) -> QuerySet[Any]:
    """The same rows with their rank, for ordering: as it is kept, or as it was found now where it
    is not kept yet.
    """
    groups: dict[Urgency, list[int]] = {}
    for pk, one in unkept.items():
        groups.setdefault(one.urgency, []).append(pk)
    whens = [When(pk__in=pks, then=Value(int(rank))) for rank, pks in groups.items()]
    kept = Coalesce(F("standing__urgency"), Value(int(Urgency.ENDED)), output_field=IntegerField())
    return rows.annotate(
        urgency=Case(*whens, default=kept, output_field=IntegerField()) if whens else kept
    )


def dots(reading: Reading | None) -> list[Dot]:
    """A mark per guardrail, the worst first; at most five, the last of which counts the others."""
    verdicts = sorted(
        (reading.guardrails if reading else {}).items(),
        key=lambda pair: ("breach", "unknown", "safe").index(pair[1]),
    )
    shown = verdicts if len(verdicts) <= DOTS else verdicts[: DOTS - 1]
    marks = [
        Dot(tone, sign, f"{name}: {word}")
        for name, (tone, sign, word) in ((name, MARKS[verdict]) for name, verdict in shown)
    ]
    if len(verdicts) > len(shown):
        rest = verdicts[len(shown) :]
        marks.append(
            Dot(
                "",
                f"+{len(rest)}",
                "; ".join(f"{name}: {MARKS[verdict][2]}" for name, verdict in rest),
            )
        )
    return marks


def clock(reading: Reading | None) -> tuple[str, str]:
    """How far the clock is (``9 of 14 days``), and the weekdays that it lacks when they are few."""
    if reading is None or reading.days is None:
        return "", ""
    seen, wanted = reading.days
    lacking = reading.weekdays if 0 < len(reading.weekdays) <= FEW else ()
    return f"{seen} of {wanted} days", f"{', '.join(lacking)} missing" if lacking else ""


def badge(card: Card) -> tuple[str, str]:
    """Tone and word of a state that somebody should look at; nothing where the stage says it
    already.
    """
    return (TONES[card.urgency], card.state.value) if card.urgency in TONES else ("", "")
