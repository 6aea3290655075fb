"""What the newest analysis of everything that runs holds, as plain numbers for a scrape: one query, no statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analytics.models import AnalysisRun
from experiments.core.types import MetricRole, Status

SCRAPED = (Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED)
"""A bounded set: experiments that have ended are looked up where they are reported."""


@dataclass(frozen=True)
class ArmNumbers:
    """One arm's units, its primary metric's value, and what was counted of each of its metrics so far.

    ``rate`` is None while nothing can be said, or while results are masked.
    """

    experiment: str
    variant: str
    units: int
    rate: float | None
    outcomes: Mapping[str, float]


def arm_numbers() -> list[ArmNumbers]:
    """Every arm of every experiment that serves now and has been analysed."""
    rows = AnalysisRun.objects.filter(latest=True, experiment__status__in=[s.value for s in SCRAPED], iteration__ended_at__isnull=True)
    found = rows.order_by("experiment_id").values_list("experiment__key", "masked", "totals__arms", "results__metrics")
    return [arm for key, masked, arms, metrics in found for arm in _arms(key, masked, arms or [], metrics or [])]


def _arms(experiment: str, masked: bool, arms: list[dict[str, Any]], metrics: list[dict[str, Any]]) -> Iterator[ArmNumbers]:
    """Any: JSON of a stored run, whose shape core.results declares."""
    for arm in arms:
        own = {metric["key"]: (metric["role"], seen) for metric in metrics for seen in metric["arms"] if seen["arm"] == arm["key"]}
        rate = next((seen["mean"] for role, seen in own.values() if role == MetricRole.PRIMARY), None)
        outcomes = {key: float(seen["sum_y"]) for key, (_, seen) in own.items()}
        yield ArmNumbers(experiment, arm["key"], arm["units"], None if masked else rate, {} if masked else outcomes)
