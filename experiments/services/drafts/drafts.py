"""Drafts: create an experiment from a spec, edit it, set its variants.

A launched design is frozen. After launch only what is not design changes; notes and the planned end
as amendments, with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.text import slugify

from experiments.core.design.design import Design, ExperimentSpec, MetricPlan, VariantSpec, facets
from experiments.core.design.rules import key_problems, value_fits
from experiments.core.errors import Problem, Refused
from experiments.core.figures import day
from experiments.core.permissions import Action, check
from experiments.core.targeting.conditions import with_full_versions
from experiments.core.types import JSON, Actor, MetricRole, Origin, Status
from experiments.models import Experiment, Flag
from experiments.selectors.experiments import design_of
from experiments.services.drafts import arms, planning
from experiments.services.drafts.editing import edit_experiment
from experiments.services.drafts.rows import (
    flag_of_key,
    policy_of_key,
    refuse_if,
    refuse_ill_formed,
    refuse_taken,
)
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    checked,
    locked,
    once,
    permit,
    person_behind,
    publish,
    wanted_reason,
)
from experiments.services.serving.flags import change_default, issue

__all__ = ["add_note", "create_experiment", "edit_experiment", "plan_metrics", "set_variants"]


def create_experiment(actor: Actor, now: datetime, *, spec: ExperimentSpec) -> Experiment:
    """A draft from a spec, with its flag, variants and planned metrics; the actor (a key's owner)
    owns it.
    """
    check(actor, Action.EDIT_DRAFT, member=True, subject=spec.name[:80] or "experiment")
    owner_id = person_behind(actor)
    with transaction.atomic():
        experiment = _new_row(spec, owner_id, now)
        experiment.flag = _flag_for(actor, now, spec, experiment.key)
        checked(experiment)
        refuse_taken(experiment)
        with once(f"experiment {experiment.key}: the key or the name is taken", "key"):
            experiment.save(force_insert=True)
        arms.replace(experiment, spec.variants)
        planning.replace(now, experiment, _metric_plans(spec))
        refuse_ill_formed(experiment)
        after: dict[str, JSON] = {
            "name": experiment.name,
            "policy": experiment.policy.key,
            "flag": experiment.flag_id,
        }
        if spec.template:
            after["template"] = spec.template
        audit.record(actor, now, action="experiment_created", obj=experiment, after=after)
        if spec.origin is not Origin.IMPORT:
            # Never served; publishing would keep every other change waiting until a long import
            # commits.
            publish(now, f"{experiment.key} created")
    return experiment


def _new_row(spec: ExperimentSpec, owner_id: int, now: datetime) -> Experiment:
    return Experiment(
        key=_key_of(spec),
        name=spec.name,
        description=spec.description,
        experiment_type=spec.experiment_type,
        tags=list(spec.tags),
        origin=spec.origin.value,
        owner_id=owner_id,
        policy=policy_of_key(spec.policy_key),
        unit_type=spec.unit_type,
        targeting=[] if spec.targeting is None else with_full_versions(spec.targeting),
        traffic=spec.traffic,
        ramp=spec.ramp or [],
        hypothesis=spec.hypothesis,
        expected_effect=spec.expected_effect,
        prd_url=spec.prd_url,
        prd_text=spec.prd_text,
        offline_thresholds=[] if spec.offline_thresholds is None else spec.offline_thresholds,
        confidence_level=spec.confidence_level,
        power=spec.power,
        min_sample_size=spec.min_sample_size,
        budget_micro=spec.budget_micro,
        breakdowns=spec.breakdowns or [],
        size_class=spec.size_class,
        dark_mode=spec.dark_mode,
        auto_promote=spec.auto_promote,
        time_zone=spec.time_zone,
        arrival_grace_seconds=spec.arrival_grace_seconds,
        arrival_grace_counts=spec.arrival_grace_counts,
        planned_start=spec.planned_start,
        planned_end=spec.planned_end,
        created_at=now,
        updated_at=now,
    )


def _key_of(spec: ExperimentSpec) -> str:
    """The key asked for, or one made from the name; a made one steps aside from ids, UUIDs and
    paths.
    """
    if spec.key:
        refuse_if(key_problems(spec.key), f"experiment {spec.key[:80]}")
        return spec.key
    made = re.sub(r"[^a-z0-9_.-]", "", slugify(spec.name)).strip("-_.")[:110] or "experiment"
    return f"experiment-{made}" if key_problems(made) else made


def _flag_for(actor: Actor, now: datetime, spec: ExperimentSpec, key: str) -> Flag | None:
    """The flag named, or one of the experiment's own key; what was randomised elsewhere has
    none.
    """
    if spec.flag_key:
        return flag_of_key(spec.flag_key)
    if spec.origin is Origin.IMPORT:
        return None
    present = Flag.objects.filter(key=key).first()
    if present is not None:
        return present
    control = arms.control_of(spec.variants)
    served = None if control is None else arms.served(control)
    return issue(
        actor,
        now,
        Flag(
            key=key,
            value_type=spec.flag_type.value,
            default_value=served,
            client_visible=spec.client_visible,
        ),
    )


def _metric_plans(spec: ExperimentSpec) -> tuple[MetricPlan, ...]:
    """The full plans, then the keys that are only named, unless a plan has them already."""
    named = (
        [MetricPlan(spec.primary_metric, MetricRole.PRIMARY.value)] if spec.primary_metric else []
    )
    named += [MetricPlan(key, MetricRole.SECONDARY.value) for key in spec.secondary_metrics]
    planned = {(plan.metric, plan.role) for plan in spec.metrics}
    return (*spec.metrics, *(plan for plan in named if (plan.metric, plan.role) not in planned))


def set_variants(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    variants: Sequence[VariantSpec],
    reason: str = "",
) -> Experiment:
    """Replace the arms of a draft; an arm keeps its identity by its key."""
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.EDIT_DRAFT, experiment)
        _refuse_launched(experiment, "variants")
        was = design_of(experiment)
        arms.replace(experiment, variants)
        refuse_ill_formed(experiment, was)
        _keep_default_in_step(actor, now, experiment, was)
        before, after = _arms(was), _arms(design_of(experiment))
        audit.record(
            actor,
            now,
            action="variants_set",
            obj=experiment,
            reason=reason,
            before=before,
            after=after,
        )
        publish(now, f"variants of {experiment.key} changed")
    return experiment


def plan_metrics(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    metrics: Sequence[MetricPlan],
    reason: str = "",
) -> Experiment:
    """Replace the planned metrics. After launch only secondary ones may differ, and a reason is
    wanted.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.EDIT_DRAFT, experiment)
        was = design_of(experiment)
        planning.replace(now, experiment, metrics)
        refuse_ill_formed(experiment, None if experiment.status == Status.DRAFT else was)
        if experiment.status != Status.DRAFT:
            _refuse_other_deciding_metrics(experiment, was)
            wanted_reason(reason, experiment.key, "an amendment after launch")
        before, after = _uses(was), _uses(design_of(experiment))
        audit.record(
            actor,
            now,
            action="metrics_planned",
            obj=experiment,
            reason=reason,
            before=before,
            after=after,
        )
    return experiment


