"""All totals that one analysis run needs, read in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import transaction
from django.db.models import Sum

from analytics.core.deciding.harm_watch import Hour
from analytics.core.deciding.look_state import MetricCap
from analytics.core.deciding.windows import LookPermission, day_start
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.nets import NO_NET, Fault, Net, never_hold
from analytics.core.ground.observed import Observed
from analytics.core.intake.tallies import OTHER_ARM, OVER_CAP, UNREGISTERED
from analytics.core.intake.twins import TWINS
from analytics.core.kinds import kind_of
from analytics.core.results import ArmSummary, MetricResult, metric_arm, sums_of
from analytics.core.stats.arms.winsor import CAP_QUANTILE, Cap, find_cap
from analytics.models import IngestTally
from analytics.selectors.arriving.events import names_told
from analytics.selectors.arriving.told_since import told_since
from analytics.selectors.plans import AnalysisPlan, PlannedMetric
from analytics.stores.base import OWN_PAST, ArmCount, Population, Store, part_of
from experiments.core.clock import local_day
from experiments.core.figures import counted
from experiments.core.types import MetricRole, Origin
from experiments.models import Iteration
from experiments.services.ground.lock_waits import is_locked

never_hold(is_locked)
T = TypeVar("T")
ByArm = Mapping[str, Observed]
"""Totals by arm key; an arm that nobody of those asked for has met is not there."""


@dataclass(frozen=True)
class MeasuredMetric:
    """One planned metric: its arms as they are shown, and the totals they are made of; ``fault``:
    why it could not be read.
    """

    result: MetricResult
    observed: ByArm
    fault: str = ""


@dataclass(frozen=True)
class LookTotals:
    """Matured totals at the end of the day that may be looked at: of the primary metric and of each
    guardrail.

    ``caps`` are those that this look would freeze, when it is the first.
    """

    day: date
    arms: tuple[ArmSummary, ...]
    primary: ByArm
    guardrails: Mapping[str, ByArm]
    caps: tuple[MetricCap, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Everything read for one run. ``since_start`` and ``recent`` hold all exposed units, for
    alarms.

    ``late`` of all ``accepted`` live items came too late; ``left_out`` matured units no look
    counts, because a long pause overlaps their window. ``hours`` are those of guardrails that the
    SPRT watches, ``worth`` outcome and cost of each unit by cost guardrail, ``spent_micro`` what
    the experiment has cost where a cap is set. ``faults``: what could not be read; its key is
    missing above, or its metric says why. ``silent``: guardrails that nobody has sent anything of
    since the iteration began.
    """

    cut: datetime
    arms: tuple[ArmSummary, ...]
    metrics: tuple[MeasuredMetric, ...]
    since_start: Mapping[str, ByArm]
    recent: Mapping[str, ByArm]
    look: LookTotals | None = None
    late: int = 0
    accepted: int = 0
    clients: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    hours: Mapping[str, Mapping[str, Sequence[Hour]]] = field(default_factory=dict)
    worth: Mapping[str, Mapping[str, UnitMoments]] = field(default_factory=dict)
    spent_micro: int | None = None
    unpriced: Mapping[str, Unpriced] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    silent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unpriced:
    """How many of an arm's calls of models have neither a cost nor a price: what the arm costs is
    then unknown, never zero.

    ``uncounted``: why nobody can say how many; what the arm costs is then unknown too.
    """

    calls: int
    of: int
    uncounted: str = ""

    @property
    def sentence(self) -> str:
        """Why a cost cannot be said."""
        if self.uncounted:
            return f"nobody knows how many calls of models have neither a cost nor a price ({self.uncounted})"
        return f"{self.calls:,} of {counted(self.of, 'call')} of models have neither a cost nor a price"


