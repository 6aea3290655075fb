"""One analysis run: totals → health → statistics → verdicts → decision, stored in one transaction.

Between looks a run overwrites the ``latest`` row. A look is taken at most once per complete local
day and only once the clock is complete; then look, decision and a copy of the run are kept for
ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from analytics.core.deciding.decision import Decision as Verdict
from analytics.core.deciding.decision import DecisionFacts
from analytics.core.deciding.decision import decide as decide_by
from analytics.core.deciding.harm_watch import WatchedGuardrail
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.looks import information
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.deciding.windows import (
    Clock,
    LookPermission,
    clock,
    last_complete_day,
    legal_look,
)
from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.nets import Net
from analytics.core.results import Health, MetricResult
from analytics.core.scans.health import assess, gated, with_failures
from analytics.core.series import SeriesDay, with_day
from analytics.models import AnalysisRun, Decision, Look
from analytics.readings.judging import (
    NOTHING_EARLIER,
    Earlier,
    LookStanding,
    Paid,
    compared,
    end_passed,
    facts_of,
    guard,
    look,
    pay,
    units_of,
    watch,
    weighed,
)
from analytics.readings.measuring import Measured, measure
from analytics.selectors.geo import pilot_of
from analytics.selectors.looks import look_states
from analytics.selectors.plans import AnalysisPlan, iteration_to_analyse, plan_of
from analytics.services.analysis import health_notices, notices
from analytics.services.importing.geo import read_pilot
from analytics.stores.base import Store
from analytics.stores.default import default_store
from experiments.core.errors import NotFound, Refused
from experiments.core.life.undecided import never_decides, never_looks
from experiments.core.types import Origin, Status
from experiments.models import Experiment, Iteration
from experiments.services.ground.lock_waits import is_locked

log = structlog.get_logger(__name__)

ENGINE = "3"
"""The version of the methods; stored with every look and decision. Raise it when a number would
change.
"""


@dataclass(frozen=True)
class Findings:
    """A run's conclusions, before they are stored."""

    metrics: tuple[MetricResult, ...]
    health: Health
    verdicts: tuple[GuardrailResult, ...]
    facts: DecisionFacts
    decision: Verdict
    clock: Clock
    permission: LookPermission
    taken: LookState | None
    watches: tuple[WatchedGuardrail, ...] = ()
    paid: tuple[Paid, ...] = ()


def analyse(
    experiment_id: int, *, now: datetime, may_look: bool = False, store: Store | None = None
) -> AnalysisRun:
    """Analyse the experiment's present (else last) iteration and store what came out.

    ``may_look``: beat's runs may take a look when one is due; "analyse now" by a person never does.
    A run that fails leaves the last good one, notes the error beside it, and raises; one that met
    somebody's lock only raises. A geo pilot is read, not looked at.
    """
    iteration = _iteration(experiment_id)
    try:
        pilot = pilot_of(experiment_id)
        if pilot is not None:
            return read_pilot(pilot, iteration, now=now)
        plan = plan_of(iteration, now)
        permission = _permission(plan, iteration, now) if may_look else None
        states = look_states(iteration)
        net = Net(transaction.atomic)
        source, caps = store or default_store(), states[0].caps if states else ()
        measured = measure(plan, source, now=now, look=permission, caps=caps, net=net)
        run = _store(iteration, plan, measured, now=now, may_look=may_look, net=net)
        _tell(iteration, net)
        return run
    except Exception as fault:
        if not is_locked(fault):
            _note_failure(iteration, now, fault)
        raise


def _iteration(experiment_id: int) -> Iteration:
    experiment = Experiment.objects.filter(pk=experiment_id).first()
    if experiment is None:
        raise NotFound(f"experiment {experiment_id}: there is none")
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        raise Refused(f"{experiment.key}: was never launched, so there is nothing to analyse")
    return iteration


def _tell(iteration: Iteration, net: Net) -> None:
    """Each fault in the log with where it came from; people read it on the page."""
    for fault, error in zip(net.faults, net.errors, strict=True):
        log.error(
            "part_failed",
            experiment=iteration.experiment.key,
            subject=fault.subject,
            part=fault.part,
            exc_info=error,
        )


