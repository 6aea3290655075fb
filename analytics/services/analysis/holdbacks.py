"""After a promotion: read the holdback, take the promotion back when it harms, and say when the old
code may go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from django.db import transaction

from analytics.core.deciding.after_promotion import AfterPromotion, HoldbackComparison
from analytics.core.deciding.guardrails import GuardrailReading, judge, unknown
from analytics.core.ground.encoding import plain
from analytics.core.ground.nets import Net
from analytics.core.ground.observed import Observed
from analytics.core.kinds import kind_of
from analytics.core.stats.exploring.holdback import read_holdback
from analytics.models import HoldbackRun
from analytics.readings.judging import guarded, guardrail_plan, harm_of, planned_days
from analytics.readings.measuring import population
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, plan_of
from analytics.services.analysis.analysis import ENGINE
from analytics.stores.base import Population, Store
from analytics.stores.default import default_store
from experiments.core.messages.notices import Notice, NoticeKind
from experiments.core.types import SYSTEM, Direction, Phase
from experiments.models import Rollout
from experiments.services.ground import outbox
from experiments.services.life import lifecycle

log = structlog.get_logger(__name__)


def read(rollout_id: int, *, now: datetime, store: Store | None = None) -> HoldbackRun | None:
    """Read one rollout's holdback, store what it says, and act on it once. None when it was closed
    meanwhile.
    """
    rollout = Rollout.objects.select_related("experiment", "iteration", "variant", "flag").get(
        pk=rollout_id
    )
    found = compare(rollout, now=now, store=store or default_store())
    with transaction.atomic():
        rollout = Rollout.objects.select_for_update().get(pk=rollout_id)
        if rollout.closed_at is not None or found is None:
            return None
        run, _ = HoldbackRun.objects.update_or_create(
            rollout=rollout,
            defaults={"computed_at": now, "result": plain(found), "versions": {"engine": ENGINE}},
        )
        if found.take_back:
            _take_back(rollout, run, found.take_back, now)
    return run


def compare(rollout: Rollout, *, now: datetime, store: Store) -> AfterPromotion | None:
    """The promoted variant against control, on units first met since the promotion and on the
    original ones.

    None without a primary metric.
    """
    plan = plan_of(rollout.iteration, now)
    cut = now if rollout.holdback_until is None else min(now, rollout.holdback_until)
    since = replace(population(plan, cut), phase=Phase.ROLLOUT, exposed_from=rollout.created_at)
    if plan.primary is None or plan.control is None:
        return None
    control, arm = rollout.experiment.variants.get(is_control=True).pk, rollout.variant_id
    fresh = _Sides(replace(since, variants=(control,)), replace(since, variants=(arm,)))
    met = population(plan, cut)
    # Of the original control only those held back never changed their variant.
    stayed = _Sides(
        replace(met, variants=(control,), buckets=tuple(rollout.holdback_buckets)),
        replace(met, variants=(arm,)),
    )
    primary, key, net = plan.primary, rollout.variant.key, Net(transaction.atomic)

    def compared(sides: _Sides, part: str) -> HoldbackComparison:
        return net.hold(
            primary.definition.key,
            part,
            lambda: _compared(primary, _pair(store, sides, primary, matured=True)),
            _not_compared,
        )

    with store.snapshot():
        told, original = (
            compared(fresh, "units met since the promotion"),
            compared(stayed, "the original arms"),
        )
        read = [
            net.hold(
                m.definition.key,
                f"guardrail on {key}",
                partial(_read_guardrail, plan, m, key, store, fresh),
                lambda _: None,
            )
            for m in guarded(plan)
        ]
    verdicts = tuple(judge([one for one in read if one is not None], net=net))
    _tell(rollout, net)
    missing = tuple(
        unknown(m.definition.key, key, _UNREAD)
        for m, one in zip(guarded(plan), read, strict=True)
        if one is None
    )
    return AfterPromotion(
        told, original if original.promoted or original.held_back else None, (*verdicts, *missing)
    )


_UNREAD = "its totals could not be read; the log says why"


def _tell(rollout: Rollout, net: Net) -> None:
    """Each fault in the log; the others are read all the same."""
    for fault, error in zip(net.faults, net.errors, strict=True):
        log.error(
            "part_failed",
            experiment=rollout.experiment.key,
            subject=fault.subject,
            part=fault.part,
            exc_info=error,
        )


def _not_compared(why: str) -> HoldbackComparison:
    return HoldbackComparison(0, 0, read_holdback(None, 0, more_is_better=True))


def _read_guardrail(
    plan: AnalysisPlan, metric: PlannedMetric, arm: str, store: Store, sides: _Sides
) -> GuardrailReading:
    return _reading(plan, metric, arm, _pair(store, sides, metric, matured=False))


@dataclass(frozen=True)
class _Sides:
    """The two populations of a comparison."""

    held_back: Population
    promoted: Population


_Pair = tuple[Observed | None, Observed | None]


def _pair(store: Store, sides: _Sides, metric: PlannedMetric, *, matured: bool) -> _Pair:
    """Totals of the units held back and of the promoted ones; None where there are none."""
    found = (
        store.totals(people, metric.definition, matured=matured)
        for people in (sides.held_back, sides.promoted)
    )
    held_back, promoted = (next((one.totals for one in totals.values()), None) for totals in found)
    return held_back, promoted


def _compared(metric: PlannedMetric, pair: _Pair) -> HoldbackComparison:
    held_back, promoted = pair
    kind = kind_of(metric.definition.kind.value)
    n_held, n_promoted = (0 if totals is None else kind.units(totals) for totals in pair)
    comparable = (
        held_back is not None and promoted is not None and kind.why_not(held_back, promoted) is None
    )
    contrast = (
        kind.guarded(held_back, promoted)
        if comparable and held_back is not None and promoted is not None
        else None
    )
    better = metric.definition.direction is Direction.INCREASE
    return HoldbackComparison(
        n_promoted, n_held, read_holdback(contrast, n_held + n_promoted, more_is_better=better)
    )


def _reading(plan: AnalysisPlan, metric: PlannedMetric, arm: str, pair: _Pair) -> GuardrailReading:
    return GuardrailReading(
        guardrail_plan(metric), arm, harm_of(metric, *pair), planned_days=planned_days(plan)
    )


def _take_back(rollout: Rollout, run: HoldbackRun, reason: str, now: datetime) -> None:
    lifecycle.return_to_control(SYSTEM, now, experiment_id=rollout.experiment_id, reason=reason)
    HoldbackRun.objects.filter(pk=run.pk).update(reverted_at=now)


def remind(rollout_id: int, *, now: datetime) -> bool:
    """Once the holdback is over: tell the team that everybody has the new variant and the old code
    may go. Whether it was told now.
    """
    with transaction.atomic():
        rollout = (
            Rollout.objects.select_for_update(of=("self",))
            .select_related("experiment", "variant", "flag")
            .get(pk=rollout_id)
        )
        run, _ = HoldbackRun.objects.get_or_create(rollout=rollout, defaults={"computed_at": now})
        if rollout.closed_at is not None or run.reminded_at is not None:
            return False
        title = f"{rollout.experiment.key}: {rollout.variant.key} has been served for four weeks; the old code may go"
        text = (
            f"Nobody is held back from it any more. Remove the branches for the other variants, make its value the default of flag"
            f" {rollout.flag.key}, then close the rollout."
        )
        notice = Notice(
            NoticeKind.STATE,
            title,
            text,
            {"flag": rollout.flag.key, "variant": rollout.variant.key},
        )
        outbox.put(now, notice, key=f"old_code:{rollout.pk}", experiment=rollout.experiment)
        HoldbackRun.objects.filter(pk=run.pk).update(reminded_at=now)
    return True
