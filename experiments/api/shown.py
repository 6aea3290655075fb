"""What management doors answer: experiments, checklists and history as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from experiments.core.errors import Problem
from experiments.core.life.checklist import ItemState
from experiments.core.life.ramping import RampStep, parse_ramp
from experiments.core.types import JSON, THOUSANDTHS
from experiments.models import (
    ChangeLogEntry,
    Experiment,
    ExperimentMetric,
    Flag,
    Iteration,
    OfflineEvaluation,
    RampStay,
    Variant,
)
from experiments.selectors.undecided import why_undecided


def brief(experiment: Experiment, message: str = "") -> dict[str, object]:
    """An experiment in a line; with a message, the answer to something done to it."""
    line: dict[str, object] = {
        "id": experiment.pk,
        "uuid": str(experiment.uuid),
        "key": experiment.key,
        "name": experiment.name,
        "status": experiment.status,
        "outcome": experiment.outcome or None,
        "pause_cause": experiment.pause_cause or None,
        "experiment_type": experiment.experiment_type,
        "flag": experiment.flag_id,
        "policy": {"key": experiment.policy.key, "version": experiment.policy.version},
        "start_ts": experiment.start_ts,
        "end_ts": experiment.end_ts,
    }
    return line | {"message": message} if message else line


def full(
    experiment: Experiment, iteration: Iteration | None, message: str = ""
) -> dict[str, object]:
    """Everything that can be asked for and was decided, in the spelling that the doors accept."""
    return brief(experiment, message) | {
        "description": experiment.description,
        "tags": experiment.tags,
        "notes": experiment.notes,
        "origin": experiment.origin,
        "owner": {"id": experiment.owner_id, "username": experiment.owner.get_username()},
        "collaborators": [
            {"id": one.pk, "username": one.get_username()} for one in experiment.collaborators.all()
        ],
        "unit_type": experiment.unit_type,
        "targeting": experiment.targeting,
        "traffic_allocation": experiment.traffic / THOUSANDTHS,
        "target_percentage": experiment.traffic / THOUSANDTHS * 100,
        "ramp": [ramp_step(step) for step in parse_ramp(experiment.ramp)],
        "layer": None if experiment.layer is None else experiment.layer.name,
        "variants": [variant(one) for one in experiment.variants.all()],
        "metrics": [metric(one) for one in experiment.planned_metrics.all()],
        "hypothesis": experiment.hypothesis,
        "expected_effect": experiment.expected_effect,
        "prd_url": experiment.prd_url,
        "prd_text": experiment.prd_text,
        "offline_thresholds": experiment.offline_thresholds,
        "confidence_level": float(experiment.confidence_level),
        "power": float(experiment.power),
        "min_sample_size": experiment.min_sample_size,
        "size_class": experiment.size_class,
        "dark_mode": experiment.dark_mode,
        "auto_promote": experiment.auto_promote,
        "promotion_held": experiment.promotion_held,
        "time_zone": experiment.time_zone,
        "arrival_grace_seconds": experiment.arrival_grace_seconds,
        "arrival_grace_counts": experiment.arrival_grace_counts,
        "planned_start": experiment.planned_start,
        "planned_end": experiment.planned_end,
        "budget_micro": experiment.budget_micro,
        "breakdowns": experiment.breakdowns,
        "created_at": experiment.created_at,
        "updated_at": experiment.updated_at,
        "iteration": None if iteration is None else launch(iteration),
        "warnings": warnings(experiment),
    }


def warnings(experiment: Experiment) -> list[str]:
    """What stands against an experiment without refusing it."""
    said = why_undecided(experiment)
    return [said] if said else []


def variant(row: Variant) -> dict[str, object]:
    return {
        "id": row.pk,
        "uuid": str(row.uuid),
        "key": row.key,
        "name": row.name,
        "description": row.description,
        "is_control": row.is_control,
        "weight": row.weight / THOUSANDTHS,
        "traffic_allocation": row.weight / THOUSANDTHS * 100,
        "config": row.config,
        "value": row.value,
        "model_hash": row.model_hash,
    }


def metric(row: ExperimentMetric) -> dict[str, object]:
    return {
        "metric": row.metric.key,
        "version": row.metric.version,
        "kind": row.metric.kind,
        "direction": row.metric.direction,
        "role": row.role,
        "baseline": row.baseline,
        "baseline_sd": row.baseline_sd,
        "mde": row.mde,
        "mde_kind": row.mde_kind,
        "required_improvement": row.required_improvement,
        "margin": row.margin,
        "margin_kind": row.margin_kind,
        "rule": row.rule,
        "action": row.action,
        "covariate": row.covariate,
        "adjusted": row.adjusted,
        "worth_micro": row.worth_micro,
    }


def launch(iteration: Iteration) -> dict[str, object]:
    return {
        "id": iteration.pk,
        "number": iteration.number,
        "traffic_allocation": iteration.traffic / THOUSANDTHS,
        "design_sha256": iteration.design_sha256,
        "began_at": iteration.began_at,
        "dark_started_at": iteration.dark_started_at,
        "started_at": iteration.started_at,
        "ramp": ramp(iteration.stays.filter(ended_at__isnull=True).first()),
    }


def ramp_step(step: RampStep) -> dict[str, object]:
    return {
        "traffic_allocation": step.share / THOUSANDTHS,
        "min_hours": step.hours,
        "min_units": step.units,
    }


def ramp(stay: RampStay | None) -> dict[str, object] | None:
    """Where a ramp stands: its step counted from 1, since when, and who holds it there."""
    if stay is None:
        return None
    held = (
        {"by": stay.held_by, "since": stay.held_since, "reason": stay.held_reason}
        if stay.held_by
        else None
    )
    return {
        "step": stay.step + 1,
        "traffic_allocation": stay.share / THOUSANDTHS,
        "since": stay.started_at,
        "held": held,
    }


def checklist(states: Iterable[ItemState]) -> list[dict[str, object]]:
    return [
        {
            "item": state.item.value,
            "title": state.title,
            "required": state.required,
            "state": state.state,
            "role": state.role or None,
            "evidence": list(state.evidence),
            "message": state.message,
            "signed_by": state.signed_by or None,
            "signed_at": state.signed_at,
            "diff": list(state.diff),
        }
        for state in states
    ]


def problems(found: Iterable[Problem]) -> list[dict[str, str]]:
    return [problem.as_json() for problem in found]


def change(entry: ChangeLogEntry) -> dict[str, object]:
    return {
        "at": entry.at,
        "actor": {"kind": entry.actor_kind, "label": entry.actor_label},
        "action": entry.action,
        "object": {"type": entry.object_type, "id": entry.object_id, "label": entry.object_label},
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
    }


def evaluation(row: OfflineEvaluation) -> dict[str, object]:
    moment: datetime = row.recorded_at
    numbers: dict[str, JSON] = {
        "value": row.value,
        "lower": row.lower,
        "upper": row.upper,
        "n": row.n,
    }
    return {
        "id": row.pk,
        "variant": row.variant.key,
        "metric": row.metric,
        **numbers,
        "dataset": row.dataset,
        "recorded_at": moment,
    }


def flag(row: Flag) -> dict[str, object]:
    return {
        "key": row.key,
        "description": row.description,
        "type": row.value_type,
        "default": row.default_value,
        "schema": row.schema,
        "enabled": row.enabled,
        "client_visible": row.client_visible,
        "remote_only": row.remote_only,
    }
