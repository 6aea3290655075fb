"""What the stored decisions recommend for an experiment that runs now."""

from __future__ import annotations

from analytics.models import AnalysisRun, Decision
from experiments.services.recommended import Recommendation


def recommendation(experiment_id: int) -> Recommendation | str:
    """The newest decision about the open iteration, when it is to promote a variant; else why there is none."""
    about = Decision.objects.filter(iteration__experiment_id=experiment_id, iteration__ended_at__isnull=True)
    decision = about.select_related("variant").order_by("-made_at", "-id").first()
    if decision is None:
        return "no decision has been made about the present iteration"
    if decision.verdict != "promote" or decision.variant is None:
        return f"the newest decision is to {decision.verdict}: {decision.rule}"
    trouble = trouble_now(decision.iteration_id)
    if trouble:
        return f"the newest decision is to promote {decision.variant.key}, but {trouble}"
    return Recommendation(decision.pk, decision.iteration_id, decision.variant.key, decision.rule)


def trouble_now(iteration_id: int) -> str:
    """What stands against a promotion in the latest run, however the looks went; empty when nothing does."""
    run = AnalysisRun.objects.filter(iteration_id=iteration_id, latest=True).first()
    if run is None:
        return "there is no analysis run"
    if run.failed_at is not None:
        return "the newest analysis failed, so nobody can say whether anything is breached now"
    if run.masked:
        return "results are masked now"
    breached = [verdict["key"] for verdict in run.verdicts.get("guardrails", []) if verdict["breach"]]
    return f"breached now: {', '.join(breached)}" if breached else ""
