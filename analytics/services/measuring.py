"""All totals that one analysis run needs, read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db.models import Sum

from analytics.core.results import ArmSummary, MetricArm, MetricResult
from analytics.core.totals import NOTHING, Totals
from analytics.core.windows import LookPermission, day_start
from analytics.models import IngestTally
from analytics.selectors.plans import AnalysisPlan, PlannedMetric
from analytics.stores.base import ArmCount, MetricTotals, Population, Store
from experiments.core.clock import local_day
from experiments.core.metric_definitions import COMPUTED_KINDS
from experiments.core.types import MetricRole

ByArm = Mapping[str, Totals]


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
    metrics: tuple[MetricResult, ...]
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
        guardrails = [metric for metric in plan.of_role(MetricRole.GUARDRAIL) if computed(metric)]
        latest = replace(people, exposed_from=recent_since(plan, people.cut))
        late, accepted = late_and_accepted(plan)
        return Measured(
            cut=people.cut,
            arms=summaries(plan, counted),
            metrics=tuple(metric_result(plan, store, people, metric) for metric in plan.metrics),
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


def computed(metric: PlannedMetric) -> bool:
    """Whether the metric's statistics exist yet."""
    return metric.definition.kind in COMPUTED_KINDS


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
    if not people.blackouts or plan.primary is None or not computed(plan.primary):
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


def metric_result(plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric) -> MetricResult:
    """A metric's arms, without comparisons; or the reason why there are none."""
    definition = metric.definition
    bare = MetricResult(
        key=definition.key,
        version=definition.version,
        name=definition.name,
        role=metric.role.value,
        kind=definition.kind.value,
        direction=definition.direction.value,
        scale=definition.scale,
        window_hours=definition.window_hours,
    )
    if not computed(metric):
        return replace(bare, reason=f"cannot say: {definition.kind.value} statistics are not computed yet")
    found = store.totals(people, definition)
    return replace(bare, arms=tuple(_metric_arm(arm.key, found.get(arm.variant_id)) for arm in plan.arms))


def _metric_arm(key: str, found: MetricTotals | None) -> MetricArm:
    if found is None:
        return MetricArm(key, 0, 0, None, 0.0, 0.0)
    totals = found.totals
    return MetricArm(key, totals.n, found.exposed, totals.mean, totals.sum_y, totals.sum_y2)


def _look_totals(
    plan: AnalysisPlan, store: Store, people: Population, look: LookPermission, guardrails: Sequence[PlannedMetric]
) -> LookTotals | None:
    if plan.primary is None or not computed(plan.primary):
        return None
    then = replace(people, cut=look.data_cut)
    return LookTotals(
        day=look.day,
        arms=summaries(plan, store.arms(then)),
        primary=_totals(plan, store, then, plan.primary),
        guardrails={m.definition.key: _totals(plan, store, then, m) for m in guardrails},
    )


def _totals(plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric, *, matured: bool = True) -> ByArm:
    found = store.totals(people, metric.definition, matured=matured)
    return {arm.key: found[arm.variant_id].totals if arm.variant_id in found else NOTHING for arm in plan.arms}
