"""What an iteration was launched to find out, read into frozen values that analysis works from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.core.deciding.windows import ServingSpan, without
from analytics.core.ground.encoding import restored
from analytics.core.intake.imported import NOT_IMPORTED, ImportFacts
from analytics.core.stats.sequential.sprt import why_not_watched
from experiments.core.design import allocation
from experiments.core.design.design import Design, DesignMetric, DesignVariant
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.design.policies import PolicyRules
from experiments.core.life.ramping import parse_ramp
from experiments.core.types import (
    DARK_BUCKETS,
    BucketRole,
    GuardrailAction,
    MetricRole,
    Origin,
    Status,
)
from experiments.models import Bucket, Experiment, Iteration, Metric
from experiments.selectors.experiments import design_of, iteration_design, iteration_rules
from experiments.selectors.metrics import definition_of
from experiments.selectors.switches import off_spans

WEEKS_OF_SIZE = {"small": 1, "medium": 1, "large": 2}
NEVER_BY_ITSELF = ("geo",)
"""Types of experiment whose winners people promote, whatever the design says."""
IMPORTED = "imported"
"""Under this name an imported iteration's plan keeps what is known of its file."""
LONG_PAUSE = timedelta(hours=24)
"""A unit whose window overlaps a pause longer than this is left out of looks."""


@dataclass(frozen=True)
class PlannedArm:
    """One variant of the design; ``share`` is its part of the analysed units, 0 to 1;
    ``stopped_at``: switched off alone since then.
    """

    variant_id: int
    key: str
    name: str
    is_control: bool
    share: float
    stopped_at: datetime | None = None


@dataclass(frozen=True)
class PlannedMetric:
    """A frozen version of a metric and what the plan wants of it."""

    definition: MetricDefinition
    planned: DesignMetric

    @property
    def role(self) -> MetricRole:
        """Primary, secondary or guardrail."""
        return MetricRole(self.planned.role)

    @property
    def window(self) -> timedelta | None:
        """The conversion window; None: until the data cut."""
        return (
            None
            if self.definition.window_hours is None
            else timedelta(hours=self.definition.window_hours)
        )

    @property
    def is_cost(self) -> bool:
        """Whether it is about what the units cost."""
        return self.definition.value_field == "cost_micro"

    @property
    def counts_bad_events(self) -> bool:
        """Whether the SPRT watches it: a guardrail that stops, of an event that should become
        rarer.
        """
        adds_values = self.definition.aggregation not in ("any", "count")
        stops = (self.planned.action or GuardrailAction.STOP.value) == GuardrailAction.STOP.value
        return (
            stops
            and why_not_watched(
                self.definition.direction.value, self.definition.kind.value, adds_values=adds_values
            )
            is None
        )


@dataclass(frozen=True)
class RampStretch:
    """A stretch of time at one ramp step, and which part of the units first exposed in it each arm
    was to get, 0 to 1 by key.
    """

    start: datetime
    end: datetime | None
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class AnalysisPlan:
    """One iteration as launched, and when it served. ``n_planned`` is information, None without a
    plan.
    """

    experiment_id: int
    key: str
    origin: Origin
    status: Status
    iteration_id: int
    unit_type: str
    time_zone: str
    arms: tuple[PlannedArm, ...]
    metrics: tuple[PlannedMetric, ...]
    alpha: float
    power: float
    min_sample_size: int
    auto_promote: bool
    rules: PolicyRules
    weeks: int
    n_planned: float | None
    began_at: datetime
    ended_at: datetime | None
    planned_end: datetime | None
    spans: tuple[ServingSpan, ...]
    pauses: tuple[tuple[datetime, datetime], ...]
    budget_micro: int | None = None
    stretches: tuple[RampStretch, ...] = ()
    arrival_grace: timedelta = timedelta(0)
    arrival_grace_counts: bool = False
    imported: ImportFacts = NOT_IMPORTED

    @property
    def control(self) -> PlannedArm | None:
        """The arm the others are compared with."""
        return next((arm for arm in self.arms if arm.is_control), None)

    @property
    def test_arms(self) -> tuple[PlannedArm, ...]:
        """Every arm but control."""
        return tuple(arm for arm in self.arms if not arm.is_control)

    @property
    def worth_micro(self) -> int | None:
        """What one unit of the primary outcome is worth; None: the plan does not say."""
        return None if self.primary is None else self.primary.planned.worth_micro

    @property
    def stopped(self) -> frozenset[str]:
        """Keys of the test arms that are switched off alone."""
        return frozenset(arm.key for arm in self.test_arms if arm.stopped_at is not None)

    @property
    def primary(self) -> PlannedMetric | None:
        """The metric that decides, when there is one."""
        return next(iter(self.of_role(MetricRole.PRIMARY)), None)

    def of_role(self, role: MetricRole) -> tuple[PlannedMetric, ...]:
        """The planned metrics of one role, in their order."""
        return tuple(metric for metric in self.metrics if metric.role is role)

    def cut(self, now: datetime) -> datetime:
        """Up to when data count: results freeze when the iteration ends."""
        return now if self.ended_at is None else min(now, self.ended_at)


def iteration_to_analyse(experiment: Experiment) -> Iteration | None:
    """The open iteration, else the last one."""
    return experiment.iterations.order_by("ended_at", "-number").filter(
        ended_at__isnull=True
    ).first() or (experiment.iterations.order_by("-number").first())


