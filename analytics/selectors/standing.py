"""What the newest analysis says of each of many experiments, in one query: for lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from analytics.core.decision import AFTER_THE_LAST, Readiness
from analytics.core.encoding import restored
from analytics.core.windows import WEEKDAYS
from analytics.models import AnalysisRun

MASKED = "Results are masked: they cannot be believed as they are."


@dataclass(frozen=True)
class Said:
    """What a run came to: its kind of decision (keep, hold, escalate, …), the rule as a sentence, and what lists mark.

    ``clock`` in words, empty where none runs; ``days`` in of days wanted; ``weekdays`` that it lacks; ``guardrails``
    metric key → its worst verdict over the arms; ``units`` met so far.
    """

    kind: str
    sentence: str
    clock: str = ""
    days: tuple[int, int] | None = None
    weekdays: tuple[str, ...] = ()
    guardrails: Mapping[str, str] = field(default_factory=dict)
    masked: bool = False
    failed: bool = False
    units: int = 0

    @property
    def breach(self) -> bool:
        """Whether any guardrail is breached."""
        return BREACH in self.guardrails.values()


def standing(experiment_ids: Iterable[int]) -> dict[int, Said]:
    """Experiment id → what its newest run says; experiments without a run are left out."""
    rows = AnalysisRun.objects.filter(experiment_id__in=list(experiment_ids), latest=True).order_by("computed_at")
    found = rows.values_list(
        *("experiment_id", "masked", "failed_at", "readiness__kind", "readiness__rule", "readiness__items", "totals__arms"),
        *("readiness__clock_sentence", "readiness__clock", "verdicts__guardrails"),
    )
    return {pk: _said(*parts) for pk, *parts in found}


Parts = Sequence[Mapping[str, Any]]


def _said(
    masked: bool,
    failed_at: datetime | None,
    kind: str | None,
    rule: str | None,
    items: Parts | None,
    arms: Parts | None,
    clock: str | None,
    days: Mapping[str, Any] | None,
    verdicts: Parts | None,
) -> Said:
    return Said(
        kind=kind or "",
        sentence=MASKED if masked else _sentence(kind, rule, items or [], arms or []),
        clock=clock or "",
        days=None if not days else (sum(min(seen, days["weeks"]) for seen in days["per_weekday"]), 7 * days["weeks"]),
        weekdays=() if not days else tuple(day for day, seen in zip(WEEKDAYS, days["per_weekday"], strict=True) if seen < days["weeks"]),
        guardrails={} if masked else _worst(verdicts or []),
        masked=masked,
        failed=failed_at is not None,
        units=sum(arm.get("units", 0) for arm in arms or []),
    )


BREACH = "breach"
_ORDER = ("safe", "unknown", BREACH)


def _worst(verdicts: Parts) -> dict[str, str]:
    """Metric key → the worst of its verdicts; one that nobody knows is worse than a good one."""
    found: dict[str, str] = {}
    for one in verdicts:
        verdict = one["verdict"] if one["verdict"] in _ORDER else "unknown"
        found[one["key"]] = max(found.get(one["key"], "safe"), verdict, key=_ORDER.index)
    return found


def _sentence(kind: str | None, rule: str | None, items: object, arms: Sequence[Mapping[str, str]]) -> str:
    if not rule:
        return "Analysed; nothing to decide yet."
    if (
        kind == "keep"
        and rule != AFTER_THE_LAST
        and (missing := _missing(restored(items, tuple[Readiness, ...]), {arm["key"]: arm["name"] for arm in arms}))
    ):
        return f"Keep running; not yet met: {missing}."
    return (rule[:1].upper() + rule[1:] if rule.partition(" ")[0].isalpha() else rule) + "."


WORDS = {
    "primary": "a primary metric",
    "clock": "the clock",
    "shares": "the planned shares",
    "health": "healthy data",
    "units": "enough units",
    "boundary": "the boundary",
    "improvement": "the improvement",
}


def _missing(items: Sequence[Readiness], names: Mapping[str, str]) -> str:
    """What a promotion still lacks, arm by arm and by their names."""
    lacking: dict[str, list[str]] = {}
    for one in items:
        if one.met is not True:
            lacking.setdefault(one.arm, []).append(WORDS.get(one.topic) or one.metric or one.name)
    parts = [", ".join(words) + (f" of {names.get(arm, arm)}" if arm else "") for arm, words in lacking.items()]
    return "; ".join(parts)
