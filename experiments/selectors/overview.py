"""The checklist of many experiments at once, in a fixed number of queries: for lists and the
overview.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import structlog
from django.db.models import prefetch_related_objects

from experiments.core.design.policies import rules_from_json
from experiments.core.life import checklist
from experiments.core.life.checklist import Computed, ItemState, LaunchFacts, SignedOff
from experiments.core.types import Actor, Item, PauseCause, Status
from experiments.models import Experiment
from experiments.selectors import checklist_rows
from experiments.selectors.experiments import design_of, launch_of

log = structlog.get_logger(__name__)

_NEEDED = (
    "variants", "planned_metrics__metric", "sign_offs__signed_by", "offline_evaluations__variant", "evidence",
    "launch_requests__requested_by", "launch_requests__key__made_by", "iterations", "collaborators",
)  # fmt: skip


def checklists(experiments: Sequence[Experiment]) -> dict[int, tuple[ItemState, ...]]:
    """Experiment id → the state of every item. Their rows' own order (newest first) is what makes
    the newest count.
    """
    return {pk: checklist.states(facts) for pk, facts in checklist_facts(experiments).items()}


def checklist_facts(experiments: Sequence[Experiment]) -> dict[int, LaunchFacts]:
    """Experiment id → what its items depend on."""
    prefetch_related_objects(list(experiments), *_NEEDED)
    return {
        experiment.pk: known
        for experiment in experiments
        if (known := _read(experiment)) is not None
    }


def _read(experiment: Experiment) -> LaunchFacts | None:
    """None where it cannot be read, which costs this experiment alone: its card says so, and the
    log why.
    """
    try:
        return _facts(experiment)
    except Exception:
        log.exception("checklist_not_read", experiment=experiment.pk)
        return None


def in_team(actor: Actor, experiment: Experiment) -> bool:
    """Whether the actor is owner or collaborator, of an experiment that came through
    ``checklists``.
    """
    return actor.user_id == experiment.owner_id or any(
        person.pk == actor.user_id for person in experiment.collaborators.all()
    )


def _facts(experiment: Experiment) -> LaunchFacts:
    """What items depend on; what only the gate of a verb asks is left out."""
    iteration = launch_of(experiment)
    return LaunchFacts(
        design=design_of(experiment),
        rules=rules_from_json(
            experiment.policy.rules if iteration is None else iteration.policy_rules
        ),
        status=Status(experiment.status),
        cause=PauseCause(experiment.pause_cause),
        sign_offs=_newest([checklist_rows.signed(row) for row in experiment.sign_offs.all()]),
        evaluations=tuple(
            checklist_rows.evaluated(row) for row in experiment.offline_evaluations.all()
        ),
        evidence=_newest([checklist_rows.computed(row) for row in experiment.evidence.all()]),
        request=next(
            (checklist_rows.requested(row) for row in experiment.launch_requests.all()), None
        ),
        dark_started_at=None if iteration is None else iteration.dark_started_at,
    )


Filed = TypeVar("Filed", SignedOff, Computed)


def _newest(rows: Sequence[Filed]) -> dict[Item, Filed]:
    """The first, that is the newest, of each item."""
    return {row.item: row for row in reversed(rows)}
