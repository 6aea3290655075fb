"""What the newest analysis says about an experiment's ramp."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.deciding.windows import ServingSpan, without
from analytics.core.ground.encoding import restored
from analytics.models import AnalysisRun
from analytics.selectors.confirmed import judged_until
from analytics.selectors.failures import failures_of
from experiments.core.errors import Refused
from experiments.core.life.ramping import HeldBy, RampFacts, Sign, parse_ramp
from experiments.core.types import GuardrailAction, MetricRole, Status
from experiments.models import Iteration, RampStay
from experiments.selectors.experiments import iteration_design


def ramping() -> list[int]:
    """Running experiments that were launched with a ramp, oldest first."""
    found = RampStay.objects.filter(
        ended_at__isnull=True,
        iteration__ended_at__isnull=True,
        iteration__experiment__status=Status.RUNNING.value,
    )
    return list(
        found.order_by("iteration__experiment_id").values_list(
            "iteration__experiment_id", flat=True
        )
    )


def ramp_facts(experiment_id: int, now: datetime) -> RampFacts:
    """The facts of the experiment's open ramp; refuses where it has none."""
    stay = open_stay(experiment_id)
    if stay is None:
        raise Refused(f"experiment {experiment_id}: has no open ramp", field="ramp")
    return facts_at(stay, now)


def open_stay(experiment_id: int) -> RampStay | None:
    """Where the experiment's ramp stands."""
    found = RampStay.objects.filter(
        iteration__experiment_id=experiment_id,
        iteration__ended_at__isnull=True,
        ended_at__isnull=True,
    )
    return found.select_related("iteration").first()


def facts_at(stay: RampStay, now: datetime) -> RampFacts:
    """Hours of serving are counted up to the newest analysis, or until it was confirmed: what came
    after, nobody has judged yet.
    """
    iteration = stay.iteration
    run = AnalysisRun.objects.filter(iteration=iteration, latest=True).first()
    unknown = _unknown(run, stay)
    seen = (
        stay.started_at
        if run is None
        else max(stay.started_at, min(judged_until(run.experiment_id, run.computed_at), now))
    )
    breached, worsening = ((), ()) if run is None else _signs(iteration, run)
    return RampFacts(
        steps=parse_ramp(iteration_design(iteration).ramp),
        at=stay.step,
        hours=_served(iteration, stay.started_at, seen),
        units=0 if run is None else sum(arm["units"] for arm in run.totals.get("arms", [])),
        held_by=HeldBy(stay.held_by),
        unknown=unknown,
        masked=()
        if run is None
        else tuple(one["sentence"] for one in run.health.get("findings", []) if one["masks"]),
        breached=breached,
        worsening=worsening,
    )


def _unknown(run: AnalysisRun | None, stay: RampStay) -> str:
    if run is None:
        return "nothing has been analysed yet"
    if run.failed_at is not None:
        return "the newest analysis failed, so nobody can say whether anything harms"
    failed = failures_of(run)
    if failed:
        return f"a part of the newest analysis could not be computed ({'; '.join(failed)}), so nobody can say whether it harms"
    return (
        "" if run.computed_at >= stay.started_at else "nothing has been analysed at this step yet"
    )


def _served(iteration: Iteration, start: datetime, end: datetime) -> float:
    pauses = [
        (pause.started_at, pause.ended_at or end)
        for pause in iteration.pauses.order_by("started_at")
    ]
    spans = without([ServingSpan(start, end)], pauses)
    return sum(((span.end or end) - span.start for span in spans), timedelta()) / timedelta(hours=1)


def _signs(iteration: Iteration, run: AnalysisRun) -> tuple[tuple[Sign, ...], tuple[Sign, ...]]:
    """What is breached, and what is proven worse within the margin, on arms that are served."""
    planned = iteration_design(iteration).metrics_of(MetricRole.GUARDRAIL)
    actions = {metric.key: metric.action or GuardrailAction.STOP.value for metric in planned}
    stopped = set(iteration.stopped_arms.values_list("variant__key", flat=True))
    results = restored(run.verdicts.get("guardrails", []), tuple[GuardrailResult, ...])
    found = [result for result in results if result.arm not in stopped]

    def signs(results: Sequence[GuardrailResult]) -> tuple[Sign, ...]:
        return tuple(
            Sign(one.key, one.arm, actions.get(one.key, GuardrailAction.STOP.value))
            for one in results
        )

    breached = [one for one in found if one.proven or (one.breach and not one.compensated)]
    return signs(breached), signs([one for one in found if one.worsening and not one.breach])