def measure(
    plan: AnalysisPlan,
    store: Store,
    *,
    now: datetime,
    look: LookPermission | None,
    caps: Sequence[MetricCap] = (),
    net: Net | None = None,
) -> Measured:
    """Read arms, metrics, alarm series, and what a look would see when one may be taken.

    ``caps`` are the frozen ones of winsorised metrics; before the first look unit values are whole.
    Each metric, series and question is held by ``net`` alone, so that one of them fails without the
    others.
    """
    net = net or Net(transaction.atomic)
    people, plan = population(plan, plan.cut(now)), with_caps(plan, caps)
    with store.snapshot():
        counted = store.arms(people)
        people = replace(people, rows_from=min((arm.first for arm in counted), default=None))
        guardrails = plan.of_role(MetricRole.GUARDRAIL)
        latest = replace(people, exposed_from=recent_since(plan, people.cut))
        late, accepted = net.hold(
            "late events", "count", lambda: late_and_accepted(plan), lambda _: (0, 0)
        )
        asked = look if look is not None and look.allowed else None
        since_start = _each(
            net,
            "since the start",
            guardrails,
            lambda m: _totals(plan, store, people, m, matured=False),
        )
        measured = Measured(
            cut=people.cut,
            arms=summaries(plan, counted, expected_shares(plan, store, people)),
            metrics=tuple(
                _held_metric(plan, store, people, metric, net) for metric in plan.metrics
            ),
            since_start=since_start,
            silent=_silent(plan, since_start, net),
            recent=_each(
                net,
                "the last days",
                guardrails,
                lambda m: _totals(plan, store, latest, m, matured=False),
            ),
            look=None
            if asked is None
            else _held(
                net, "the look", lambda: _look_totals(plan, store, people, asked, caps, net)
            ),
            late=late,
            accepted=accepted,
            clients=net.hold("client keys", "count", lambda: client_counts(plan), lambda _: {}),
            left_out=net.hold(
                "left out units", "count", lambda: _left_out(plan, store, people), lambda _: 0
            ),
            hours=_each(
                net,
                "hour by hour",
                [m for m in guardrails if m.counts_bad_events],
                lambda m: _hours(plan, store, people, m),
            ),
            worth=_each(
                net,
                "worth beside cost",
                [m for m in guardrails if m.is_cost and plan.worth_micro is not None],
                lambda m: _worth(plan, store, people, m),
            ),
            spent_micro=None
            if plan.budget_micro is None
            else _held(net, "the budget", lambda: spent_so_far(plan, store, people)),
            told=()
            if plan.primary is not None
            else net.hold(
                "told outcomes", "names", lambda: names_told(plan.experiment_id), lambda _: ()
            ),
            unpriced=net.hold(
                "calls without a price",
                "count",
                lambda: _unpriced(plan, store, people),
                partial(_uncounted, plan),
            ),
            faults=tuple(net.faults),
        )
    return _without_unknown_costs(plan, measured)


def _silent(plan: AnalysisPlan, since_start: Mapping[str, ByArm], net: Net) -> frozenset[str]:
    """Guardrails of which no arm has a single row, and nobody else either: their zeros say
    nothing.
    """
    empty = [
        m.definition
        for m in plan.of_role(MetricRole.GUARDRAIL)
        if m.definition.silent_unit_is_zero
        and not any(map(_has_rows, since_start.get(m.definition.key, {}).values()))
    ]
    told = {
        one.key: net.hold(
            one.key, "whether it is sent", partial(told_since, one, plan.began_at), lambda _: False
        )
        for one in empty
    }
    return frozenset(key for key, sent in told.items() if not sent)


def _has_rows(observed: Observed) -> bool:
    """Whether anything was counted in an arm besides units."""
    return any(value for name, value in sums_of(observed).items() if name != "n")


def _unpriced(plan: AnalysisPlan, store: Store, people: Population) -> dict[str, Unpriced]:
    """By arm key, the arms some of whose calls have no price; asked only when the plan reads costs
    or caps them.
    """
    if plan.budget_micro is None and not any(
        m.definition.reads_metered_costs for m in plan.metrics
    ):
        return {}
    calls: dict[int, tuple[int, int]] = {}
    for one in store.spending(replace(people, blackouts=())):
        missing, known = calls.get(one.variant_id, (0, 0))
        calls[one.variant_id] = (missing + one.unpriced, known + one.calls)
    found = {
        arm.key: Unpriced(*calls[arm.variant_id]) for arm in plan.arms if arm.variant_id in calls
    }
    return {key: one for key, one in found.items() if one.calls}


def _uncounted(plan: AnalysisPlan, why: str) -> dict[str, Unpriced]:
    """Every arm where the calls without a price could not be counted: no cost may pass for known
    then.
    """
    return {arm.key: Unpriced(0, 0, why) for arm in plan.arms}


