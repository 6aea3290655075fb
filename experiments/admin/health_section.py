"""Whether the data may be believed: shares, crossovers, what was found and what to do, and how
fresh it all is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analytics.selectors import results, scans
from analytics.selectors.confirmed import judged_until
from analytics.selectors.results import FindingView, ResultsView
from experiments.admin.experiment_view import View
from experiments.core.types import Status
from experiments.models import Experiment

OVER = (Status.COMPLETED, Status.ARCHIVED)
STALE_HOURS = 1.0
"""At every tick of beat a running experiment is analysed, or its result confirmed; what is older
has missed many.
"""


@dataclass(frozen=True)
class ArmShare:
    """One arm's units against those that its share of all would be."""

    name: str
    units: int
    expected: float
    share: float | None
    planned: float
    crossovers: int


def section(view: View, items: Sequence[Any]) -> dict[str, Any]:
    """The health tab, from the newest stored run."""
    found = results.latest(view.experiment)
    if found is None:
        return {"health": None}
    confirmed = judged_until(view.experiment.pk, found.computed_at)
    told = [*found.findings, *drifted(view.experiment, found)]
    hours = (view.now - confirmed).total_seconds() / 3600
    return {
        "health": found,
        "confirmed": confirmed if confirmed > found.computed_at else None,
        "shares": shares(found),
        "stale": view.experiment.status == Status.RUNNING and hours > STALE_HOURS,
        "over": view.experiment.status in OVER,
        "grave": [one for one in told if one.masks],
        "mild": [one for one in told if not one.masks],
    }


def drifted(experiment: Experiment, found: ResultsView) -> list[FindingView]:
    """What the newest night says of inputs that moved: it speaks against the data as much as what
    each analysis finds.
    """
    night = scans.latest(experiment, found.iteration, masked=found.masked)
    told = () if night is None else [one for one in night.findings if one.code == "drift"]
    return [
        FindingView(one.code, one.severity, one.evidence, " ".join(one.actions), masks=False)
        for one in told
    ]


def shares(found: ResultsView) -> list[ArmShare]:
    """Observed and expected units of each arm; expected ones by the shares of buckets that the arms
    held.
    """
    total, planned = (
        sum(arm.units for arm in found.arms),
        sum(arm.expected_share for arm in found.arms),
    )
    return [
        ArmShare(
            arm.name,
            arm.units,
            total * arm.expected_share / planned if planned else 0.0,
            arm.units / total if total else None,
            arm.expected_share,
            arm.crossovers,
        )
        for arm in found.arms
    ]