def _store(
    iteration: Iteration,
    plan: AnalysisPlan,
    measured: Measured,
    *,
    now: datetime,
    may_look: bool,
    net: Net,
) -> AnalysisRun:
    """Under the experiment's row lock: look again at what changed meanwhile, conclude, write."""
    with transaction.atomic():
        experiment = Experiment.objects.select_for_update(no_key=True).get(pk=plan.experiment_id)
        may_look = (
            may_look
            and experiment.status == Status.RUNNING
            and not Iteration.objects.get(pk=iteration.pk).ended_at
        )
        found = conclude(
            plan,
            measured,
            look_states(iteration),
            now=now,
            may_look=may_look,
            harmed=_harmed(iteration),
            earlier=net.hold(
                "the run before",
                "its results",
                lambda: _earlier(iteration),
                lambda _: NOTHING_EARLIER,
            ),
            net=net,
        )
        versions, known = _versions(plan), _finding_codes(iteration)
        run = _write_run(iteration, measured, found, versions, now)
        if plan.origin is Origin.LIVE:
            health_notices.unhealthy(experiment, iteration.pk, found.health.findings, known, now)
        if found.taken is not None:
            _write_look(iteration, plan, measured, found, versions, now)
            _keep_copy(run)
        elif plan.origin is Origin.LIVE and experiment.status in (
            Status.RUNNING,
            Status.DARK_LAUNCH,
        ):
            _write_alarm(iteration, found, versions, now)
    return run


def conclude(
    plan: AnalysisPlan,
    measured: Measured,
    before: Sequence[LookState],
    *,
    now: datetime,
    may_look: bool,
    harmed: frozenset[str],
    earlier: Earlier = NOTHING_EARLIER,
    net: Net | None = None,
) -> Findings:
    """Everything between totals and storage; no database. Health gates the look: while masked,
    nothing is spent.

    ``earlier`` is what the run before this one found. What ``net`` has held is a red finding and
    blocks a promotion.
    """
    net = net or Net(faults=list(measured.faults))
    metrics = compared(plan, measured.metrics, earlier.metrics, net)
    final = plan.ended_at is not None or plan.origin is Origin.IMPORT
    health = assess(
        measured.arms,
        metrics,
        gates=final,
        late=measured.late,
        accepted=measured.accepted,
        left_out=measured.left_out,
        clients=measured.clients,
        undecided=_undecided(plan, measured),
        unlooked=_never_looks(plan, before),
        imported=plan.imported,
        unpriced=(
            sum(one.calls for one in measured.unpriced.values()),
            sum(one.of for one in measured.unpriced.values()),
        ),
        net=net,
    )
    the_clock = clock(plan.spans, plan.time_zone, plan.weeks, now)
    permission = net.hold(
        "the look",
        "whether it is due",
        lambda: legal(plan, measured, before, the_clock, now),
        lambda why: _no_look(plan, now, why),
    )
    taken = None
    if may_look and permission.allowed and measured.look is not None:
        health = gated(health, assess(measured.look.arms, (), gates=True))
        totals = measured.look
        taken = (
            None
            if health.masks
            else net.hold(
                "the look", "taking it", lambda: look(plan, before, totals, net), lambda _: None
            )
        )
    standing = LookStanding((*before, taken) if taken is not None else tuple(before), taken)
    watches, paid = watch(plan, measured, net), pay(plan, measured, net)
    verdicts = weighed(guard(plan, measured, standing.states, earlier.verdicts, net), watches, paid)
    stranded = end_passed(plan, permission.day + timedelta(days=1)) and (
        may_look or not permission.allowed
    )
    facts = facts_of(
        plan,
        measured,
        health=health,
        verdicts=verdicts,
        standing=standing,
        clock=the_clock,
        harmed=harmed,
        stranded=stranded,
        net=net,
    )
    facts = replace(facts, never_looked=_never_looks(plan, standing.states))
    health = with_failures(health, facts.failed)
    return Findings(
        metrics,
        health,
        verdicts,
        facts,
        decide_by(facts),
        the_clock,
        permission,
        taken,
        watches,
        paid,
    )


def _no_look(plan: AnalysisPlan, now: datetime, why: str) -> LookPermission:
    """Nobody can say whether a look is due, so none is taken."""
    day = last_complete_day(now, plan.time_zone)
    return LookPermission(False, day, now, why)


def _undecided(plan: AnalysisPlan, measured: Measured) -> str:
    """Why the experiment can never decide, with the outcomes that could; nothing of one that
    can.
    """
    primary = plan.primary is not None or plan.origin is Origin.IMPORT
    return never_decides(
        plan.key, has_primary=primary, auto_promote=plan.auto_promote, told=measured.told
    )


