"""What the stored decisions recommend for an experiment that runs now."""

from __future__ import annotations

from analytics.core.deciding.decision import DecisionFacts, recommended
from analytics.core.ground.encoding import restored
from analytics.models import AnalysisRun, Decision
from analytics.selectors.plans import NEVER_BY_ITSELF
from analytics.selectors.trouble import trouble_now
from experiments.models import Experiment, Variant
from experiments.services.life.advice import Recommendation


def recommendation(experiment_id: int) -> Recommendation | str:
    """The newest decision about the open iteration, when it recommends a variant; else why there is
    none.
    """
    experiment = Experiment.objects.get(pk=experiment_id)
    if experiment.experiment_type in NEVER_BY_ITSELF:
        return f"an experiment of type {experiment.experiment_type} is promoted by a person"
    if experiment.promotion_held:
        return "a person holds its promotion"
    about = Decision.objects.filter(
        iteration__experiment_id=experiment_id, iteration__ended_at__isnull=True
    )
    decision = about.select_related("variant").order_by("-made_at", "-id").first()
    if decision is None:
        return f"no decision has been made about the present iteration{_next_look(experiment_id)}"
    variant = recommended_variant(decision)
    if variant is None:
        return f"the newest decision is to {decision.verdict}: {decision.rule}"
    trouble = trouble_now(decision.iteration_id)
    if trouble:
        return f"the newest decision is to promote {variant.key}, but {trouble}"
    return Recommendation(decision.pk, decision.iteration_id, variant.key, decision.rule)


def recommended_variant(decision: Decision) -> Variant | None:
    """The variant that a decision would have promoted: by itself, or by a person where the design
    leaves it to people.

    Anything else that names a variant (harm, a gain without all conditions) recommends nothing.
    """
    if decision.verdict == "promote":
        return decision.variant
    if decision.verdict != "escalate" or decision.variant is None:
        return None
    return (
        decision.variant
        if recommended(restored(decision.facts, DecisionFacts)) == decision.variant.key
        else None
    )


def _next_look(experiment_id: int) -> str:
    """When there will be one, as the newest run says."""
    run = (
        AnalysisRun.objects.filter(experiment_id=experiment_id, latest=True)
        .order_by("-iteration__number")
        .first()
    )
    reason = "" if run is None else run.readiness.get("look", {}).get("reason", "")
    return f": {reason}" if reason else ""
