"""What the newest analysis says of each of many experiments, in one query: for lists."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.models import AnalysisRun

MASKED = "Results are masked: they cannot be believed as they are."


def sentences(experiment_ids: Iterable[int]) -> dict[int, str]:
    """Experiment id → the rule its newest run followed, as a sentence; experiments without a run are left out."""
    rows = AnalysisRun.objects.filter(experiment_id__in=list(experiment_ids), latest=True).order_by("computed_at")
    return {pk: _sentence(masked, rule) for pk, masked, rule in rows.values_list("experiment_id", "masked", "readiness__rule")}


def _sentence(masked: bool, rule: str | None) -> str:
    if masked:
        return MASKED
    return rule[:1].upper() + rule[1:] + "." if rule else "Analysed; nothing to decide yet."
