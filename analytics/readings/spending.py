"""What an experiment has cost, read from its units' calls: by arm, by model, per outcome, and
against its budget.

Beside the analysis: nothing decides by it here. The budget cap is guarded by the analysis, from the
same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from analytics.core.finops import ArmCosts, CostLine, Costs, Outcomes, arm_costs, by_model, summed
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.models import AnalysisRun
from analytics.readings.measuring import population, spent_so_far
from analytics.selectors.plans import AnalysisPlan, iteration_to_analyse, plan_of
from analytics.stores.base import Population, Spending, Store
from analytics.stores.default import default_store
from experiments.models import Experiment, Iteration

COUNTED = ("any", "count", "sum")
"""Aggregations whose totals are a number of events (or of whatever they bring)."""
MASKED = Outcomes(None, "results are masked, and this would tell them")


def costs_of(experiment: Experiment, now: datetime, store: Store | None = None) -> Costs | None:
    """The costs of the present (else last) iteration, of everybody exposed so far; None of what was
    never launched.
    """
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        return None
    plan, source = plan_of(iteration, now), store or default_store()
    people = replace(population(plan, plan.cut(now)), rows_from=plan.began_at, blackouts=())
    with source.snapshot():
        found, present = source.spending_and_spent(people)
        arms = _arms(plan, people, source, found, masked=_masked(iteration))
        spent = present + spent_so_far(plan, source, people, but=iteration.pk)
    outcome = "" if plan.primary is None else plan.primary.definition.name
    return Costs(
        arms, by_model(arms), summed(arm.whole for arm in arms), outcome, spent, plan.budget_micro
    )


def _masked(iteration: Iteration) -> bool:
    return AnalysisRun.objects.filter(iteration=iteration, latest=True, masked=True).exists()


def _arms(
    plan: AnalysisPlan, people: Population, store: Store, found: Sequence[Spending], *, masked: bool
) -> tuple[ArmCosts, ...]:
    units = {arm.variant_id: arm.units for arm in store.arms(people)}
    lines: dict[int, dict[str, CostLine]] = {}
    for one in found:
        line = CostLine(
            one.calls,
            one.tokens_in,
            one.tokens_out,
            one.cost_micro,
            one.priced_micro,
            one.unpriced,
            one.cache_known,
            one.cache_hits,
        )
        lines.setdefault(one.variant_id, {})[one.model] = line
    outcomes = {} if masked else _outcomes(plan, people, store)
    return tuple(
        arm_costs(
            arm.key,
            arm.name,
            is_control=arm.is_control,
            units=units.get(arm.variant_id, 0),
            models=lines.get(arm.variant_id, {}),
            outcomes=MASKED
            if masked
            else outcomes.get(arm.variant_id, Outcomes(None, "no unit yet")),
        )
        for arm in plan.arms
    )


def _outcomes(plan: AnalysisPlan, people: Population, store: Store) -> Mapping[int, Outcomes]:
    """By variant, how often what the primary metric counts has happened so far."""
    primary = plan.primary
    if primary is None:
        return {arm.variant_id: Outcomes(None, "no primary metric") for arm in plan.arms}
    definition = primary.definition
    kind = definition.kind.value
    if (
        definition.aggregation not in COUNTED
        or kind_of(kind).form not in ("unit", "ratio")
        or definition.value_field != "value"
    ):
        why = Outcomes(None, f"{definition.key} is a {kind} that counts no outcomes")
        return {arm.variant_id: why for arm in plan.arms}
    found = store.totals(people, definition, matured=False)
    return {variant: Outcomes(_events(totals.totals)) for variant, totals in found.items()}


def _events(observed: Observed) -> float | None:
    """Σ of the values; of a ratio, of those above its line."""
    if isinstance(observed, Totals):
        return observed.sum_y
    return observed.sums[0] if isinstance(observed, UnitMoments) else None
