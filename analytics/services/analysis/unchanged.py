"""Slow work whose answer would be the same is left out: nothing was stored or changed since, and
time alone changes nothing yet.

Work is done again at the latest after an hour, or at the moment that it has named itself: a day
that ends, windows that end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from analytics.models import SlowWorkDone
from analytics.selectors.stored import mark

LONGEST = timedelta(hours=1)
"""Old answers are given again at most for so long."""


def due(kind: str, subjects: Sequence[int], now: datetime) -> list[int]:
    """Of these subjects, in their order, those whose answer may be another one now. Of all others
    the answer is confirmed.
    """
    known = SlowWorkDone.objects.filter(
        kind=kind, subject__in=subjects, again_at__gt=now, done_at__lte=now
    )
    if not subjects or not known.exists():
        return list(subjects)
    same = known.filter(mark=mark())
    confirmed = set(same.values_list("subject", flat=True))
    same.update(confirmed_at=now)
    return [subject for subject in subjects if subject not in confirmed]


def note(
    kind: str, subject: int, before: str, now: datetime, again_at: datetime | None = None
) -> None:
    """The work was done on what the mark ``before`` it stands for."""
    again = now + LONGEST if again_at is None else min(again_at, now + LONGEST)
    said = {"mark": before, "done_at": now, "again_at": again, "confirmed_at": now}
    SlowWorkDone.objects.update_or_create(kind=kind, subject=subject, defaults=said)