def _without_unknown_costs(plan: AnalysisPlan, measured: Measured) -> Measured:
    """An arm some of whose calls have no price has no cost: it is left out of every metric of
    costs, so that nobody reads too little.
    """
    costs = {m.definition.key for m in plan.metrics if m.definition.reads_metered_costs}
    if not costs or not measured.unpriced:
        return measured

    def known(found: Mapping[str, ByArm]) -> dict[str, ByArm]:
        return {
            key: _priced_arms(by_arm, measured) if key in costs else by_arm
            for key, by_arm in found.items()
        }

    look = measured.look
    if look is not None:
        of_costs = plan.primary is not None and plan.primary.definition.key in costs
        look = replace(
            look,
            guardrails=known(look.guardrails),
            primary=_priced_arms(look.primary, measured) if of_costs else look.primary,
        )
    return replace(
        measured,
        metrics=tuple(
            _priced_metric(m, measured) if m.result.key in costs else m for m in measured.metrics
        ),
        since_start=known(measured.since_start),
        recent=known(measured.recent),
        worth={key: {} if key in costs else found for key, found in measured.worth.items()},
        look=look,
    )


def _priced_arms(found: ByArm, measured: Measured) -> ByArm:
    return {key: totals for key, totals in found.items() if key not in measured.unpriced}


def _priced_metric(metric: MeasuredMetric, measured: Measured) -> MeasuredMetric:
    arms = tuple(
        metric_arm(metric.result.kind, arm.arm, None, arm.exposed)
        if arm.arm in measured.unpriced
        else arm
        for arm in metric.result.arms
    )
    return MeasuredMetric(
        replace(metric.result, arms=arms), _priced_arms(metric.observed, measured), metric.fault
    )


def _held(net: Net, what: str, read: Callable[[], T | None]) -> T | None:
    """An answer about the whole experiment; None where it fails."""
    return net.hold(what, "totals", read, lambda _: None)


def _each(
    net: Net, part: str, metrics: Sequence[PlannedMetric], read: Callable[[PlannedMetric], T]
) -> dict[str, T]:
    """The answer of every metric by its key; one that fails is left out and written down."""
    found = {
        m.definition.key: net.hold(m.definition.key, part, partial(read, m), lambda _: None)
        for m in metrics
    }
    return {key: answer for key, answer in found.items() if answer is not None}


def _held_metric(
    plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric, net: Net
) -> MeasuredMetric:
    """A metric's totals; where they cannot be read, its arms with zeros and the reason."""
    return net.hold(
        metric.definition.key,
        "totals",
        lambda: measured_metric(plan, store, people, metric),
        lambda why: MeasuredMetric(_result(plan, metric, {}, {}), {}, why),
    )


def _hours(
    plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric
) -> dict[str, list[Hour]]:
    """Arm key → its hours."""
    keys = {arm.variant_id: arm.key for arm in plan.arms}
    found: dict[str, list[Hour]] = {arm.key: [] for arm in plan.arms}
    for hour in store.first_rows(people, metric.definition):
        if hour.variant_id in keys:
            found[keys[hour.variant_id]].append(Hour(hour.at, hour.exposed, hour.first_rows))
    return found


def _worth(
    plan: AnalysisPlan, store: Store, people: Population, cost: PlannedMetric
) -> dict[str, UnitMoments]:
    """Arm key → outcome and cost of its matured units."""
    if plan.primary is None:
        return {}
    found = store.worth(people, plan.primary.definition, cost.definition)
    return {arm.key: found[arm.variant_id] for arm in plan.arms if arm.variant_id in found}


def spent_so_far(
    plan: AnalysisPlan, store: Store, people: Population, but: int | None = None
) -> int:
    """What its units have cost over all iterations (``but`` one), in micros: the cap is the
    experiment's.
    """
    launches = Iteration.objects.filter(
        experiment_id=plan.experiment_id, began_at__lte=people.cut
    ).exclude(pk=but or 0)
    return sum(
        store.spent(
            replace(
                people, iteration_id=pk, rows_from=began, cut=min(people.cut, ended or people.cut)
            )
        )
        for pk, began, ended in launches.values_list("pk", "began_at", "ended_at")
    )


def population(plan: AnalysisPlan, cut: datetime) -> Population:
    """The main-phase units of an iteration up to a moment."""
    return Population(
        experiment_id=plan.experiment_id,
        iteration_id=plan.iteration_id,
        unit_type=plan.unit_type,
        cut=cut,
        blackouts=plan.pauses,
        arrival_grace=plan.arrival_grace,
        arrival_grace_counts=plan.arrival_grace_counts,
    )


