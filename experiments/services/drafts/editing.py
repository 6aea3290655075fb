"""Editing an experiment's fields: free while a draft, frozen or amended with a reason after
launch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from django.contrib.auth.models import User
from django.db import transaction

from experiments.core.errors import InvalidInput, NotFound, Problem, Refused
from experiments.core.permissions import Action
from experiments.core.targeting.conditions import with_full_versions
from experiments.core.types import JSON, Actor, Status
from experiments.models import Experiment, Layer
from experiments.selectors.experiments import design_of
from experiments.services.drafts.rows import (
    flag_of_key,
    policy_of_key,
    refuse_ill_formed,
    refuse_taken,
)
from experiments.services.ground import audit
from experiments.services.ground.guarding import checked, locked, permit, publish, wanted_reason

LABELS = frozenset({"name", "description", "tags", "owner", "collaborators"})
"""Not design; free at any time."""
AMENDABLE = frozenset({"notes", "planned_end"})
"""Not design, but worth a reason once launched."""
DESIGN_FIELDS = frozenset({
    "experiment_type", "hypothesis", "expected_effect", "prd_url", "prd_text", "offline_thresholds", "unit_type", "targeting", "traffic",
    "ramp", "layer", "dark_mode", "confidence_level", "power", "min_sample_size", "size_class", "auto_promote", "time_zone",
    "planned_start", "policy", "flag", "budget_micro", "breakdowns", "arrival_grace_seconds", "arrival_grace_counts",
})  # fmt: skip
"""Frozen at launch."""


def edit_experiment(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    changes: Mapping[str, object],
    reason: str = "",
) -> Experiment:
    """Change fields by name. Refused: unknown names, frozen design after launch, amendments without
    a reason.

    ``policy``, ``flag`` and ``layer`` are keys (an empty layer: private), ``owner`` an account's
    id, ``collaborators`` a list of them.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.EDIT_DRAFT, experiment)
        if "notes" in changes:
            permit(actor, Action.COMMENT, experiment)  # people's words: no key writes them
        _refuse_frozen(experiment, changes, reason)
        was = design_of(experiment)
        before = {name: _shown(experiment, name) for name in changes}
        for name, value in changes.items():
            _WRITERS.get(name, _plain(name))(experiment, value)
        refuse_taken(experiment)
        experiment.updated_at = now
        checked(experiment)
        experiment.save()
        refuse_ill_formed(experiment, was)
        after = {name: _shown(experiment, name) for name in changes}
        audit.record(
            actor,
            now,
            action="experiment_edited",
            obj=experiment,
            reason=reason,
            before=dict(before),
            after=dict(after),
        )
        publish(now, f"{experiment.key} edited")
    return experiment


def _refuse_frozen(experiment: Experiment, changes: Mapping[str, object], reason: str) -> None:
    unknown = sorted(set(changes) - LABELS - AMENDABLE - DESIGN_FIELDS)
    if unknown:
        raise InvalidInput(
            f"{experiment.key}: {', '.join(unknown)} cannot be edited", field=unknown[0]
        )
    if experiment.status == Status.DRAFT:
        return
    frozen = [_frozen(experiment, name) for name in sorted(DESIGN_FIELDS & set(changes))]
    if frozen:
        names = ", ".join(problem.field for problem in frozen)
        raise Refused(
            f"{experiment.key}: launched, so {names} cannot be edited",
            field=frozen[0].field,
            problems=frozen,
        )
    if AMENDABLE & set(changes):
        wanted_reason(reason, experiment.key, "an amendment after launch")


def _frozen(experiment: Experiment, name: str) -> Problem:
    message = f"{name} is part of the design, which is frozen while {experiment.status}; a new iteration may have another"
    return Problem("design_frozen", message, name)


def _shown(experiment: Experiment, name: str) -> JSON:
    if name == "collaborators":
        return list(experiment.collaborators.order_by("pk").values_list("pk", flat=True))
    if name in ("policy", "owner", "layer", "flag"):
        value = getattr(experiment, name)
        return None if value is None else str(value)
    value = getattr(experiment, name)
    return (
        value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)
    )


def _plain(name: str) -> Callable[[Experiment, object], None]:
    def write(experiment: Experiment, value: object) -> None:
        setattr(
            experiment,
            name,
            with_full_versions(cast("JSON", value)) if name == "targeting" else value,
        )

    return write


def _write_policy(experiment: Experiment, value: object) -> None:
    experiment.policy = policy_of_key(str(value))


def _write_flag(experiment: Experiment, value: object) -> None:
    experiment.flag = flag_of_key(str(value)) if value else None


def _write_layer(experiment: Experiment, value: object) -> None:
    found = Layer.objects.filter(name=str(value), private=False).first() if value else None
    if value and found is None:
        raise NotFound(
            f"layer {str(value)[:80]!r}: there is no shared layer of this name", field="layer"
        )
    experiment.layer = found


def _write_owner(experiment: Experiment, value: object) -> None:
    experiment.owner = _people([value])[0]


def _write_collaborators(experiment: Experiment, value: object) -> None:
    if not isinstance(value, list | tuple | set):
        raise InvalidInput(
            f"{experiment.key}: collaborators must be a list of account ids", field="collaborators"
        )
    experiment.collaborators.set(_people(list(value)))


def _people(ids: Sequence[object]) -> list[User]:
    wanted = [int(str(one)) for one in ids if str(one).isdigit()]
    found = list(User.objects.filter(pk__in=wanted, is_active=True))
    if len(found) != len(set(map(str, ids))):
        raise NotFound(
            "owner or collaborators: no active account of one of these ids", field="collaborators"
        )
    return found


_WRITERS: Mapping[str, Callable[[Experiment, object], None]] = {
    "policy": _write_policy,
    "flag": _write_flag,
    "layer": _write_layer,
    "owner": _write_owner,
    "collaborators": _write_collaborators,
}