def add_note(actor: Actor, now: datetime, *, experiment_id: int, text: str) -> Experiment:
    """Append a note, with its writer and day, below the earlier ones; open to everyone who may see
    the experiment.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.COMMENT, experiment)
        line = f"{day(now)} {actor.label}: {wanted_reason(text, experiment.key, 'a note')}"
        experiment.notes = f"{experiment.notes}\n{line}".strip()
        experiment.save(update_fields=["notes"])
        audit.record(actor, now, action="note_added", obj=experiment, after={"note": line})
    return experiment


def _refuse_launched(experiment: Experiment, field: str) -> None:
    if experiment.status != Status.DRAFT:
        found = [
            Problem(
                "design_frozen",
                f"{field} are part of the design, which is frozen while {experiment.status}",
                field,
            )
        ]
        raise Refused(
            f"{experiment.key}: launched, so {field} cannot be edited", field=field, problems=found
        )


def _refuse_other_deciding_metrics(experiment: Experiment, was: Design) -> None:
    if facets(design_of(experiment))["metrics"] != facets(was)["metrics"]:
        message = f"{experiment.key}: launched, so primary metric, guardrails and margins stay; only secondary metrics may be amended"
        found = [Problem("design_frozen", "a new iteration may decide by other metrics", "metrics")]
        raise Refused(message, field="metrics", problems=found)


def _keep_default_in_step(actor: Actor, now: datetime, experiment: Experiment, was: Design) -> None:
    """A flag issued with the experiment answers control's value, also when control is written after
    it.
    """
    design = design_of(experiment)
    flag, control = experiment.flag, design.control
    if (
        flag is None
        or control is None
        or flag.key != experiment.key
        or experiment.iterations.exists()
        or flag.rollouts.exists()
    ):
        return
    untouched = {} if was.control is None else was.control.served
    if flag.default_value == untouched != control.served and value_fits(
        control.served, str(flag.value_type)
    ):
        change_default(actor, now, flag, control.served, "control's value")


def _arms(design: Design) -> JSON:
    return {
        v.key: {"weight": v.weight, "control": v.is_control, "config": v.config, "value": v.value}
        for v in design.variants
    }


def _uses(design: Design) -> JSON:
    return [f"{metric.role}: {metric.key} v{metric.version}" for metric in design.metrics]