def covariate_of(plan: AnalysisPlan, metric: PlannedMetric) -> str | None:
    """What CUPED may use for a metric: a named covariate, else its own past; an import has no past,
    a guardrail needs none.
    """
    if (
        metric.role is MetricRole.GUARDRAIL
        or not kind_of(metric.definition.kind.value).takes_covariates
    ):
        return None
    if metric.planned.covariate:
        return metric.planned.covariate
    return OWN_PAST if plan.origin is Origin.LIVE and metric.definition.lookback_days else None


def recent_since(plan: AnalysisPlan, cut: datetime) -> datetime:
    """Where the recent series restarted: yesterday's local midnight, 24 to 48 hours before the
    cut.
    """
    return day_start(local_day(cut, plan.time_zone) - timedelta(days=1), plan.time_zone)


def late_and_accepted(plan: AnalysisPlan) -> tuple[int, int]:
    """Live items that came late, and all that were accepted, since the iteration began (over all
    experiments).
    """
    counted = IngestTally.objects.filter(
        day__gte=plan.began_at.date(), outcome__in=["late", "accepted"]
    )
    sums = dict(counted.values_list("outcome").annotate(total=Sum("count")))
    return sums.get("late", 0), sums.get("accepted", 0)


def client_counts(plan: AnalysisPlan) -> dict[str, int]:
    """Exposures of client keys that were dropped or not believed, observations whose new name got
    no metric, and twin ids.

    Since the iteration began, over all experiments.
    """
    counted = IngestTally.objects.filter(
        day__gte=plan.began_at.date(), outcome__in=[OVER_CAP, OTHER_ARM, UNREGISTERED, TWINS]
    )
    return dict(counted.values_list("outcome").annotate(total=Sum("count")))


def _left_out(plan: AnalysisPlan, store: Store, people: Population) -> int:
    """Matured units whose window of the primary metric overlaps a long pause; asked only when there
    was one.
    """
    if not people.blackouts or plan.primary is None:
        return 0
    definition = plan.primary.definition
    everybody = store.totals(replace(people, blackouts=()), definition).values()
    return sum(arm.exposed for arm in everybody) - sum(
        arm.exposed for arm in store.totals(people, definition).values()
    )


def summaries(
    plan: AnalysisPlan, counted: Sequence[ArmCount], shares: Mapping[str, float]
) -> tuple[ArmSummary, ...]:
    """Every planned arm with what met it and the share it was to get; an arm nobody met stands
    there with zeros.
    """
    by_id = {arm.variant_id: arm for arm in counted}
    return tuple(
        ArmSummary(
            arm.key,
            arm.name,
            arm.is_control,
            count.units,
            count.exposures,
            count.crossovers,
            shares[arm.key],
            arm.stopped_at,
            count.delays,
        )
        if (count := by_id.get(arm.variant_id)) is not None
        else ArmSummary(
            arm.key,
            arm.name,
            arm.is_control,
            expected_share=shares[arm.key],
            stopped_at=arm.stopped_at,
        )
        for arm in plan.arms
    )


def expected_shares(plan: AnalysisPlan, store: Store, people: Population) -> dict[str, float]:
    """Each arm's part of the units by the buckets held when they were first exposed, by key.

    Without a ramp, and while its steps have the very same proportions, those of the buckets held
    now.
    """
    now = {arm.key: arm.share for arm in plan.arms}
    if all(stretch.shares == plan.stretches[0].shares for stretch in plan.stretches):
        return now if not plan.stretches else dict(plan.stretches[0].shares)
    within = [
        replace(people, exposed_from=s.start, cut=min(s.end or people.cut, people.cut))
        for s in plan.stretches
    ]
    met = [
        sum(arm.units for arm in store.arms(one)) if one.cut > stretch.start else 0
        for one, stretch in zip(within, plan.stretches, strict=True)
    ]
    if not sum(met):
        return now
    return {
        key: sum(n * stretch.shares[key] for n, stretch in zip(met, plan.stretches, strict=True))
        / sum(met)
        for key in now
    }


