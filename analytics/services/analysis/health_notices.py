"""What speaks against an experiment's data, put into the outbox when it appears."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from analytics.core.results import WHAT_TO_DO
from analytics.core.scans.findings import Finding
from experiments.core.messages.notices import Notice, NoticeKind
from experiments.core.types import JSON
from experiments.models import Experiment
from experiments.services.ground import outbox

_QUIET = frozenset({"no_data", "cannot_say"})
"""An experiment that has just begun has no data, and nothing is wrong."""


def unhealthy(
    experiment: Experiment,
    iteration_id: int,
    found: Sequence[Finding],
    before: Collection[str],
    now: datetime,
) -> None:
    """Tell the findings that were not there at the reading before (``before`` are its codes); one
    that comes and goes, once a day.
    """
    for one in found:
        if one.weight == "info" or one.code in before or one.code in _QUIET:
            continue
        advice = WHAT_TO_DO.get(one.code, "")
        hidden = "\nResults stay masked until this is repaired." if one.masks else ""
        facts: dict[str, JSON] = {"finding": one.code, "weight": one.weight, "masks": one.masks}
        title = f"{experiment.key}: {one.sentence}"
        key = f"health:{iteration_id}:{one.code}:{now:%Y-%m-%d}"
        outbox.put(
            now,
            Notice(NoticeKind.HEALTH, title, f"{advice}{hidden}".strip(), facts),
            key=key,
            experiment=experiment,
        )
