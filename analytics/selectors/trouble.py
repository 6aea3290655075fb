"""What the latest analysis run has against a promotion."""

from __future__ import annotations

from analytics.models import AnalysisRun
from analytics.selectors.failures import failures_of


def trouble_now(iteration_id: int) -> str:
    """What stands against a promotion in the latest run, however the looks went; empty when nothing
    does.
    """
    run = AnalysisRun.objects.filter(iteration_id=iteration_id, latest=True).first()
    if run is None:
        return "there is no analysis run"
    if run.failed_at is not None:
        return "the newest analysis failed, so nobody can say whether anything is breached now"
    if run.masked:
        return "results are masked now"
    failed = failures_of(run)
    if failed:
        return f"a part of the newest analysis could not be computed ({'; '.join(failed)})"
    off = {arm["key"] for arm in run.totals.get("arms", []) if arm.get("stopped_at")}
    verdicts = [
        verdict for verdict in run.verdicts.get("guardrails", []) if verdict["arm"] not in off
    ]
    breached = [
        v["key"] for v in verdicts if v.get("proven") or (v["breach"] and not v.get("compensated"))
    ]
    return f"breached now: {', '.join(breached)}" if breached else ""
