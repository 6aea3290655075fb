"""What the newest analysis says of each of many experiments, in one query: for lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    found = rows.values_list("experiment_id", "masked", "readiness__kind", "readiness__rule")
    return {pk: Said(kind or "", _sentence(masked, rule)) for pk, masked, kind, rule in found}


def _sentence(masked: bool, rule: str | None) -> str:
    if masked:
        return MASKED
    if not rule:
        return "Analysed; nothing to decide yet."
    return (rule[:1].upper() + rule[1:] if rule.partition(" ")[0].isalpha() else rule) + "."
