"""The sentence about an experiment that can never decide: the same words at every door, on the page
and in the SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

NEVER_LOOKED = (
    "no look will ever be taken, so nothing can be decided: the primary metric has no conversion window, and neither a planned end "
    "nor a planned sample size says when it is over. Set a planned end; that is possible while it runs"
)


def never_decides(
    name: str, *, has_primary: bool, auto_promote: bool, told: Sequence[str] = ()
) -> str:
    """A sentence if no primary metric is planned, else an empty text. ``told``: outcomes that
    applications already report.
    """
    if has_primary:
        return ""
    promotes = (
        " and is never promoted automatically, although auto_promote is on" if auto_promote else ""
    )
    offered = f"Outcomes reported so far: {', '.join(told)}. " if told else ""
    return (
        f"{name} has no primary metric: it shows numbers, but it can never decide which variant is better{promotes}. "
        f"{offered}Name one as primary_metric when you create an experiment; once it runs, its plan is fixed and a new iteration is needed."
    )


def never_looks(*, windowless: bool, planned_end: datetime | None, n_planned: object) -> str:
    """A sentence if the only look of a metric without a window has no moment to come at, else an
    empty text.
    """
    return NEVER_LOOKED if windowless and planned_end is None and not n_planned else ""
