"""Whether an iteration's result is significant, in the few words that dashboards ask for: from its
looks and decisions alone.

Numbers between looks may be seen at any time and are therefore not significant at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.stats.multiplicity import holm
from analytics.models import AnalysisRun, Decision
from analytics.selectors.recommendation import recommended_variant
from analytics.selectors.results import LookRow, look_rows
from experiments.models import Experiment, Variant


@dataclass(frozen=True)
class Significance:
    """``p_value`` is of all looks so far, by Holm over the test arms: the winner's, else the
    smallest; None before a look.

    ``significant``: some arm's boundary was crossed, for the better or the worse. ``winner`` is the
    variant that the newest decision recommends, with its decision.
    """

    significant: bool
    p_value: float | None
    winner: Variant | None
    reason: str
    decision_id: int | None = None


def significance(run: AnalysisRun | None) -> Significance:
    """Of the iteration of a run; masked results are never significant."""
    if run is None:
        return Significance(False, None, None, "it has not been analysed yet")
    if run.masked:
        why = "; ".join(
            str(one["sentence"]) for one in run.health.get("findings", []) if one.get("masks")
        )
        return Significance(False, None, None, f"results are masked: {why}")
    decision = (
        Decision.objects.filter(iteration=run.iteration)
        .select_related("variant")
        .order_by("-made_at", "-pk")
        .first()
    )
    winner = None if decision is None else recommended_variant(decision)
    looks = look_rows(run.iteration)
    newest = [row for row in looks if row.number == looks[-1].number]
    said = (
        decision.rule
        if decision is not None
        else run.readiness.get("look", {}).get("reason", "") or run.readiness.get("rule", "")
    )
    return Significance(
        significant=any(row.crossed for row in newest),
        p_value=_p_value(newest, winner),
        winner=winner,
        reason=said,
        decision_id=None if decision is None else decision.pk,
    )


def _p_value(newest: list[LookRow], winner: Variant | None) -> float | None:
    """By arm, adjusted together."""
    adjusted = dict(zip([row.arm for row in newest], holm([row.p for row in newest]), strict=True))
    known = [p for p in adjusted.values() if p is not None]
    return adjusted.get(winner.key) if winner is not None else min(known, default=None)


def latest_run(experiment: Experiment) -> AnalysisRun | None:
    """The newest iteration's latest run; None before the first."""
    runs = AnalysisRun.objects.filter(experiment=experiment, latest=True).select_related(
        "iteration", "experiment"
    )
    return runs.order_by("-iteration__number").first()
