"""`GET …/costs`: what an experiment has cost so far, by arm and model, per outcome, and against its
budget.
"""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.core.finops import ArmCosts, CostLine, Costs
from analytics.readings.spending import costs_of
from experiments.core.clock import utc_now
from experiments.core.types import Scope
from experiments.http.doors import Door
from experiments.models import Experiment
from experiments.selectors.experiments import resolve


class ExperimentCosts(Door):
    """`GET …/costs`: tokens, money, caches; money in whole millionths, null where it cannot be
    said.
    """

    scopes = (Scope.READ, Scope.MANAGEMENT)

    @extend_schema(operation_id="experiment_costs", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        """Costs of the present (else last) iteration since its units' exposure, and of all
        iterations against the budget cap.
        """
        experiment = resolve(ref)
        return Response(answer(experiment, costs_of(experiment, utc_now())))


def answer(experiment: Experiment, costs: Costs | None) -> dict[str, object]:
    """Everything of it; before the first launch nothing was spent."""
    head: dict[str, object] = {
        "experiment_id": experiment.pk,
        "experiment": experiment.key,
        "budget_micro": experiment.budget_micro,
    }
    if costs is None:
        return head | {
            "spent_micro": 0,
            "left_micro": experiment.budget_micro,
            "outcome": None,
            "total": _line(CostLine()),
            "models": {},
            "variants": [],
        }
    return head | {
        "budget_micro": costs.budget_micro,
        "spent_micro": costs.spent_micro,
        "left_micro": costs.left_micro,
        "outcome": costs.outcome or None,
        "total": _line(costs.whole),
        "models": _models(costs.models),
        "variants": [_arm(arm) for arm in costs.arms],
    }


def _arm(arm: ArmCosts) -> dict[str, object]:
    return {
        "variant": arm.arm,
        "name": arm.name,
        "is_control": arm.is_control,
        "units": arm.units,
        **_line(arm.whole),
        "cost_per_unit_micro": arm.per_unit_micro,
        "outcomes": arm.outcomes,
        "cost_per_outcome_micro": arm.per_outcome_micro,
        "why_not": arm.why_not or None,
        "models": _models(arm.models),
    }


def _models(models: Mapping[str, CostLine]) -> dict[str, object]:
    return {model: _line(line) for model, line in models.items()}


def _line(line: CostLine) -> dict[str, object]:
    return {
        "calls": line.calls,
        "tokens_in": line.tokens_in,
        "tokens_out": line.tokens_out,
        "cost_micro": line.cost_micro,
        "priced_micro": line.priced_micro,
        "unpriced_calls": line.unpriced,
        "cache_hit_rate": line.cache_hit_rate,
    }
