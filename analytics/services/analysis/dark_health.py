"""Measuring a dark launch against its control twins, for QA to sign, and ending it by itself when
it harms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from django.db import transaction

from analytics.core.deciding.dark_stage import (
    DarkArm,
    DarkHealth,
    TwinComparison,
    beside,
    problems,
    sentence,
)
from analytics.core.deciding.guardrails import GuardrailReading, judge
from analytics.core.ground.nets import Net, sentences
from analytics.core.ground.observed import Observed
from analytics.core.kinds import kind_of
from analytics.readings.judging import guarded, guardrail_plan, harm_of, planned_days
from analytics.readings.measuring import population
from analytics.selectors.arriving.events import stamped_and_unlabelled
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, plan_of
from analytics.stores.base import POOLED, ArmCount, Population, Store
from analytics.stores.default import default_store
from experiments.core.errors import Refused
from experiments.core.types import JSON, SYSTEM, Actor, BucketRole, Item, Phase
from experiments.models import Bucket, Evidence, Iteration
from experiments.selectors.experiments import open_iteration, resolve
from experiments.services.life import checklist
from experiments.services.life.stops import abort_harmful_dark_launch


def watch_dark_launch(experiment_id: int, *, now: datetime, store: Store | None = None) -> Evidence:
    """Beat's check: measure, record, and take the experiment back to draft on a breach."""
    iteration = _in_dark_launch(experiment_id)
    found, evidence = _checked(SYSTEM, now, iteration, store)
    if found.breached:
        reason = f"dark launch: harm beyond the margin is proven for {', '.join(found.breached)}"
        abort_harmful_dark_launch(
            SYSTEM, now, experiment_id=experiment_id, iteration_id=iteration.pk, reason=reason
        )
    return evidence


def check_dark_launch(
    actor: Actor, now: datetime, *, experiment_id: int, store: Store | None = None
) -> Evidence:
    """Measure the dark launch now and record it as evidence for QA to sign."""
    return _checked(actor, now, _in_dark_launch(experiment_id), store)[1]


def _in_dark_launch(experiment_id: int) -> Iteration:
    experiment = resolve(experiment_id)
    iteration = open_iteration(experiment)
    if iteration is None or iteration.dark_started_at is None:
        raise Refused(f"{experiment.key}: there is no dark launch to check", field="status")
    return iteration


def _checked(
    actor: Actor, now: datetime, iteration: Iteration, store: Store | None
) -> tuple[DarkHealth, Evidence]:
    found = dark_health(
        plan_of(iteration, now),
        iteration.dark_started_at or iteration.began_at,
        now,
        store or default_store(),
    )
    evidence = checklist.record_evidence(
        actor,
        now,
        experiment_id=iteration.experiment_id,
        item=Item.DARK_LAUNCH,
        green=found.green,
        summary=sentence(found),
        detail=_detail(found),
    )
    return found, evidence


def dark_health(plan: AnalysisPlan, since: datetime, now: datetime, store: Store) -> DarkHealth:
    """Dark arms against the control twins, on everybody exposed since the dark launch began."""
    dark = replace(
        population(plan, plan.cut(now)),
        phase=Phase.DARK,
        exposed_from=since,
        rows_from=since,
        blackouts=(),
    )
    twin = replace(dark, phase=Phase.TWIN)
    net = Net(transaction.atomic)
    with store.snapshot():
        counted, twins = store.arms(dark), store.arms(twin)
        guardrails = _guardrails(plan, store, dark, twin, net)
    stamped, unlabelled = stamped_and_unlabelled(plan.experiment_id, since, plan.cut(now))
    held = _buckets(plan.iteration_id)
    return DarkHealth(
        hours=(now - since) / timedelta(hours=1),
        min_hours=plan.rules.dark_min_hours,
        min_requests=plan.rules.dark_min_requests,
        arms=tuple(
            _arm(
                arm.key,
                [one for one in counted if one.variant_id == arm.variant_id],
                held.get((arm.variant_id, BucketRole.DARK), 0),
            )
            for arm in plan.test_arms
        ),
        twins=_arm(
            "control twins",
            twins,
            sum(n for (_, role), n in held.items() if role == BucketRole.TWIN),
        ),
        guardrails=guardrails,
        stamped=stamped,
        unlabelled=unlabelled,
        failed=sentences(net.faults),
    )


def _buckets(iteration_id: int) -> dict[tuple[int, str], int]:
    """How many buckets each variant holds in each role."""
    found: dict[tuple[int, str], int] = {}
    for variant_id, role in Bucket.objects.filter(iteration_id=iteration_id).values_list(
        "variant_id", "role"
    ):
        if variant_id is not None:
            found[variant_id, role] = found.get((variant_id, role), 0) + 1
    return found


def _arm(key: str, counts: Sequence[ArmCount], buckets: int) -> DarkArm:
    return DarkArm(key, sum(c.units for c in counts), sum(c.exposures for c in counts), buckets)


_Seen = tuple[PlannedMetric, float | None, float | None, GuardrailReading]
"""A guardrail on an arm: its value there and of the twins, and how it is judged."""


def _guardrails(
    plan: AnalysisPlan, store: Store, dark: Population, twin: Population, net: Net
) -> tuple[TwinComparison, ...]:
    """Every guardrail on every dark arm; the twins are one control group, whichever variant they
    were booked on.

    One that fails is missing here; ``net`` knows why.
    """
    read = [
        seen
        for metric in guarded(plan)
        for seen in net.hold(
            metric.definition.key,
            "dark launch",
            partial(_readings, plan, store, dark, twin, metric),
            lambda _: list[_Seen](),
        )
    ]
    by_key = {
        (verdict.key, verdict.arm): verdict
        for verdict in judge([reading for *_, reading in read], net=net)
    }
    return tuple(
        TwinComparison(metric.definition.name, here, twins, by_key[reading.plan.key, reading.arm])
        for metric, here, twins, reading in read
    )


def _readings(
    plan: AnalysisPlan, store: Store, dark: Population, twin: Population, metric: PlannedMetric
) -> list[_Seen]:
    """One guardrail on each arm: what was observed there and of the twins, and how it is judged."""
    treated = store.totals(dark, metric.definition, matured=False)
    twins = store.totals(replace(twin, grouping="all"), metric.definition, matured=False).get(
        POOLED
    )
    base, found = None if twins is None else twins.totals, list[_Seen]()
    for arm in plan.test_arms:
        here = treated[arm.variant_id].totals if arm.variant_id in treated else None
        reading = GuardrailReading(
            guardrail_plan(metric), arm.key, harm_of(metric, base, here), None, planned_days(plan)
        )
        found.append((metric, _value(metric, here), _value(metric, base), reading))
    return found


def _value(metric: PlannedMetric, observed: Observed | None) -> float | None:
    return None if observed is None else kind_of(metric.definition.kind.value).value(observed)


def _detail(found: DarkHealth) -> JSON:
    arms: list[JSON] = [
        {"key": arm.key, "units": arm.units, "requests": arm.requests}
        for arm in (*found.arms, found.twins)
    ]
    return {
        "hours": round(found.hours, 2),
        "requests": found.requests,
        "arms": arms,
        "guardrails": cast("JSON", beside(found.guardrails)),
        "events": {"stamped": found.stamped, "without_variant": found.unlabelled},
        "problems": list(problems(found)),
    }
