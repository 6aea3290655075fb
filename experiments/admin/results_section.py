"""The results of an experiment as its page shows them: numbers from analytics, drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Subquery

from analytics.selectors import results, standing
from analytics.selectors.results import ComparisonView, MetricArmView, MetricRow
from experiments.admin import charts
from experiments.models import Experiment, Rollout

PROPORTION = "proportion"
ROLES = ("primary", "guardrail", "secondary")
_TONES = {"better": "good", "worse": "bad"}


@dataclass(frozen=True)
class MetricBlock:
    """One metric: its row, its arms and comparisons with their names, its drawing."""

    row: MetricRow
    arms: list[tuple[str, MetricArmView]]
    comparisons: list[tuple[str, ComparisonView]]
    chart: charts.Intervals | None
    share: bool


def winner_name() -> Subquery:
    """The promoted variant's name, for lists."""
    return Subquery(Rollout.objects.filter(experiment=OuterRef("pk")).order_by("-created_at").values("variant__name")[:1])


def finding(experiment: Experiment) -> str | None:
    """What the newest analysis says of one experiment."""
    return findings([experiment.pk]).get(experiment.pk)


def recommendation(experiment: Experiment) -> str:
    """What the newest analysis recommends (keep, hold, promote, escalate, …); nothing while there is none."""
    said = standing.standing([experiment.pk]).get(experiment.pk)
    return "" if said is None else said.kind


def findings(experiment_ids: Iterable[int]) -> dict[int, str]:
    """What the newest analysis says of each, as a sentence."""
    return {pk: said.sentence for pk, said in standing.standing(experiment_ids).items()}


def section(experiment: Experiment, analyse_url: str) -> dict[str, Any]:
    """Everything the results section shows; without a run, that there is none."""
    view = results.latest(experiment)
    shown: dict[str, Any] = {"results": view, "analyse_url": analyse_url}
    if view is None:
        return shown
    names = {arm.key: arm.name for arm in view.arms}
    safety = [(row.name, names.get(one.arm, one.arm), one) for row in view.metrics for one in row.guardrails]
    return {
        **shown,
        "blocks": [_block(row, names) for row in sorted(view.metrics, key=lambda row: ROLES.index(row.role))],
        "safety": safety,
    }


def _block(row: MetricRow, names: Mapping[str, str]) -> MetricBlock:
    share = row.kind == PROPORTION
    arms = [(names.get(arm.arm, arm.arm), arm) for arm in row.arms]
    comparisons = [(names.get(one.arm, one.arm), one) for one in row.comparisons]
    drawn = [charts.Estimate(name, one.difference, one.low, one.high, _TONES.get(one.verdict, "")) for name, one in comparisons]
    return MetricBlock(row, arms, comparisons, charts.intervals(drawn, per_cent=share), share)
