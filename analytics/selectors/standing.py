"""What the newest analysis says of each of many experiments, in one query: for lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics.core.decision import Readiness
from analytics.core.encoding import restored
from analytics.models import AnalysisRun

MASKED = "Results are masked: they cannot be believed as they are."


@dataclass(frozen=True)
class Said:
    """What a run came to: its kind of decision (keep, hold, escalate, …) and the rule as a sentence."""

    kind: str
    sentence: str


def standing(experiment_ids: Iterable[int]) -> dict[int, Said]:
    """Experiment id → what its newest run says; experiments without a run are left out."""
    rows = AnalysisRun.objects.filter(experiment_id__in=list(experiment_ids), latest=True).order_by("computed_at")
    found = rows.values_list("experiment_id", "masked", "readiness__kind", "readiness__rule", "readiness__items", "totals__arms")
    return {
        pk: Said(kind or "", MASKED if masked else _sentence(kind, rule, items or [], arms or []))
        for pk, masked, kind, rule, items, arms in found
    }


def _sentence(kind: str | None, rule: str | None, items: object, arms: Sequence[Mapping[str, str]]) -> str:
    if not rule:
        return "Analysed; nothing to decide yet."
    if kind == "keep" and (missing := _missing(restored(items, tuple[Readiness, ...]), {arm["key"]: arm["name"] for arm in arms})):
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
