"""Results in the shapes that the sources print: a recommender's ``metrics``, a CRM's ``analyze``
and ``summary``, an operator's list.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from analytics.core.ground.totals import Totals
from analytics.core.results import MetricResult
from analytics.core.stats.exploring.omnibus import compare_all
from analytics.readings.described import DescribedArm
from analytics.selectors.exposition import ArmNumbers
from analytics.selectors.significance import Significance
from analytics.stores.base import Description
from experiments.core.cards import Card
from experiments.core.types import MetricKind, Origin, Outcome, Status
from experiments.models import Experiment


def variant_metrics(arms: Sequence[DescribedArm], *, masked: bool) -> dict[str, object]:
    """By the variant's id: who met it, and each metric's conversions unless results are masked."""
    return {
        str(arm.variant_id): {
            "variant_key": arm.key,
            "variant_name": arm.name,
            "is_control": arm.is_control,
            "exposures": arm.exposures,
            "unique_users": arm.units,
            "conversions": {}
            if masked
            else {key: conversions(found) for key, found in arm.metrics.items()},
        }
        for arm in arms
    }


def conversions(found: Description) -> dict[str, object]:
    """How many rows came, the share of units with one above zero, and the mean row. Per unit, never
    per impression.
    """
    rate = found.converted / found.exposed if found.exposed else None
    return {"count": found.rows, "conversion_rate": rate, "mean": found.row_mean}


def variant_stats(arms: Sequence[DescribedArm], key: str) -> dict[str, object]:
    """By the variant's id: mean, spread and range of its units' values of one metric."""
    return {str(arm.variant_id): _stats(arm.metrics.get(key)) for arm in arms}


def _stats(found: Description | None) -> dict[str, object]:
    if found is None:
        return {"mean": None, "std": None, "count": 0, "min": None, "max": None}
    variance = found.units.variance
    return {
        "mean": found.units.mean,
        "std": None if variance is None else math.sqrt(variance),
        "count": found.units.n,
        "min": found.least,
        "max": found.most,
    }


def analysis(
    experiment: Experiment,
    arms: Sequence[DescribedArm],
    metric: str,
    found: Significance,
    now: datetime,
) -> dict[str, object]:
    """The eleven keys. Counts are of units whose window is over; a winner is what the stored
    decision recommends. No arms: masked.
    """
    counts = [
        described.units.n if (described := arm.metrics.get(metric)) is not None else 0
        for arm in arms
    ]
    wanted = required_units(experiment)
    return {
        "experiment_id": experiment.pk,
        "analysis_date": now,
        "variant_stats": variant_stats(arms, metric),
        "p_value": found.p_value,
        "is_significant": found.significant,
        "recommended_winner_id": None if found.winner is None else found.winner.pk,
        "recommendation_confidence": float(experiment.confidence_level)
        if found.winner is not None
        else None,
        "recommendation_reason": found.reason,
        "sufficient_sample_size": bool(counts) and min(counts) >= wanted,
        "current_sample_size": sum(counts) if counts else None,
        "required_sample_size": wanted,
    }


def required_units(experiment: Experiment) -> int:
    """Units an arm wanted before anything can be decided: the floor, or half of what the frozen
    plan asks for of two equal arms.
    """
    iteration = experiment.iterations.order_by("-number").first()
    planned = float(iteration.plan.get("n_planned") or 0) if iteration is not None else 0.0
    # Information is 1/(1/nT + 1/nC): of two equal arms, half of each.
    return max(experiment.min_sample_size, math.ceil(2 * planned))


def summary(
    experiment: Experiment,
    arms: Sequence[DescribedArm],
    found: Significance,
    card: Card,
    *,
    masked: bool,
) -> dict[str, object]:
    """Where it is, in one object; ``state``, ``sentence`` and ``effect`` are what every page
    says.
    """
    shares = {variant.pk: variant.weight / 10 for variant in experiment.variants.all()}
    return {
        "experiment_id": experiment.pk,
        "key": experiment.key,
        "name": experiment.name,
        "status": experiment.status,
        "outcome": experiment.outcome or None,
        "experiment_type": experiment.experiment_type,
        "start_date": experiment.start_ts,
        "end_date": experiment.end_ts,
        "total_users": sum(arm.units for arm in arms),
        "total_exposures": sum(arm.exposures for arm in arms),
        "total_results": None if masked else sum(_rows(arm) for arm in arms),
        "variants": [
            {
                "id": arm.variant_id,
                "key": arm.key,
                "name": arm.name,
                "is_control": arm.is_control,
                "traffic_allocation": shares.get(arm.variant_id),
                "users": arm.units,
                "exposures": arm.exposures,
                "results": None if masked else _rows(arm),
            }
            for arm in arms
        ],
        "is_significant": found.significant,
        "p_value": found.p_value,
        "recommended_winner_id": None if found.winner is None else found.winner.pk,
        "recommendation_reason": found.reason,
        "state": card.state.value,
        "sentence": card.sentence,
        "effect": card.effect,
    }


def _rows(arm: DescribedArm) -> int:
    return sum(found.rows for found in arm.metrics.values())


def operators_entry(
    experiment: Experiment,
    found: Significance,
    arms: Sequence[ArmNumbers],
    primary: MetricResult | None,
    promoted: str | None,
) -> dict[str, object]:
    """One experiment as an operator reads it: sizes and rates of everybody exposed so far, as
    ``/metrics`` has them.

    ``matured`` holds the newest analysis: the units whose window is over, from which decisions are
    made.
    """
    by_key = {arm.variant: arm for arm in arms}
    return {
        "enabled": experiment.status in (Status.RUNNING, Status.DARK_LAUNCH),
        "promoted_variant": promoted if experiment.outcome == Outcome.PROMOTED else None,
        "variants": [variant.key for variant in experiment.variants.all()],
        "significance": {
            "significant": found.significant,
            "p_value": found.p_value,
            "winner": None if found.winner is None else found.winner.key,
            "variants": {
                variant.key: _sample(by_key.get(variant.key))
                for variant in experiment.variants.all()
            },
        },
        "outcomes": {arm.variant: dict(arm.outcomes) for arm in arms},
        "matured": {
            variant.key: _matured(variant.key, primary) for variant in experiment.variants.all()
        },
        "id": experiment.pk,
        "name": experiment.name,
        "status": experiment.status,
        "imported": experiment.origin == Origin.IMPORT,
        "primary_metric": None if primary is None else primary.key,
        "reason": found.reason,
    }


def _sample(arm: ArmNumbers | None) -> dict[str, object]:
    """Everybody who met the arm so far, and those among them with the primary metric's outcome."""
    if arm is None:
        return {"samples": None, "conversions": None, "rate": None}
    conversions = None if arm.rate is None else round(arm.rate * arm.units)
    return {"samples": arm.units, "conversions": conversions, "rate": arm.rate}


def _matured(key: str, primary: MetricResult | None) -> dict[str, object]:
    """The arm in the analysis of the primary metric."""
    found = None if primary is None else next((arm for arm in primary.arms if arm.arm == key), None)
    if primary is None or found is None:
        return {"samples": None, "conversions": None, "rate": None}
    counted = primary.kind == MetricKind.PROPORTION
    return {
        "samples": found.n,
        "conversions": round(found.sum_y) if counted else None,
        "rate": found.mean,
    }


def chi_square(primary: MetricResult | None) -> float | None:
    """Pearson's χ² of all arms, where the primary metric is a yes or no: shown, never what
    decides.
    """
    if primary is None or primary.kind != MetricKind.PROPORTION:
        return None
    return compare_all([Totals.of_rate(round(arm.sum_y), arm.n) for arm in primary.arms]).chi2


def primary_of(metrics: Sequence[MetricResult]) -> MetricResult | None:
    """The one that decides."""
    return next((metric for metric in metrics if metric.role == "primary"), None)
