"""The nightly scan: each running iteration read for what wears, differs and drifts; every pair of
concurrent experiments for interaction.

Looks are not spent and verdicts not touched. The same night scanned again writes the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from itertools import combinations
from typing import TypeVar

import structlog
from django.db import transaction

from analytics.core.deciding.look_state import LookState
from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.nets import Net, sentences
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.kinds import kind_of
from analytics.core.scans import scans
from analytics.core.scans.findings import Finding
from analytics.core.scans.nights import night_of
from analytics.core.scans.scans import WEEK, Baseline, Drifting, ScanResult, SinceExposure, Wearing
from analytics.core.scans.scans import BreakdownResult as Reading
from analytics.core.stats.exploring.interactions import Pair
from analytics.models import PairScan, Scan
from analytics.readings.measuring import ByArm, population, with_caps
from analytics.selectors import due
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, iteration_to_analyse, plan_of
from analytics.services.analysis import health_notices
from analytics.stores.base import (
    OTHERS,
    CarriedName,
    Declared,
    OtherIteration,
    Population,
    Store,
    part_of,
)
from analytics.stores.default import default_store
from experiments.core.design.breakdowns import Breakdown, parse_breakdowns
from experiments.core.errors import Refused
from experiments.core.types import MetricRole
from experiments.models import Experiment, Iteration
from experiments.selectors.experiments import iteration_design

T = TypeVar("T")
log = structlog.get_logger(__name__)

MOST_WATCHED = 40
MOST_WORDS = 20
WEARING_DAYS = WEEK.days
LONGEST_COURSE = 4 * WEEK.days


def scan(experiment_id: int, *, now: datetime, store: Store | None = None) -> Scan:
    """Read the experiment's present (else last) iteration and store what tonight's scan found."""
    experiment = Experiment.objects.get(pk=experiment_id)
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        raise Refused(f"{experiment.key}: was never launched, so there is nothing to scan")
    plan = _plan(iteration, now)
    result = read(
        plan,
        parse_breakdowns(iteration_design(iteration).breakdowns),
        _baselines(iteration),
        store or default_store(),
        now,
    )
    with transaction.atomic():
        known = _drifted_before(iteration, night_of(now))
        row, _ = Scan.objects.update_or_create(
            iteration=iteration,
            night=night_of(now),
            defaults={"scanned_at": now, "data_cut": plan.cut(now), "result": plain(result)},
        )
        drifted = [
            Finding(one.code, one.severity, one.evidence)
            for one in result.findings
            if one.code == "drift"
        ]
        health_notices.unhealthy(experiment, iteration.pk, drifted[:1], known, now)
    return row


def _drifted_before(iteration: Iteration, night: date) -> frozenset[str]:
    """``drift`` where the night before found it already."""
    stored = (
        Scan.objects.filter(iteration=iteration, night__lt=night)
        .order_by("-night")
        .values_list("result__findings", flat=True)
        .first()
    )
    return frozenset(
        one["code"] for one in stored or [] if one["code"] == "drift" and one["severity"] != "info"
    )


def read(
    plan: AnalysisPlan,
    declared: Sequence[Breakdown],
    known: Sequence[Baseline],
    store: Store,
    now: datetime,
) -> ScanResult:
    """One reading of an iteration, from one moment; ``known`` are the baselines of earlier nights,
    which never move.
    """
    people = population(plan, plan.cut(now))
    with store.snapshot():
        counted = store.arms(people)
        if not counted:
            return ScanResult(unsaid=("no unit has been exposed yet",))
        people, net = (
            replace(people, rows_from=min(arm.first for arm in counted)),
            Net(transaction.atomic),
        )
        tables = _tables(plan, declared, people, store, net)
        result = ScanResult(
            breakdowns=_held(net, "breakdowns", lambda: _breakdowns(plan, tables)),
            strata=_held(net, "strata", lambda: _strata(plan, tables, people, store)),
            wearing=_held(net, "wearing off", lambda: _wearing(plan, people, store, net)),
            drift=_held(net, "drift", lambda: _drift(people, known, store, net)),
            unsaid=_unsaid(plan),
            since=_held(net, "days since exposure", lambda: _since(plan, people, store, net)),
        )
    _tell(plan, net)
    return replace(
        result, findings=scans.findings_of(result), unsaid=(*result.unsaid, *sentences(net.faults))
    )


def _held(net: Net, part: str, read: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
    """One part of the scan; nothing where it fails as a whole."""
    return net.hold(part, "scan", read, lambda _: ())


def _each(net: Net, part: str, names: Sequence[str], read: Callable[[str], Sequence[T]]) -> list[T]:
    """What each name gives, one after the other; one that fails gives nothing and is written
    down.
    """
    return [
        found
        for name in names
        for found in net.hold(name, part, partial(read, name), lambda _: list[T]())
    ]


def _tell(plan: AnalysisPlan, net: Net) -> None:
    for fault, error in zip(net.faults, net.errors, strict=True):
        log.error(
            "part_failed",
            experiment=plan.key,
            subject=fault.subject,
            part=fault.part,
            exc_info=error,
        )


def scan_pairs(*, now: datetime, store: Store | None = None) -> PairScan:
    """Ask every pair of running experiments of one unit type, on the metric that each decides by,
    and store all answers.
    """
    source, net = store or default_store(), Net(transaction.atomic)
    held = [
        net.hold(
            iteration.experiment.key, "plan", partial(_planned, iteration, now), lambda _: None
        )
        for iteration in due.concurrent()
    ]
    plans = [one for one in held if one is not None]
    with source.snapshot():
        asked = [
            answer
            for (first, one), (second, other) in combinations(plans, 2)
            if one.unit_type == other.unit_type
            and (first.layer_id is None or first.layer_id != second.layer_id)
            for own, beside, metric in _questions(one, other)
            for answer in net.hold(
                f"{own.key} × {beside.key}",
                "pair",
                partial(_answer, own, beside, metric, now, source),
                lambda _: list[_Answer](),
            )
        ]
    for fault, error in zip(net.faults, net.errors, strict=True):
        log.error("part_failed", subject=fault.subject, part=fault.part, exc_info=error)
    answers = {"scanned_at": now, "pairs": plain(scans.read_pairs(asked))}
    row, _ = PairScan.objects.update_or_create(night=night_of(now), defaults=answers)
    return row


_Answer = tuple[str, Pair]


def _planned(iteration: Iteration, now: datetime) -> tuple[Iteration, AnalysisPlan]:
    return iteration, _plan(iteration, now)


def _answer(
    own: AnalysisPlan, beside: AnalysisPlan, metric: PlannedMetric, now: datetime, store: Store
) -> list[_Answer]:
    return [(metric.definition.key, _pair(own, beside, metric, now, store))]


def _plan(iteration: Iteration, now: datetime) -> AnalysisPlan:
    """The plan with the caps that its first look froze."""
    plan = plan_of(iteration, now)
    state = iteration.looks.order_by("number").values_list("state", flat=True).first()
    return plan if state is None else with_caps(plan, restored(state, LookState).caps)


def _baselines(iteration: Iteration) -> tuple[Baseline, ...]:
    """Those of the last scan that hold anything; what nothing was known of yet is taken anew."""
    earlier = Scan.objects.filter(iteration=iteration).order_by("-night").first()
    if earlier is None:
        return ()
    return tuple(
        one.baseline
        for one in restored(earlier.result, ScanResult).drift
        if sum(one.baseline.counts)
    )


def _wearing(plan: AnalysisPlan, people: Population, store: Store, net: Net) -> tuple[Wearing, ...]:
    """Of what units do again and again: the primary and secondary metrics with a number per
    unit.
    """
    if plan.control is None:
        return ()
    control = plan.control.key
    asked = {
        m.definition.key: m.definition
        for m in plan.metrics
        if m.role is not MetricRole.GUARDRAIL and _may_wear(m)
    }

    def read(key: str) -> Sequence[Wearing]:
        contrasts = _by_arm(plan, store.wearing(people, asked[key], WEARING_DAYS))
        return scans.read_wearing(
            key, asked[key].direction.value, control, contrasts, plan.alpha / len(asked)
        )

    return tuple(_each(net, "wearing off", list(asked), read))


def _since(
    plan: AnalysisPlan, people: Population, store: Store, net: Net
) -> tuple[SinceExposure, ...]:
    """Of every metric with a number per unit."""
    if plan.control is None:
        return ()
    control, arms = plan.control.key, {arm.variant_id: arm.key for arm in plan.arms}
    asked = {
        m.definition.key: m.definition
        for m in plan.metrics
        if kind_of(m.definition.kind.value).form == "unit"
    }

    def read(key: str) -> Sequence[SinceExposure]:
        days = store.since_exposure(people, asked[key], LONGEST_COURSE).items()
        by_arm = {
            (arms[variant], day): totals for (variant, day), totals in days if variant in arms
        }
        return scans.read_since_exposure(key, control, list(arms.values()), by_arm, plan.alpha)

    return tuple(_each(net, "days since exposure", list(asked), read))


def _may_wear(metric: PlannedMetric) -> bool:
    """Whether a unit did something at all is asked once: most who do it do it early, whatever the
    effect.
    """
    return (
        kind_of(metric.definition.kind.value).form == "unit"
        and metric.definition.aggregation != "any"
    )


Tables = dict[str, dict[str, ByArm]]
"""Covariate → declared value → arm → totals."""


def _tables(
    plan: AnalysisPlan, declared: Sequence[Breakdown], people: Population, store: Store, net: Net
) -> Tables:
    """The primary metric by everything declared; what cannot be read is left out."""
    metric = plan.primary
    if metric is None or plan.control is None:
        return {}
    read = {
        one.name: net.hold(
            one.name,
            "breakdown",
            partial(_by_value, plan, one, metric, people, store),
            lambda _: None,
        )
        for one in declared
    }
    return {name: table for name, table in read.items() if table is not None}


def _breakdowns(plan: AnalysisPlan, tables: Tables) -> tuple[Reading, ...]:
    metric, control = plan.primary, plan.control
    if metric is None or control is None:
        return ()
    return scans.read_breakdowns(
        metric.definition.key, metric.definition.kind.value, control.key, tables, plan.alpha
    )


def _strata(
    plan: AnalysisPlan, tables: Tables, people: Population, store: Store
) -> tuple[scans.ByStrata, ...]:
    """The primary metric with the declared values as strata."""
    metric, control = plan.primary, plan.control
    if metric is None or control is None or not tables:
        return ()
    found = store.totals(people, metric.definition)
    whole = {arm.key: found[arm.variant_id].totals for arm in plan.arms if arm.variant_id in found}
    return scans.read_strata(
        metric.definition.key, metric.definition.kind.value, control.key, tables, whole, plan.alpha
    )


def _unsaid(plan: AnalysisPlan) -> tuple[str, ...]:
    """What is not asked of the primary metric, and why."""
    metric = plan.primary
    if metric is None:
        return ("no primary metric: segments are not compared",)
    if _may_wear(metric):
        return ()
    return (
        f"{metric.definition.key}: whether an effect wears off is asked of what units do again and again, and counted per unit",
    )


def _by_arm(plan: AnalysisPlan, found: Mapping[int, Totals]) -> dict[str, Totals]:
    return {arm.key: found.get(arm.variant_id, NOTHING) for arm in plan.arms}


def _by_value(
    plan: AnalysisPlan, declared: Breakdown, metric: PlannedMetric, people: Population, store: Store
) -> dict[str, ByArm]:
    """Totals by declared value and arm."""
    found = store.totals(
        replace(people, split=Declared(declared.name, declared.values)), metric.definition
    )
    arms = {arm.variant_id: arm.key for arm in plan.arms}
    parts = [(*part_of(key), totals.totals) for key, totals in found.items()]
    return {
        value: {
            arms[variant]: totals
            for variant, part, totals in parts
            if part == place and variant in arms
        }
        for place, value in enumerate(declared.values)
    }


def _drift(
    people: Population, known: Sequence[Baseline], store: Store, net: Net
) -> tuple[Drifting, ...]:
    """The last week against the first, of everything that is watched, once the two do not
    overlap.
    """
    begun = people.rows_from or people.cut
    first, last = (begun, begun + WEEK), (people.cut - WEEK, people.cut)
    if last[0] < first[1]:
        return ()
    kept = {(one.source, one.name): one for one in known}

    def read(watched: CarriedName) -> Drifting:
        baseline = kept.get((watched.source, watched.name)) or _baseline(
            people, watched, first, store
        )
        return scans.read_drift(baseline, _now(people, baseline, last, store))

    found = [
        net.hold(watched.name, f"drift of {watched.source}", partial(read, watched), lambda _: None)
        for watched in store.watched(people, MOST_WATCHED)
    ]
    return tuple(one for one in found if one is not None)


def _baseline(
    people: Population, watched: CarriedName, span: tuple[datetime, datetime], store: Store
) -> Baseline:
    if watched.numeric:
        edges = scans.baseline_edges(store.deciles(people, watched, span))
        return Baseline(
            watched.source,
            watched.name,
            tuple(store.bins(people, watched, span, edges)),
            edges=edges,
        )
    met = dict(store.words(people, watched, span, MOST_WORDS))
    words = (*(word for word in met if word != OTHERS), OTHERS)
    return Baseline(
        watched.source, watched.name, tuple(met.get(word, 0) for word in words), words=words
    )


def _now(
    people: Population, baseline: Baseline, span: tuple[datetime, datetime], store: Store
) -> Sequence[int]:
    watched = CarriedName(baseline.source, baseline.name, not baseline.words)
    if watched.numeric:
        return store.bins(people, watched, span, baseline.edges)
    return scans.in_words(baseline, store.words(people, watched, span, MOST_WORDS * MOST_WORDS))


def _questions(
    one: AnalysisPlan, other: AnalysisPlan
) -> list[tuple[AnalysisPlan, AnalysisPlan, PlannedMetric]]:
    """The metric that each decides by, where units have a number of it, with the experiment beside;
    once when it is the same.
    """
    sides = {
        own.primary.definition.key: (own, beside, own.primary)
        for own, beside in ((other, one), (one, other))
        if own.primary
    }
    return [
        side for side in sides.values() if kind_of(side[2].definition.kind.value).form == "unit"
    ]


def _pair(
    own: AnalysisPlan, beside: AnalysisPlan, metric: PlannedMetric, now: datetime, store: Store
) -> Pair:
    """The cells of two experiments, by units of the one that decides by the metric."""
    people = replace(
        population(own, own.cut(now)),
        split=OtherIteration(beside.iteration_id),
        rows_from=own.began_at,
    )
    found = {
        part_of(key): totals.totals
        for key, totals in store.totals(people, metric.definition).items()
    }
    cells = {
        (a.key, b.key): _number(found.get((a.variant_id, b.variant_id)))
        for a in own.arms
        for b in beside.arms
    }
    first, second = (next(arm.key for arm in plan.arms if arm.is_control) for plan in (own, beside))
    return Pair(own.key, beside.key, (first, second), cells)


def _number(observed: Observed | None) -> Totals:
    """Totals of a number per unit; of a cell that nobody is in, of none."""
    return observed if isinstance(observed, Totals) else NOTHING