def _never_looks(plan: AnalysisPlan, before: Sequence[LookState]) -> str:
    """Why no look can ever be taken; nothing where one was taken, or can be. The first look fixes
    the size for the later ones.
    """
    if plan.primary is None or plan.origin is Origin.IMPORT or plan.ended_at is not None:
        return ""
    n_planned = before[0].n_planned if before else plan.n_planned
    return never_looks(
        windowless=plan.primary.window is None, planned_end=plan.planned_end, n_planned=n_planned
    )


def legal(
    plan: AnalysisPlan,
    measured: Measured,
    before: Sequence[LookState],
    the_clock: Clock,
    now: datetime,
) -> LookPermission:
    """Whether a look of the last complete local day may be taken, knowing the information it would
    have.
    """
    n_planned = before[0].n_planned if before else plan.n_planned
    seen = 0.0
    if measured.look is not None and plan.control is not None and n_planned:
        units = units_of(plan, measured.look.primary)
        control = units.get(plan.control.key, 0)
        going_on = [arm.key for arm in plan.test_arms if arm.stopped_at is None]
        seen = (
            min((information(control, units.get(key, 0)) for key in going_on), default=0.0)
            / n_planned
        )
    return legal_look(
        now,
        plan.time_zone,
        the_clock,
        window=None if plan.primary is None else plan.primary.window,
        previous=before[-1].day if before else None,
        planned_end=plan.planned_end,
        information=seen,
        over=bool(before) and before[-1].last,
        never=_never_looks(plan, before),
    )


def _permission(plan: AnalysisPlan, iteration: Iteration, now: datetime) -> LookPermission | None:
    """Whether to read a look's totals at all: the cheap half of the question, before any total is
    known.
    """
    if plan.origin is Origin.IMPORT or plan.status is not Status.RUNNING or plan.primary is None:
        return None
    before = look_states(iteration)
    return legal_look(
        now,
        plan.time_zone,
        clock(plan.spans, plan.time_zone, plan.weeks, now),
        window=plan.primary.window,
        previous=before[-1].day if before else None,
        planned_end=plan.planned_end,
        information=1.0,
        over=bool(before) and before[-1].last,
        never=_never_looks(plan, before),
    )


def _earlier(iteration: Iteration) -> Earlier:
    """What the latest run of the iteration found."""
    run = AnalysisRun.objects.filter(iteration=iteration, latest=True).first()
    if run is None:
        return NOTHING_EARLIER
    metrics = restored(run.results.get("metrics", []), tuple[MetricResult, ...])
    return Earlier(
        metrics, restored(run.verdicts.get("guardrails", []), tuple[GuardrailResult, ...])
    )


def _harmed(iteration: Iteration) -> frozenset[str]:
    """Arms that are switched off already."""
    return frozenset(iteration.stopped_arms.values_list("variant__key", flat=True))


def _finding_codes(iteration: Iteration) -> frozenset[str]:
    """What the latest run found, but for findings that were not worth a message."""
    stored = (
        AnalysisRun.objects.filter(iteration=iteration, latest=True)
        .values_list("health__findings", flat=True)
        .first()
    )
    return frozenset(one["code"] for one in stored or [] if one["weight"] != "info")


def _versions(plan: AnalysisPlan) -> dict[str, object]:
    return {
        "engine": ENGINE,
        "metrics": {m.definition.key: m.definition.version for m in plan.metrics},
    }


def _write_run(
    iteration: Iteration,
    measured: Measured,
    found: Findings,
    versions: dict[str, object],
    now: datetime,
) -> AnalysisRun:
    days = with_day(
        days_so_far(iteration),
        found.permission.day,
        measured.arms,
        () if found.health.masks else found.metrics,
    )
    run, _ = AnalysisRun.objects.update_or_create(
        iteration=iteration,
        latest=True,
        defaults={
            "experiment_id": iteration.experiment_id,
            "computed_at": now,
            "data_cut": measured.cut,
            "totals": {
                "arms": plain(measured.arms),
                "spent_micro": found.facts.spent_micro,
                "budget_micro": found.facts.budget_micro,
            },
            "health": {**plain(found.health), "masks": found.health.masks},
            "results": {"metrics": plain(found.metrics), "days": plain(days)},
            "verdicts": {
                "guardrails": plain(found.verdicts),
                "sprt": plain(found.watches),
                "compensation": plain(found.paid),
            },
            "readiness": {
                "kind": found.decision.kind,
                "rule": found.decision.rule,
                "items": plain(found.decision.readiness),
                "clock": plain(found.clock),
                "clock_sentence": found.clock.sentence,
                "look": plain(found.permission),
            },
            "masked": found.health.masks,
            "versions": versions,
            "failed_at": None,
            "error": "",
        },
    )
    return run


