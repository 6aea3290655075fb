"""Experiments, read: found by any of their names, and as the frozen design that can be judged."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from experiments.core.design.design import Design, DesignMetric, DesignVariant, design_from_json
from experiments.core.design.policies import PolicyRules, rules_from_json
from experiments.core.errors import NotFound
from experiments.core.types import Actor, MetricRole, Origin, PauseCause, Status
from experiments.models import Experiment, ExperimentMetric, Iteration, Rollout, UrgentStop, Variant
from experiments.selectors import segments

_LARGEST_ID = 2**31 - 1


def experiments() -> QuerySet[Experiment]:
    """All experiments with what most readers need beside them."""
    return Experiment.objects.select_related("flag", "policy", "owner", "layer").prefetch_related(
        "variants", "planned_metrics__metric"
    )


def resolve(ref: str | int) -> Experiment:
    """The experiment that goes by this id, UUID, key or name; the first of them that fits."""
    text = str(ref).strip()
    for by in (_by_id(text), _by_uuid(text), Q(key=text), Q(name=text)):
        found = experiments().filter(by).first() if by is not None else None
        if found is not None:
            return found
    raise NotFound(
        f"experiment {text[:128]!r}: there is none of this id, UUID, key or name",
        field="experiment",
    )


def _by_id(text: str) -> Q | None:
    return (
        Q(pk=int(text))
        if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_ID
        else None
    )


def _by_uuid(text: str) -> Q | None:
    try:
        return Q(uuid=uuid.UUID(text))
    except ValueError:
        return None


def is_member(actor: Actor, experiment: Experiment) -> bool:
    """Whether the actor (or the key's owner) is of the experiment's team: owner or collaborator."""
    if actor.user_id is None:
        return False
    return (
        actor.user_id == experiment.owner_id
        or experiment.collaborators.filter(pk=actor.user_id).exists()
    )


def open_iteration(experiment: Experiment) -> Iteration | None:
    """The launch that is under way, if any."""
    return experiment.iterations.filter(ended_at__isnull=True).select_related("layer").first()


def launch_of(experiment: Experiment) -> Iteration | None:
    """The launch that a checklist is about: the one under way; of an experiment that is over, its
    last one.

    A draft that came back from an aborted launch has none.
    """
    rows = sorted(
        experiment.iterations.all(), key=lambda one: one.number
    )  # read at once where they were prefetched
    under_way = next((one for one in rows if one.ended_at is None), None)
    over = experiment.status in (Status.COMPLETED.value, Status.ARCHIVED.value)
    return rows[-1] if under_way is None and over and rows else under_way


STOP_WAITS = (
    "everybody gets the flag's own value from now on; another transaction has locked the experiment's row, "
    "and its status changes when that ends"
)

ARM_WAITS = "its units get the flag's value from now on; its row is locked by another transaction, and the stop is booked when that ends"


def arm_stop_waits(experiment: Experiment, arm: str) -> bool:
    """Whether an emergency stop of one arm serves already and waits to be booked on the
    experiment's row.
    """
    return UrgentStop.objects.filter(
        experiment=experiment, settled_at__isnull=True, arm=arm
    ).exists()


def stop_waits(experiment: Experiment) -> bool:
    """Whether an emergency stop of everything serves already and waits to be booked on the
    experiment's row.
    """
    return UrgentStop.objects.filter(
        experiment=experiment, settled_at__isnull=True, arm=""
    ).exists()


def resumes_anew(iteration: Iteration, design: Design, now: datetime) -> bool:
    """Whether resuming opens a new iteration: a harm stop, or a pause longer than a quarter of the
    conversion window, spoils the old.
    """
    pause = iteration.pauses.filter(ended_at__isnull=True).first()
    if pause is None:
        return False
    deciding = design.metrics_of(MetricRole.PRIMARY) + design.metrics_of(MetricRole.GUARDRAIL)
    window = max((metric.window_hours or 0 for metric in deciding), default=0)
    too_long = window > 0 and now - pause.started_at > timedelta(hours=window) / 4
    return pause.cause == PauseCause.HARM or too_long


def iteration_design(iteration: Iteration) -> Design:
    """The design as it was frozen when the iteration began."""
    return design_from_json(iteration.design)


def iteration_rules(iteration: Iteration) -> PolicyRules:
    """The policy as it was frozen when the iteration began."""
    return rules_from_json(iteration.policy_rules)


def rules_of(experiment: Experiment) -> PolicyRules:
    """The policy that counts now: the open iteration's, else the one chosen."""
    iteration = open_iteration(experiment)
    return (
        iteration_rules(iteration)
        if iteration is not None
        else rules_from_json(experiment.policy.rules)
    )


def open_rollout(experiment: Experiment) -> Rollout | None:
    """What is rolled out on the experiment's flag, by this or an earlier experiment."""
    if experiment.flag_id is None:
        return None
    found = Rollout.objects.filter(flag__key=experiment.flag_id, closed_at__isnull=True)
    return found.select_related("experiment", "iteration", "variant").first()


def design_of(experiment: Experiment) -> Design:
    """The design as it stands in the tables now."""
    return Design(
        key=experiment.key,
        origin=Origin(experiment.origin).value,
        flag_key=experiment.flag.key if experiment.flag is not None else "",
        flag_type=str(experiment.flag.value_type) if experiment.flag is not None else "",
        unit_type=experiment.unit_type,
        layer=experiment.layer.name if experiment.layer is not None else "",
        targeting=experiment.targeting,
        segments=segments.content(experiment.targeting),
        traffic=experiment.traffic,
        ramp=experiment.ramp or None,
        variants=tuple(_variant(variant) for variant in experiment.variants.all()),
        metrics=tuple(_metric(plan) for plan in experiment.planned_metrics.all()),
        policy_key=experiment.policy.key,
        policy_version=experiment.policy.version,
        hypothesis=experiment.hypothesis,
        expected_effect=experiment.expected_effect,
        prd_url=experiment.prd_url,
        prd_text=experiment.prd_text,
        offline_thresholds=experiment.offline_thresholds,
        confidence_level=f"{float(experiment.confidence_level):.3f}",
        power=f"{float(experiment.power):.3f}",
        min_sample_size=experiment.min_sample_size,
        size_class=experiment.size_class,
        dark_mode=str(experiment.dark_mode),
        auto_promote=experiment.auto_promote,
        time_zone=experiment.time_zone,
        arrival_grace_seconds=experiment.arrival_grace_seconds,
        arrival_grace_counts=experiment.arrival_grace_counts,
        budget_micro=experiment.budget_micro,
        breakdowns=experiment.breakdowns or None,
    )


def _variant(row: Variant) -> DesignVariant:
    return DesignVariant(
        row.key, row.name, row.is_control, row.weight, row.config, row.value, row.model_hash
    )


def _metric(plan: ExperimentMetric) -> DesignMetric:
    metric = plan.metric
    return DesignMetric(
        key=metric.key,
        version=metric.version,
        kind=metric.kind,
        role=plan.role,
        direction=metric.direction,
        window_hours=metric.window_hours,
        baseline=plan.baseline,
        baseline_sd=plan.baseline_sd,
        mde=plan.mde,
        mde_kind=plan.mde_kind,
        required_improvement=plan.required_improvement,
        margin=plan.margin,
        margin_kind=plan.margin_kind,
        rule=plan.rule,
        action=plan.action,
        covariate=plan.covariate,
        adjusted=plan.adjusted,
        worth_micro=plan.worth_micro,
    )