def plan_of(iteration: Iteration, now: datetime) -> AnalysisPlan:
    """The frozen design of an iteration, with the rows it names."""
    experiment = iteration.experiment
    design = iteration_design(iteration) if iteration.design else design_of(experiment)
    rules = iteration_rules(iteration)
    n_planned = iteration.plan.get("n_planned")
    pauses = _not_serving(iteration, design, now)
    return AnalysisPlan(
        experiment_id=experiment.pk,
        key=experiment.key,
        origin=Origin(experiment.origin),
        status=Status(experiment.status),
        iteration_id=iteration.pk,
        unit_type=design.unit_type,
        time_zone=design.time_zone,
        arms=_arms(iteration, design),
        metrics=planned_metrics(design),
        alpha=round(1 - float(design.confidence_level), 9),
        power=float(design.power),
        min_sample_size=design.min_sample_size,
        auto_promote=design.auto_promote and experiment.experiment_type not in NEVER_BY_ITSELF,
        rules=rules,
        weeks=max(rules.weeks, WEEKS_OF_SIZE.get(design.size_class, 0)),
        n_planned=float(n_planned) if n_planned else None,
        began_at=iteration.began_at,
        ended_at=iteration.ended_at,
        planned_end=experiment.planned_end,
        spans=_serving(iteration, design, pauses, now),
        pauses=tuple((begins, ends) for begins, ends in pauses if ends - begins > LONG_PAUSE),
        budget_micro=design.budget_micro,
        stretches=_stretches(iteration, design),
        arrival_grace=timedelta(seconds=design.arrival_grace_seconds),
        arrival_grace_counts=design.arrival_grace_counts,
        imported=restored(iteration.plan[IMPORTED], ImportFacts)
        if IMPORTED in iteration.plan
        else NOT_IMPORTED,
    )


def _not_serving(
    iteration: Iteration, design: Design, now: datetime
) -> list[tuple[datetime, datetime]]:
    """Stretches in which nobody was served a variant, in order: pauses, and times with the flag
    switched off.
    """
    pauses = [(pause.started_at, pause.ended_at or now) for pause in iteration.pauses.all()]
    return sorted(
        [*pauses, *off_spans(design.flag_key, iteration.began_at, iteration.ended_at or now)]
    )


def _arms(iteration: Iteration, design: Design) -> tuple[PlannedArm, ...]:
    """Arms in the design's order. Shares come from the analysed buckets held, or the weights once
    those are released.
    """
    ids = dict(iteration.experiment.variants.values_list("key", "pk"))
    held: dict[int, int] = {}
    for variant_id in Bucket.objects.filter(iteration=iteration, role=BucketRole.MAIN).values_list(
        "variant_id", flat=True
    ):
        if variant_id is not None:
            held[variant_id] = held.get(variant_id, 0) + 1

    known = [arm for arm in design.variants if arm.key in ids]
    even = iteration.experiment.origin == Origin.IMPORT and _as_even_as_can_be(
        [arm.weight for arm in known]
    )

    def part(arm: DesignVariant) -> int:
        return held.get(ids[arm.key], 0) if held else 1 if even else arm.weight

    whole = sum(part(arm) for arm in known) or 1
    off = dict(iteration.stopped_arms.values_list("variant__key", "stopped_at"))
    return tuple(
        PlannedArm(
            ids[arm.key], arm.key, arm.name, arm.is_control, part(arm) / whole, off.get(arm.key)
        )
        for arm in known
    )


def _as_even_as_can_be(weights: list[int]) -> bool:
    """Whether thousandths stand for equal shares: an import in thirds was split 1:1:1, not
    333:334:333.
    """
    return bool(weights) and max(weights) - min(weights) <= 1


def planned_metrics(design: Design) -> tuple[PlannedMetric, ...]:
    """The metrics of a design with the versions of their definitions that it froze, in its
    order.
    """
    rows = {
        (m.key, m.version): m
        for m in Metric.objects.filter(key__in=[m.key for m in design.metrics])
    }
    found = ((rows.get((planned.key, planned.version)), planned) for planned in design.metrics)
    return tuple(
        PlannedMetric(definition_of(row), planned) for row, planned in found if row is not None
    )


def _serving(
    iteration: Iteration, design: Design, pauses: Sequence[tuple[datetime, datetime]], now: datetime
) -> tuple[ServingSpan, ...]:
    """Stretches of serving at the last ramp step, to now (or the end), minus the pauses."""
    end, last = iteration.ended_at or now, len(parse_ramp(design.ramp)) - 1
    if last >= 0:
        stays = [
            ServingSpan(stay.started_at, stay.ended_at or end)
            for stay in iteration.stays.all()
            if stay.step == last
        ]
        return without(stays, pauses)
    start = iteration.step_started_at or iteration.started_at
    return () if start is None else without([ServingSpan(start, end)], pauses)


def _stretches(iteration: Iteration, design: Design) -> tuple[RampStretch, ...]:
    """The stays of a ramp. Whole buckets cannot always be dealt in the exact proportions, least of
    all in a small step.
    """
    weights = [arm.weight for arm in design.variants]
    reserved = 2 * DARK_BUCKETS if iteration.dark_started_at is not None else 0
    found = []
    for stay in iteration.stays.all():
        held = allocation.counts(weights, allocation.main_buckets(stay.share, reserved))
        shares = {
            arm.key: count / sum(held) for arm, count in zip(design.variants, held, strict=True)
        }
        found.append(RampStretch(stay.started_at, stay.ended_at, shares))
    return tuple(found)