def _write_look(
    iteration: Iteration,
    plan: AnalysisPlan,
    measured: Measured,
    found: Findings,
    versions: dict[str, object],
    now: datetime,
) -> None:
    """The look and its decision, both append-only; unique per local day."""
    if found.taken is None or measured.look is None:
        return
    row = Look.objects.create(
        iteration=iteration,
        number=iteration.looks.count() + 1,
        local_day=found.taken.day,
        information=found.taken.information,
        last=found.taken.last,
        state=plain(found.taken),
        inputs={
            "totals": plain(measured.look),
            "plan": {"n_planned": plan.n_planned, "alpha": plan.alpha, "weeks": plan.weeks},
            "data_cut": found.permission.data_cut.isoformat(),
        },
        versions=versions,
        taken_at=now,
    )
    _write_decision(iteration, found, versions, now, look=row)


def _write_alarm(
    iteration: Iteration, found: Findings, versions: dict[str, object], now: datetime
) -> None:
    """Between looks only harm may act, and one alarm is raised once. A degradation is told, but
    displaces no promotion that waits.
    """
    last = Decision.objects.filter(iteration=iteration).order_by("-made_at", "-pk").first()
    waiting = last is not None and last.verdict == "promote"
    degraded = found.decision.kind == "hold" and bool(found.decision.arms) and not waiting
    if found.decision.kind not in ("stop", "escalate") and not degraded:
        return
    if last is not None and (last.verdict, last.rule) == (found.decision.kind, found.decision.rule):
        return
    _write_decision(iteration, found, versions, now, look=None)


def _write_decision(
    iteration: Iteration,
    found: Findings,
    versions: dict[str, object],
    now: datetime,
    *,
    look: Look | None,
) -> Decision:
    decision = found.decision
    variant = (
        iteration.experiment.variants.filter(key=decision.arms[0]).first()
        if decision.arms
        else None
    )
    row = Decision.objects.create(
        iteration=iteration,
        look=look,
        verdict=decision.kind,
        outcome=outcome_of(decision),
        variant=variant,
        arms=list(decision.arms),
        rule=decision.rule,
        facts=plain(found.facts),
        versions=versions,
        made_at=now,
    )
    notices.decided(iteration.experiment, row, now)
    return row


def outcome_of(decision: Verdict) -> str:
    """The outcome that carrying out a decision would give the experiment; empty when it would go
    on.
    """
    if decision.kind == "promote":
        return "promoted"
    if decision.kind == "stop":
        return decision.conclusion or "stopped_harm"
    return decision.conclusion or ""


def days_so_far(iteration: Iteration) -> tuple[SeriesDay, ...]:
    """The series that the latest run carries."""
    stored = (
        AnalysisRun.objects.filter(iteration=iteration, latest=True)
        .values_list("results__days", flat=True)
        .first()
    )
    return restored(stored or [], tuple[SeriesDay, ...])


def _keep_copy(run: AnalysisRun) -> None:
    """A run with a look is kept for ever, beside the latest one, which alone carries the days
    before it.
    """
    copy = AnalysisRun.objects.get(pk=run.pk)
    copy.pk, copy.latest = None, False
    copy.results = {name: value for name, value in copy.results.items() if name != "days"}
    copy.save(force_insert=True)


def _note_failure(iteration: Iteration, now: datetime, fault: Exception) -> None:
    _note_error(iteration, now, f"{type(fault).__name__}: {fault}")


def _note_error(iteration: Iteration, now: datetime, error: str) -> None:
    """Keep the last good run and say beside it that a later one failed."""
    with transaction.atomic():
        run, _ = AnalysisRun.objects.get_or_create(
            iteration=iteration,
            latest=True,
            defaults={
                "experiment_id": iteration.experiment_id,
                "computed_at": now,
                "data_cut": now,
            },
        )
        AnalysisRun.objects.filter(pk=run.pk).update(failed_at=now, error=error[:2000])


def note_lost(experiment_id: int, reason: str, *, now: datetime) -> None:
    """Say beside the last good run what the run that was lost could not say itself."""
    iteration = _iteration(experiment_id)
    _note_error(iteration, now, reason)


def replay(decision: Decision) -> Verdict:
    """What the present rules say to the facts a decision was made from."""
    return decide_by(restored(decision.facts, DecisionFacts))
