"""Promoting what the stored decision recommends, and nothing else."""

from __future__ import annotations

from datetime import datetime

from experiments.core.errors import AssayError, Problem, Refused
from experiments.core.figures import moment
from experiments.core.permissions import Action
from experiments.core.types import Actor, Outcome, Status
from experiments.models import Experiment
from experiments.services.ground.guarding import permit
from experiments.services.life import advice
from experiments.services.life.lifecycle import promote


def promote_recommended(
    actor: Actor, now: datetime, *, experiment: Experiment, variant_key: str = "", note: str = ""
) -> Experiment:
    """Promote the recommended variant; refuses when none is, or when another one was asked for."""
    permit(actor, Action.PROMOTE_RECOMMENDED, experiment)
    if experiment.status in (Status.COMPLETED, Status.ARCHIVED):
        raise _nothing_to_promote(experiment, _how_it_ended(experiment))
    found = advice.standing(experiment.pk)
    if found is None:
        raise AssayError(
            "this process cannot read decisions; promote through the web process",
            code="not_available",
        )
    if isinstance(found, str):
        raise _nothing_to_promote(experiment, found)
    if (
        variant_key
        and variant_key != found.variant_key
        and variant_key not in _names(experiment, found.variant_key)
    ):
        raise _nothing_to_promote(
            experiment, f"the decision recommends {found.variant_key}, not {variant_key[:128]}"
        )
    return promote(
        actor,
        now,
        experiment_id=experiment.pk,
        variant_key=found.variant_key,
        decision_note=note or f"decision {found.decision_id}: {found.rule}",
        decision_id=found.decision_id,
        iteration_id=found.iteration_id,
    )


def _how_it_ended(experiment: Experiment) -> str:
    """Of one that is over: what was promoted when, else how it ended."""
    rollout = experiment.rollouts.select_related("variant").order_by("-created_at", "-pk").first()
    if experiment.outcome == Outcome.PROMOTED and rollout is not None:
        return f"{rollout.variant.key} was promoted already, on {moment(rollout.created_at)}"
    ended = "" if experiment.end_ts is None else f", on {moment(experiment.end_ts)}"
    return f"the experiment is over: {experiment.outcome}{ended}"


def _names(experiment: Experiment, key: str) -> set[str]:
    return set(experiment.variants.filter(key=key).values_list("name", flat=True))


def _nothing_to_promote(experiment: Experiment, why: str) -> Refused:
    problem = Problem("not_recommended", why, "variant")
    return Refused(
        f"{experiment.key}: a key promotes only what a stored decision recommends",
        field="variant",
        problems=[problem],
    )
