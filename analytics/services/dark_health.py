"""Is the dark launch healthy? One per cent of units beside as many control twins, compared side by side.

What it can show is small and said so: with n requests and no error, an error rate below 3/n. Green
means: long enough, enough requests, every test arm and the twins there, and no guardrail breached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from analytics.core.guardrails import GuardrailResult, Reading, judge
from analytics.selectors.plans import AnalysisPlan, plan_of
from analytics.services.judging import guarded, guardrail_plan, harm_of, planned_days
from analytics.services.measuring import population
from analytics.stores.base import POOLED, ArmCount, Population, Store
from analytics.stores.postgres import PostgresStore
from experiments.core.errors import Refused
from experiments.core.types import JSON, Actor, Item, Phase
from experiments.models import Evidence
from experiments.selectors.experiments import open_iteration, resolve
from experiments.services import checklist


@dataclass(frozen=True)
class DarkArm:
    """Who met the dark launch: units and requests (exposures) of one test arm, or of the twins."""

    key: str
    units: int
    requests: int


@dataclass(frozen=True)
class DarkHealth:
    """What the dark launch shows so far, and what still stands against it."""

    hours: float
    arms: tuple[DarkArm, ...]
    twins: DarkArm
    verdicts: tuple[GuardrailResult, ...]
    problems: tuple[str, ...]

    @property
    def green(self) -> bool:
        """Nothing stands against it."""
        return not self.problems

    @property
    def requests(self) -> int:
        """Requests of all test arms."""
        return sum(arm.requests for arm in self.arms)


def check_dark_launch(actor: Actor, now: datetime, *, experiment_id: int, store: Store | None = None) -> Evidence:
    """Measure the dark launch now and record it as evidence for QA to sign."""
    experiment = resolve(experiment_id)
    iteration = open_iteration(experiment)
    if iteration is None or iteration.dark_started_at is None:
        raise Refused(f"{experiment.key}: there is no dark launch to check", field="status")
    found = dark_health(plan_of(iteration, now), iteration.dark_started_at, now, store or PostgresStore())
    return checklist.record_evidence(
        actor, now, experiment_id=experiment.pk, item=Item.DARK_LAUNCH, green=found.green, summary=sentence(found), detail=_detail(found)
    )


def dark_health(plan: AnalysisPlan, since: datetime, now: datetime, store: Store) -> DarkHealth:
    """Dark arms against the control twins, on everybody exposed since the dark launch began."""
    dark = replace(population(plan, plan.cut(now)), phase=Phase.DARK, exposed_from=since, rows_from=since, blackouts=())
    twin = replace(dark, phase=Phase.TWIN)
    with store.snapshot():
        counted, twins = store.arms(dark), store.arms(twin)
        verdicts = _verdicts(plan, store, dark, twin)
    by_id = {count.variant_id: count for count in counted}
    arms = tuple(_dark_arm(arm.key, [by_id[arm.variant_id]] if arm.variant_id in by_id else []) for arm in plan.test_arms)
    hours = (now - since) / timedelta(hours=1)
    found = DarkHealth(hours, arms, _dark_arm("control twins", twins), verdicts, ())
    return replace(found, problems=tuple(_problems(plan, found)))


def _dark_arm(key: str, counts: Sequence[ArmCount]) -> DarkArm:
    return DarkArm(key, sum(c.units for c in counts), sum(c.exposures for c in counts))


def _verdicts(plan: AnalysisPlan, store: Store, dark: Population, twin: Population) -> tuple[GuardrailResult, ...]:
    """Every guardrail on every dark arm; the twins are one control group, whichever variant they were booked on."""
    readings: list[Reading] = []
    for metric in guarded(plan):
        treated = store.totals(dark, metric.definition, matured=False)
        twins = store.totals(replace(twin, grouping="all"), metric.definition, matured=False).get(POOLED)
        base = None if twins is None else twins.totals
        for arm in plan.test_arms:
            start = harm_of(metric, base, treated[arm.variant_id].totals if arm.variant_id in treated else None)
            readings.append(Reading(guardrail_plan(metric), arm.key, start, None, planned_days(plan)))
    return tuple(judge(readings))


def _problems(plan: AnalysisPlan, found: DarkHealth) -> list[str]:
    rules = plan.rules
    problems = [f"no unit has met {arm.key} yet: check labels and exposure logging" for arm in found.arms if arm.units == 0]
    if found.twins.units == 0:
        problems.append("no control twin has been exposed: there is nothing to compare with")
    if found.hours < rules.dark_min_hours:
        problems.append(f"{found.hours:.1f} of {rules.dark_min_hours} hours")
    if found.requests < rules.dark_min_requests:
        problems.append(f"{found.requests:,} of {rules.dark_min_requests:,} requests")
    problems += [f"{v.key} breached on {v.arm}: harm beyond the margin" for v in found.verdicts if v.breach]
    return problems


def sentence(found: DarkHealth) -> str:
    """What a person reads: how much was seen, what that can show, what still stands against it."""
    units = sum(arm.units for arm in found.arms)
    seen = f"{found.hours:.1f} hours, {found.requests:,} requests, {units:,} units beside {found.twins.units:,} twins"
    shows = (
        f"; with {found.requests:,} requests and no error this shows an error rate below {3 / found.requests:.2%}" if found.requests else ""
    )
    against = f"; not yet: {'; '.join(found.problems)}" if found.problems else "; no guardrail breached"
    return seen + shows + against


def _detail(found: DarkHealth) -> JSON:
    arms: list[JSON] = [{"key": arm.key, "units": arm.units, "requests": arm.requests} for arm in (*found.arms, found.twins)]
    verdicts: list[JSON] = [{"key": v.key, "arm": v.arm, "verdict": v.verdict, "reason": v.reason} for v in found.verdicts]
    return {
        "hours": round(found.hours, 2),
        "requests": found.requests,
        "arms": arms,
        "guardrails": verdicts,
        "problems": list(found.problems),
    }