def measured_metric(
    plan: AnalysisPlan, store: Store, people: Population, metric: PlannedMetric
) -> MeasuredMetric:
    """A metric's arms, without comparisons, and their totals; of a population that is split, into
    one part, that part's.
    """
    definition = metric.definition
    found = store.totals(people, definition, covariate=covariate_of(plan, metric))
    if people.split is not None:
        found = {part_of(key)[0]: totals for key, totals in found.items()}
    observed = {
        arm.key: found[arm.variant_id].totals for arm in plan.arms if arm.variant_id in found
    }
    exposed = {
        arm.key: found[arm.variant_id].exposed for arm in plan.arms if arm.variant_id in found
    }
    return MeasuredMetric(_result(plan, metric, observed, exposed), observed)


def _result(
    plan: AnalysisPlan, metric: PlannedMetric, observed: ByArm, exposed: Mapping[str, int]
) -> MetricResult:
    definition, kind = metric.definition, metric.definition.kind.value
    return MetricResult(
        key=definition.key,
        version=definition.version,
        name=definition.name,
        role=metric.role.value,
        kind=kind,
        direction=definition.direction.value,
        scale=definition.scale,
        window_hours=definition.window_hours,
        arms=tuple(
            metric_arm(kind, arm.key, observed.get(arm.key), exposed.get(arm.key, 0))
            for arm in plan.arms
        ),
    )


def with_caps(plan: AnalysisPlan, caps: Sequence[MetricCap]) -> AnalysisPlan:
    """The plan with the frozen caps of its winsorised metrics."""
    frozen = {one.key: one.cap.value for one in caps}
    metrics = (
        replace(m, definition=replace(m.definition, cap=frozen[m.definition.key], winsorised=False))
        if m.definition.winsorised and m.definition.key in frozen
        else m
        for m in plan.metrics
    )
    return replace(plan, metrics=tuple(metrics)) if frozen else plan


def _found_caps(
    plan: AnalysisPlan, store: Store, people: Population, net: Net
) -> tuple[MetricCap, ...]:
    """The caps that a first look freezes: of each winsorised metric with enough units that have a
    value.

    Without the cap of the primary metric there is no look; another metric goes on without one.
    """
    found: list[MetricCap | None] = []
    for metric in {m.definition.key: m for m in plan.metrics if m.definition.winsorised}.values():
        deciding = metric.role is MetricRole.PRIMARY
        own = NO_NET if deciding else net
        found.append(
            own.hold(
                metric.definition.key, "cap", partial(_cap, store, people, metric), lambda _: None
            )
        )
    return tuple(cap for cap in found if cap is not None)


def _cap(store: Store, people: Population, metric: PlannedMetric) -> MetricCap | None:
    definition = metric.definition
    largest = store.largest(people, definition, 1 - CAP_QUANTILE)
    if not largest.values:
        return None
    # All smaller values count as one just below: the quantile lies among the largest.
    lowest = largest.values[0] - 1.0
    cap = find_cap(
        [lowest, *largest.values],
        [largest.smaller, *[1] * len(largest.values)],
        kind=definition.kind.value,
    )
    return MetricCap(definition.key, cap) if isinstance(cap, Cap) else None


def _look_totals(
    plan: AnalysisPlan,
    store: Store,
    people: Population,
    look: LookPermission,
    frozen: Sequence[MetricCap],
    net: Net,
) -> LookTotals | None:
    """``plan`` has the frozen caps already; a first look finds its own. A guardrail that fails is
    left out, the look goes on.
    """
    if plan.primary is None:
        return None
    then = replace(people, cut=look.data_cut)
    caps = tuple(frozen) or _found_caps(plan, store, then, net)
    plan = with_caps(plan, caps)
    primary = plan.primary
    if primary is None:
        return None
    covariate = covariate_of(plan, primary) if primary.planned.adjusted else None
    return LookTotals(
        day=look.day,
        arms=summaries(plan, store.arms(then), expected_shares(plan, store, then)),
        primary=_totals(plan, store, then, primary, covariate=covariate),
        guardrails=_each(
            net,
            "the look",
            plan.of_role(MetricRole.GUARDRAIL),
            lambda m: _totals(plan, store, then, m),
        ),
        caps=caps,
    )


def _totals(
    plan: AnalysisPlan,
    store: Store,
    people: Population,
    metric: PlannedMetric,
    *,
    matured: bool = True,
    covariate: str | None = None,
) -> ByArm:
    found = store.totals(people, metric.definition, matured=matured, covariate=covariate)
    return {arm.key: found[arm.variant_id].totals for arm in plan.arms if arm.variant_id in found}
