"""By when the conditions of a promotion will be met, for pages."""

from __future__ import annotations

from datetime import date

from analytics.core.deciding.forecast import clock_by, units_by
from analytics.selectors.results import Readiness, ResultsView

FORESEEN = ("clock", "units")
"""What goes on evenly; the others depend on what the data will say."""


def expected_day(view: ResultsView, condition: Readiness) -> date | None:
    """The day on which an unmet clock or number of units will do; None where that cannot be
    said.
    """
    if condition.topic == "clock" and view.weekdays:
        return clock_by(view.weekdays, view.weeks, view.as_of.date())
    if condition.topic == "units" and condition.target is not None:
        arm = condition.arm or next((one.key for one in view.arms if one.is_control), "")
        return units_by(view.days, arm, condition.target)
    return None
