"""What an experiment has cost, as its page shows it: numbers from analytics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analytics.readings.spending import costs_of
from experiments.admin.experiment_view import View
from experiments.core.life.checklist import ItemState


def cost_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    """Costs by arm and model, and the budget; nothing before the first launch."""
    return {"costs": costs_of(view.experiment, view.now)}
