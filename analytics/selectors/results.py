"""Results, read: what pages, reports and the API show of an iteration's analysis.

A masked view has no numbers at all, only the counts that explain why; masking happens here, so
that no door can forget it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from analytics.core.deciding.decision import Readiness, in_names
from analytics.core.deciding.harm_watch import WatchedGuardrail
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.ground.encoding import restored
from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.core.results import (
    WHAT_TO_DO,
    AlwaysValid,
    ArmComparison,
    ArmSummary,
    MetricResult,
    why_not_always,
    why_not_cuped,
)
from analytics.core.series import SeriesDay
from analytics.core.stats.arms.comparison import Comparison, disagreement, word_of
from analytics.core.stats.exploring.omnibus import Omnibus, compare_all
from analytics.core.stats.srm import SrmCheck
from analytics.models import AnalysisRun, Decision, Look
from analytics.selectors.plans import PlannedMetric, planned_metrics
from experiments.core.design.design import DesignMetric
from experiments.core.types import MarginKind, MetricKind, MetricRole
from experiments.models import Experiment, Iteration
from experiments.selectors.experiments import iteration_design

__all__ = [
    "ComparisonView", "CovariateView", "DecisionRow", "FindingView", "GuardrailResult", "LookRow", "MarginView", "MetricArmView",
    "MetricRow", "Readiness", "ResultsView", "decision_rows", "in_names", "latest", "look_rows", "view_of",
]  # fmt: skip


@dataclass(frozen=True)
class FindingView:
    """One thing that speaks for or against the data, and what to do about it."""

    code: str
    severity: str
    evidence: str
    what_to_do: str
    masks: bool


@dataclass(frozen=True)
class CovariateView:
    """The same comparison once the past of each unit is taken out; ``saved`` is the share of
    variance that went with it.
    """

    difference: float | None
    low: float | None
    high: float | None
    level: float | None
    lift: float | None
    p: float | None
    method: str
    saved: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonView:
    """One test arm against control, ready to show; rates and lifts as shares (.01 = 1 %). None:
    cannot say, see ``reason``.

    ``low``/``high``/``p`` are fixed-sample numbers; ``always`` the sequential view, which may be
    read at any time; ``cuped`` the estimate with covariates. Where one of the two is None,
    ``always_reason`` and ``cuped_reason`` say why.
    """

    arm: str
    control_mean: float | None
    mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    level: float | None
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    p: float | None
    adjusted_p: float | None
    adjustment: str
    method: str
    verdict: str
    reason: str | None
    notes: tuple[str, ...] = ()
    always: AlwaysValid | None = None
    always_reason: str | None = None
    cuped: CovariateView | None = None
    cuped_reason: str | None = None


@dataclass(frozen=True)
class MarginView:
    """How much worse a guardrail may get, as planned, what its breach does, and what promotion
    needs of it.

    ``difference`` is the difference from control at which harm begins, in the metric's units,
    negative where less is worse; None while a relative margin has no control mean to be of.
    """

    kind: str
    value: float
    difference: float | None
    rule: str
    action: str


@dataclass(frozen=True)
class MetricArmView:
    """One arm's n and mean (rate, ratio, quantile) of one metric; ``exposed`` are its matured
    units, ``sums`` its totals.
    """

    arm: str
    n: int
    exposed: int
    mean: float | None
    sums: dict[str, float]


@dataclass(frozen=True)
class MetricRow:
    """One metric over all arms.

    ``quantile`` is the level of a quantile or duration; ``cap`` where unit values were cut, given
    or found by the first look of a ``winsorised`` metric (None: not cut yet); ``adjusted``: looks
    decide by the estimate with covariates. ``watches``: where the SPRT of a guardrail stands, arm
    by arm. ``omnibus`` is the χ² of all arms of a rate, where there are three or more: displayed,
    and deciding nothing.
    """

    key: str
    name: str
    role: str
    kind: str
    direction: str
    scale: str
    window_hours: int | None
    arms: tuple[MetricArmView, ...]
    comparisons: tuple[ComparisonView, ...]
    guardrails: tuple[GuardrailResult, ...]
    watches: tuple[WatchedGuardrail, ...] = ()
    margin: MarginView | None = None
    quantile: float | None = None
    cap: float | None = None
    winsorised: bool = False
    adjusted: bool = False
    omnibus: Omnibus | None = None


@dataclass(frozen=True)
class LookRow:
    """One look of one test arm, as history."""

    number: int
    day: date
    arm: str
    information: float
    z: float | None
    boundary: float | None
    p: float
    crossed: str | None
    last: bool


@dataclass(frozen=True)
class DecisionRow:
    """One stored decision and what became of it."""

    id: int
    made_at: datetime
    verdict: str
    outcome: str
    variant: str
    rule: str
    look: int | None
    applied: bool | None
    note: str


@dataclass(frozen=True)
class ResultsView:
    """The latest run of an iteration. With ``masked`` there are no metric rows, and ``masked_why``
    says why.
    """

    experiment: str
    status: str
    outcome: str
    origin: str
    iteration: int
    computed_at: datetime
    as_of: datetime
    failed_at: datetime | None
    error: str
    arms: tuple[ArmSummary, ...]
    metrics: tuple[MetricRow, ...]
    srm: SrmCheck | None
    findings: tuple[FindingView, ...]
    masked: bool
    masked_why: str
    recommendation: str
    rule: str
    readiness: tuple[Readiness, ...]
    clock: str
    next_look: str
    looks: tuple[LookRow, ...]
    decisions: tuple[DecisionRow, ...]
    spent_micro: int | None = None
    budget_micro: int | None = None
    days: tuple[SeriesDay, ...] = ()
    weekdays: tuple[int, ...] = ()
    """Complete days of each weekday, Monday first, of ``weeks`` wanted; empty where no clock runs.
    """
    weeks: int = 0

    @property
    def primary(self) -> MetricRow | None:
        """The row that decides."""
        return next((row for row in self.metrics if row.role == MetricRole.PRIMARY), None)

    def of_role(self, role: MetricRole | str) -> tuple[MetricRow, ...]:
        """Rows of one role, in plan order."""
        return tuple(row for row in self.metrics if row.role == str(role))


def latest(experiment: Experiment, *, unmasked: bool = False) -> ResultsView | None:
    """The newest iteration's latest run; None before the first. ``unmasked`` is for diagnosis by
    those who may.
    """
    run = (
        AnalysisRun.objects.filter(experiment=experiment, latest=True)
        .select_related("iteration", "experiment")
        .order_by("-iteration__number")
        .first()
    )
    return None if run is None else view_of(run, unmasked=unmasked)


def view_of(run: AnalysisRun, *, unmasked: bool = False) -> ResultsView:
    """A stored run as a page shows it."""
    findings = tuple(_finding(entry) for entry in run.health.get("findings", []))
    hidden = run.masked and not unmasked
    readiness = run.readiness
    return ResultsView(
        experiment=run.experiment.key,
        status=run.experiment.status,
        outcome=run.experiment.outcome,
        origin=run.experiment.origin,
        iteration=run.iteration.number,
        computed_at=run.computed_at,
        as_of=run.data_cut,
        failed_at=run.failed_at,
        error=run.error,
        arms=restored(run.totals.get("arms", []), tuple[ArmSummary, ...]),
        metrics=() if hidden else _metric_rows(run),
        srm=restored(run.health.get("srm"), SrmCheck | None),  # type: ignore[arg-type]  # a union is a type to msgspec
        findings=tuple(f for f in findings if not (hidden and f.code == "cannot_say")),
        masked=run.masked,
        masked_why="; ".join(f.evidence for f in findings if f.masks),
        recommendation=readiness.get("kind", ""),
        rule=readiness.get("rule", ""),
        readiness=() if hidden else restored(readiness.get("items", []), tuple[Readiness, ...]),
        clock=readiness.get("clock_sentence", ""),
        next_look=readiness.get("look", {}).get("reason", ""),
        looks=() if hidden else look_rows(run.iteration),
        decisions=decision_rows(run.iteration),
        spent_micro=run.totals.get("spent_micro"),
        budget_micro=run.totals.get("budget_micro"),
        weekdays=tuple(readiness.get("clock", {}).get("per_weekday", ())),
        weeks=readiness.get("clock", {}).get("weeks", 0),
        days=() if hidden else restored(run.results.get("days", []), tuple[SeriesDay, ...]),
    )


def look_rows(iteration: Iteration) -> tuple[LookRow, ...]:
    """Every look of every test arm, oldest first."""
    states = [
        (row.number, restored(row.state, LookState))
        for row in Look.objects.filter(iteration=iteration).order_by("number")
    ]
    return tuple(
        LookRow(
            number,
            state.day,
            h.arm,
            h.look.t,
            h.look.z,
            h.look.boundary,
            h.look.p,
            h.look.crossed,
            h.look.last,
        )
        for number, state in states
        for h in state.hypotheses
        if h.look is not None
    )


def decision_rows(iteration: Iteration) -> tuple[DecisionRow, ...]:
    """Every decision of an iteration, newest first."""
    rows = (
        Decision.objects.filter(iteration=iteration)
        .select_related("variant", "look", "applied")
        .order_by("-made_at", "-pk")
    )
    return tuple(_decision(row) for row in rows)


def _decision(row: Decision) -> DecisionRow:
    applied = getattr(row, "applied", None)
    return DecisionRow(
        id=row.pk,
        made_at=row.made_at,
        verdict=row.verdict,
        outcome=row.outcome,
        variant="" if row.variant is None else row.variant.key,
        rule=row.rule,
        look=None if row.look is None else row.look.number,
        applied=None if applied is None else applied.done,
        note="" if applied is None else applied.note,
    )


def _finding(entry: dict[str, object]) -> FindingView:
    code = str(entry["code"])
    return FindingView(
        code,
        str(entry["weight"]),
        str(entry["sentence"]),
        WHAT_TO_DO.get(code, ""),
        bool(entry["masks"]),
    )


def _metric_rows(run: AnalysisRun) -> tuple[MetricRow, ...]:
    metrics = restored(run.results.get("metrics", []), tuple[MetricResult, ...])
    verdicts = restored(run.verdicts.get("guardrails", []), tuple[GuardrailResult, ...])
    watches = restored(run.verdicts.get("sprt", []), tuple[WatchedGuardrail, ...])
    planned = {
        (one.definition.key, one.role): one
        for one in planned_metrics(iteration_design(run.iteration))
    }
    caps = _frozen_caps(run)
    return tuple(
        _metric_row(
            metric,
            verdicts,
            watches,
            planned.get((metric.key, MetricRole(metric.role))),
            caps.get(metric.key),
        )
        for metric in metrics
    )


def _frozen_caps(run: AnalysisRun) -> dict[str, float]:
    """The caps of winsorised metrics that this run cut by: the first look finds them and is itself
    read whole.
    """
    first = (
        Look.objects.filter(iteration=run.iteration, taken_at__lt=run.computed_at)
        .order_by("number")
        .first()
    )
    return (
        {}
        if first is None
        else {one.key: one.cap.value for one in restored(first.state, LookState).caps}
    )


def explored_row(metric: MetricResult, planned: PlannedMetric) -> MetricRow:
    """A metric that was read otherwise than planned: without verdicts, and without the view that
    promises to hold at any time.
    """
    row = _metric_row(metric, (), (), planned, planned.definition.cap)
    return replace(
        row,
        comparisons=tuple(replace(one, always=None, always_reason=None) for one in row.comparisons),
    )


def _metric_row(
    metric: MetricResult,
    verdicts: Sequence[GuardrailResult],
    watches: Sequence[WatchedGuardrail],
    planned: PlannedMetric | None,
    frozen_cap: float | None,
) -> MetricRow:
    guardrail = metric.role == MetricRole.GUARDRAIL
    asked = planned.definition if planned is not None else None
    return MetricRow(
        key=metric.key,
        name=metric.name,
        role=metric.role,
        kind=metric.kind,
        direction=metric.direction,
        scale=metric.scale,
        window_hours=metric.window_hours,
        arms=tuple(
            MetricArmView(arm.arm, arm.n, arm.exposed, arm.mean, arm.sums) for arm in metric.arms
        ),
        comparisons=tuple(_comparison(metric, against) for against in metric.comparisons),
        guardrails=tuple(v for v in verdicts if v.key == metric.key) if guardrail else (),
        watches=tuple(w for w in watches if w.key == metric.key) if guardrail else (),
        margin=_margin(metric, planned.planned) if guardrail and planned is not None else None,
        quantile=(asked.quantile if asked is not None else None) or kind_of(metric.kind).level,
        cap=asked.cap if asked is not None and not asked.winsorised else frozen_cap,
        winsorised=asked is not None and asked.winsorised,
        adjusted=planned is not None and planned.planned.adjusted,
        omnibus=_omnibus(metric),
    )


def _omnibus(metric: MetricResult) -> Omnibus | None:
    if metric.kind != MetricKind.PROPORTION or len(metric.arms) < 3:
        return None
    return compare_all([Totals(arm.n, arm.sum_y, arm.sum_y2) for arm in metric.arms])


def _margin(metric: MetricResult, guard: DesignMetric) -> MarginView | None:
    if guard.margin is None:
        return None
    control = next((against.comparison.control_mean for against in metric.comparisons), None)
    size = (
        guard.margin
        if guard.margin_kind != MarginKind.RELATIVE
        else None
        if control is None
        else guard.margin * abs(control)
    )
    worse = 1 if metric.direction == "decrease" else -1
    return MarginView(
        guard.margin_kind,
        guard.margin,
        None if size is None else worse * size,
        guard.rule,
        guard.action,
    )


def _comparison(metric: MetricResult, against: ArmComparison) -> ComparisonView:
    c, without = against.comparison, why_not_cuped(metric, against)
    return ComparisonView(
        arm=against.arm,
        control_mean=c.control_mean,
        mean=c.treatment_mean,
        difference=c.difference,
        low=None if c.ci is None else c.ci.low,
        high=None if c.ci is None else c.ci.high,
        level=None if c.ci is None else c.ci.level,
        lift=c.lift,
        lift_low=None if c.lift_ci is None else c.lift_ci.low,
        lift_high=None if c.lift_ci is None else c.lift_ci.high,
        p=c.p,
        adjusted_p=against.adjusted_p,
        adjustment=against.adjustment,
        method=c.method,
        verdict=word_of(c, metric.direction),
        reason=c.reason,
        notes=tuple(note for note in (disagreement(c), *c.notes, c.lift_reason) if note),
        always=against.always,
        always_reason=why_not_always(against),
        cuped=_covariates(c, against.cuped)
        if against.cuped is not None and without is None
        else None,
        cuped_reason=without,
    )


def _covariates(raw: Comparison, cuped: Comparison) -> CovariateView:
    saved = None if not raw.se or cuped.se is None else 1 - (cuped.se / raw.se) ** 2
    return CovariateView(
        difference=cuped.difference,
        low=None if cuped.ci is None else cuped.ci.low,
        high=None if cuped.ci is None else cuped.ci.high,
        level=None if cuped.ci is None else cuped.ci.level,
        lift=cuped.lift,
        p=cuped.p,
        method=cuped.method,
        saved=saved,
        notes=cuped.notes,
    )


def reading_of(metric: MetricResult, against: ArmComparison) -> str:
    """The word that stands beside a comparison: better, worse, unclear, or cannot say."""
    return _comparison(metric, against).verdict
