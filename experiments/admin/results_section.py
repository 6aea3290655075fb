"""The results of an experiment as its page shows them: numbers from analytics, drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Subquery

from analytics.selectors import results, standing
from experiments.admin import charts
from experiments.models import Experiment, Rollout

PROPORTION = "proportion"


@dataclass(frozen=True)
class MetricBlock:
    """One metric: its table by arm, its comparisons, its drawing."""

    result: Any
    arms: list[Any]
    rows: list[Any]
    chart: charts.Intervals | None
    share: bool
    better: str


def winner_name() -> Subquery:
    """The promoted variant's name, for lists."""
    return Subquery(Rollout.objects.filter(experiment=OuterRef("pk")).order_by("-created_at").values("variant__name")[:1])


def finding(experiment: Experiment) -> str | None:
    """What the newest analysis says of one experiment."""
    return findings([experiment.pk]).get(experiment.pk)


def findings(experiment_ids: Iterable[int]) -> dict[int, str]:
    """What the newest analysis says of each, as a sentence."""
    return standing.sentences(experiment_ids)


def section(experiment: Experiment, analyse_url: str) -> dict[str, Any]:
    """Everything the results section shows; without a run, that there is none."""
    view = results.latest(experiment)
    shown: dict[str, Any] = {"results": view, "analyse_url": analyse_url}
    if view is None:
        return shown
    blocks = [] if view.masked else [_block(metric, view) for metric in view.metrics]
    return {**shown, "blocks": blocks, "safety": _safety(view)}


def _block(result: Any, view: Any) -> MetricBlock:
    share = result.kind == PROPORTION
    names = {arm.key: arm.name for arm in view.arms}
    rows = [(names.get(row.arm, row.arm), row, row.comparison, _tone(result.direction, row.comparison)) for row in result.comparisons]
    estimates = [_estimate(name, comparison, tone) for name, _, comparison, tone in rows]
    arms = [(names.get(arm.arm, arm.arm), arm) for arm in result.arms]
    return MetricBlock(
        result, arms, rows, charts.intervals(estimates, per_cent=share), share, "higher" if result.direction == "increase" else "lower"
    )


def _estimate(name: str, comparison: Any, tone: str) -> charts.Estimate:
    ci = comparison.ci
    return charts.Estimate(name, comparison.difference, ci.low if ci else None, ci.high if ci else None, tone)


def _tone(direction: str, comparison: Any) -> str:
    """Good or bad when the interval lies wholly on one side; nothing when it cannot be said."""
    if comparison.ci is None or comparison.ci.low <= 0 <= comparison.ci.high:
        return ""
    return "good" if (comparison.ci.low > 0) == (direction == "increase") else "bad"


def _safety(view: Any) -> list[tuple[str, Any]]:
    names = {metric.key: metric.name for metric in view.metrics}
    return [(names.get(one.key, one.key), one) for one in view.guardrails]
