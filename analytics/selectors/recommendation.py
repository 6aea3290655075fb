"""What the stored decisions recommend for an experiment that runs now."""

from __future__ import annotations

from analytics.models import Decision
from experiments.services.recommended import Recommendation


def recommendation(experiment_id: int) -> Recommendation | str:
    """The newest decision about the open iteration, when it is to promote a variant; else why there is none."""
    about = Decision.objects.filter(iteration__experiment_id=experiment_id, iteration__ended_at__isnull=True)
    decision = about.select_related("variant").order_by("-made_at", "-id").first()
    if decision is None:
        return "no decision has been made about the present iteration"
    if decision.verdict != "promote" or decision.variant is None:
        return f"the newest decision is to {decision.verdict}: {decision.rule}"
    return Recommendation(decision.pk, decision.iteration_id, decision.variant.key, decision.rule)
