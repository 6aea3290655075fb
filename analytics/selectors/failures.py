"""What could not be computed in a stored run."""

from __future__ import annotations

from analytics.models import AnalysisRun


def failures_of(run: AnalysisRun) -> tuple[str, ...]:
    """The sentences of the parts that failed; empty when everything was computed."""
    return tuple(
        one["sentence"] for one in run.health.get("findings", []) if one["code"] == "metric_failed"
    )
