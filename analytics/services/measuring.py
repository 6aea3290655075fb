"""All totals that one analysis run needs, read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db.models import Sum

from analytics.core.kinds import kind_of
from analytics.core.observed import Observed
from analytics.core.results import ArmSummary, MetricResult, metric_arm
from analytics.core.windows import LookPermission, day_start
from analytics.models import IngestTally
from analytics.selectors.plans import AnalysisPlan, PlannedMetric
from analytics.stores.base import OWN_PAST, ArmCount, Population, Store
from experiments.core.clock import local_day
from experiments.core.types import MetricRole, Origin

ByArm = Mapping[str, Observed]
"""Totals by arm key; an arm that nobody of those asked for has met is not there."""


@dataclass(frozen=True)
class MeasuredMetric:
    """One planned metric: its arms as they are shown, and the totals they are made of."""

    result: MetricResult
    observed: ByArm


@dataclass(frozen=True)
class LookTotals:
    """Matured totals at the end of the day that may be looked at: of the primary metric and of each guardrail."""

    day: date
    arms: tuple[ArmSummary, ...]
    primary: ByArm
    guardrails: Mapping[str, ByArm]


@dataclass(frozen=True)
class Measured:
    """Everything read for one run. ``since_start`` and ``recent`` hold all exposed units, for alarms.

    ``late`` of all ``accepted`` live items came too late; ``left_out`` matured units no look counts,
    because a long pause overlaps their window.
    """

    cut: datetime
    arms: tuple[ArmSummary, ...]
    metrics: tuple[MeasuredMetric, ...]
    since_start: Mapping[str, ByArm]
    recent: Mapping[str, ByArm]
    look: LookTotals | None = None
    late: int = 0
    accepted: int = 0
    left_out: int = 0


def measure(plan: AnalysisPlan, store: Store, *, now: datetime, look: LookPermission | None) -> Measured:
    """Read arms, metrics, alarm series, and what a look would see when one may be taken."""
    people = population(plan, plan.cut(now))
    with store.snapshot():
        counted = store.arms(people)
        people = replace(people, rows_from=min((arm.first for arm in counted), default=None))
        guardrails = plan.of_role(MetricRole.GUARDRAIL)
        latest = replace(people, exposed_from=recent_since(plan, people.cut))
        late, accepted = late_and_accepted(plan)
        return Measured(
            cut=people.cut,
            arms=summaries(plan, counted),
            metrics=tuple(measured_metric(plan, store, people, metric) for metric in plan.metrics),
            since_start={m.definition.key: _totals(plan, store, people, m, matured=False) for m in guardrails},
            recent={m.definition.key: _totals(plan, store, latest, m, matured=False) for m in guardrails},
            look=None if look is None or not look.allowed else _look_totals(plan, store, people, look, guardrails),
            late=late,
            accepted=accepted,
            left_out=_left_out(plan, store, people),
        )


def population(plan: AnalysisPlan, cut: datetime) -> Population:
    """The main-phase units of an iteration up to a moment."""
    return Population(
        experiment_id=plan.experiment_id, iteration_id=plan.iteration_id, unit_type=plan.unit_type, cut=cut, blackouts=plan.pauses
    )


def covariate_of(plan: AnalysisPlan, metric: PlannedMetric) -> str | None:
    """What CUPED may use for a metric: a named covariate, else its own past; an import has no past, a guardrail needs none."""
    if metric.role is MetricRole.GUARDRAIL or kind_of(metric.definition.kind.value).form not in ("unit", "ratio"):
        return None
    if metric.planned.covariate:
        return metric.planned.covariate
    return OWN_PAST if plan.origin is Origin.LIVE and metric.definition.lookback_days else None


def recent_since(plan: AnalysisPlan, cut: datetime) -> datetime:
    """Where the recent series restarted: yesterday's local midnight, 24 to 48 hours before the cut."""
    return day_start(local_day(cut, plan.time_zone) - timedelta(days=1), plan.time_zone)


def late_and_accepted(plan: AnalysisPlan) -> tuple[int, int]:
    """Live items that came late, and all that were accepted, since the iteration began (over all experiments)."""
    counted = IngestTally.objects.filter(day__gte=plan.began_at.date(), outcome__in=["late", "accepted"])
    sums = dict(counted.values_list("outcome").annotate(total=Sum("count")))
    return sums.get("late", 0), sums.get("accepted", 0)


def _left_out(plan: AnalysisPlan, store: Store, people: Population) -> int:
    """Matured units whose window of the primary metric overlaps a long pause; asked only when there was one."""
    if not people.blackouts or plan.primary is None:
        return 0
    definition = plan.primary.definition
    everybody = store.totals(replace(people, blackouts=()), definition).values()
    return sum(arm.exposed for arm in everybody) - sum(arm.exposed for arm in store.totals(people, definition).values())


def summaries(plan: AnalysisPlan, counted: Sequence[ArmCount]) -> tuple[ArmSummary, ...]:
    """Every planned arm with what met it; an arm nobody met stands there with zeros."""
    by_id = {arm.variant_id: arm for arm in counted}
    return tuple(
        ArmSummary(arm.key, arm.name, arm.is_control, count.units, count.exposures, count.crossovers, arm.share)
        if (count := by_id.get(arm.variant_id)) is not None
        else ArmSummary(arm.key, arm.name, arm.is_control, expected_share=arm.share)
        for arm in plan.arms
    )


def measured_metric(plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric) -> MeasuredMetric:
    """A metric's arms, without comparisons, and their totals."""
    definition = metric.definition
    found = store.totals(people, definition, covariate=covariate_of(plan, metric))
    observed = {arm.key: found[arm.variant_id].totals for arm in plan.arms if arm.variant_id in found}
    exposed = {arm.key: found[arm.variant_id].exposed for arm in plan.arms if arm.variant_id in found}
    kind = definition.kind.value
    result = MetricResult(
        key=definition.key,
        version=definition.version,
        name=definition.name,
        role=metric.role.value,
        kind=kind,
        direction=definition.direction.value,
        scale=definition.scale,
        window_hours=definition.window_hours,
        arms=tuple(metric_arm(kind, arm.key, observed.get(arm.key), exposed.get(arm.key, 0)) for arm in plan.arms),
    )
    return MeasuredMetric(result, observed)


def _look_totals(
    plan: AnalysisPlan, store: Store, people: Population, look: LookPermission, guardrails: Sequence[PlannedMetric]
) -> LookTotals | None:
    if plan.primary is None:
        return None
    then = replace(people, cut=look.data_cut)
    covariate = covariate_of(plan, plan.primary) if plan.primary.planned.adjusted else None
    return LookTotals(
        day=look.day,
        arms=summaries(plan, store.arms(then)),
        primary=_totals(plan, store, then, plan.primary, covariate=covariate),
        guardrails={m.definition.key: _totals(plan, store, then, m) for m in guardrails},
    )


def _totals(
    plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric, *, matured: bool = True, covariate: str | None = None
) -> ByArm:
    found = store.totals(people, metric.definition, matured=matured, covariate=covariate)
    return {arm.key: found[arm.variant_id].totals for arm in plan.arms if arm.variant_id in found}
