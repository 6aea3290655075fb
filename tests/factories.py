"""Named histories: experiments brought to a status through the services, with a tiny cast.

``owner`` (product owner) owns, ``reviewer`` is a data scientist, ``qa`` signs dark launches,
``approver`` is another product owner, ``admin`` administers, ``stranger`` may only look.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group, User

from experiments.core.design.design import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.types import SYSTEM, Actor, Item, Outcome, Role, Scope, Status, Verdict
from experiments.models import ApiKey, Experiment
from experiments.selectors.actors import actor_for_key, actor_for_user
from experiments.services.drafts import drafts
from experiments.services.life import checklist, lifecycle

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning: the moment at which histories begin."""

_CAST = {
    "owner": Role.PRODUCT_OWNER,
    "reviewer": Role.DATA_SCIENTIST,
    "qa": Role.QA,
    "approver": Role.PRODUCT_OWNER,
    "admin": Role.ADMIN,
    "stranger": Role.VIEWER,
}


def user(name: str, *roles: Role) -> User:
    """The account of that name, made with these roles when it is not there."""
    account, created = User.objects.get_or_create(username=name)
    if created:
        account.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
    return account


def person(name: str) -> Actor:
    """One of the cast as an actor."""
    return actor_for_user(user(name, _CAST[name]))


def key_of(name: str, scope: Scope = Scope.MANAGEMENT) -> Actor:
    """A key that belongs to one of the cast."""
    selector = f"{name}-{scope.value}"
    row, _ = ApiKey.objects.get_or_create(
        selector=selector,
        defaults={
            "name": selector,
            "verifier": "0" * 64,
            "scope": scope.value,
            "owner": user(name, _CAST[name]),
            "created_at": NOW,
        },
    )
    return actor_for_key(row)


TWO_ARMS = (
    VariantSpec("control", 500, config={"model": "a"}),
    VariantSpec("treatment", 500, config={"model": "b"}, model_hash="b1"),
)

METRICS = (
    MetricPlan("apply_conversion", "primary", baseline=0.2, mde=0.1),
    MetricPlan("ai_error_units", "guardrail", baseline=0.01, margin=0.02, margin_kind="points"),
)


def spec(key: str = "rerank", **changes: object) -> ExperimentSpec:
    """A whole, valid spec under Standard; give fields to change it."""
    whole = ExperimentSpec(
        name=f"Experiment {key}",
        key=key,
        variants=TWO_ARMS,
        metrics=METRICS,
        hypothesis="A cross-encoder ranks better",
        expected_effect="+10 % applications",
        prd_text="What, why and for whom",
        offline_thresholds=[{"metric": "ndcg@10", "op": ">=", "value": 0.5}],
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # fields by name


def draft(key: str = "rerank", *, policy: str = "standard", **changes: object) -> Experiment:
    """A draft of owner's. Under an AI policy each arm gets 5 % of all units."""
    if policy != "standard":
        changes = {"traffic": 100, **changes}
    return drafts.create_experiment(
        person("owner"), NOW, spec=spec(key, policy_key=policy, **changes)
    )


def ready_for_dark_launch(experiment: Experiment, now: datetime = NOW) -> Experiment:
    """Every item before the dark launch done, each by the one whose job it is."""
    done = {"experiment_id": experiment.pk}
    checklist.sign_off(person("owner"), now, item=Item.PRD, verdict=Verdict.APPROVED, **done)
    checklist.record_evidence(
        SYSTEM,
        now,
        item=Item.SAMPLE_SIZE,
        green=True,
        summary="1,000 an arm",
        detail={"n_planned": 1000},
        **done,
    )
    for arm in ("treatment",):
        checklist.record_offline_evaluation(
            person("reviewer"),
            now,
            variant_key=arm,
            metric="ndcg@10",
            value=0.55,
            lower=0.52,
            upper=0.58,
            n=900,
            dataset="2026-02",
            **done,
        )
    checklist.sign_off(person("reviewer"), now, item=Item.OFFLINE, verdict=Verdict.APPROVED, **done)
    return experiment


def dark_launched(experiment: Experiment, now: datetime = NOW) -> Experiment:
    """Walked into the dark launch."""
    return lifecycle.start_dark_launch(
        person("qa"), now, experiment_id=ready_for_dark_launch(experiment, now).pk
    )


def ready_to_start(experiment: Experiment, now: datetime = NOW + timedelta(days=1)) -> Experiment:
    """In dark launch, with health, QA's signature, the owner's request and the approver's
    approval.
    """
    done = {"experiment_id": dark_launched(experiment).pk}
    checklist.record_evidence(
        SYSTEM, now, item=Item.DARK_LAUNCH, green=True, summary="2,000 requests, no breach", **done
    )
    checklist.sign_off(person("qa"), now, item=Item.DARK_LAUNCH, verdict=Verdict.APPROVED, **done)
    checklist.request_launch(person("owner"), now, **done)
    checklist.sign_off(
        person("approver"), now, item=Item.APPROVAL, verdict=Verdict.APPROVED, **done
    )
    return experiment


def running(experiment: Experiment, now: datetime = NOW + timedelta(days=1)) -> Experiment:
    """Live, by whichever way its policy asks for."""
    if experiment.policy.key != "standard":
        ready_to_start(experiment, now)
    return lifecycle.start(person("owner"), now, experiment_id=experiment.pk)


def experiment_in(
    status: Status, key: str = "rerank", *, policy: str = "standard", **changes: object
) -> Experiment:
    """An experiment of owner's in this status, brought there through the services."""
    if status is Status.DARK_LAUNCH and policy == "standard":
        policy = "ai-low"
    experiment = draft(key, policy=policy, **changes)
    if status is Status.DRAFT:
        return experiment
    if status is Status.DARK_LAUNCH:
        return dark_launched(experiment)
    running(experiment)
    later = NOW + timedelta(days=2)
    if status is Status.RUNNING:
        return lifecycle_of(experiment)
    if status is Status.PAUSED:
        return lifecycle.pause(
            person("owner"), later, experiment_id=experiment.pk, reason="a holiday"
        )
    lifecycle.conclude(
        person("owner"),
        later,
        experiment_id=experiment.pk,
        outcome=Outcome.NO_EFFECT,
        reason="it is over",
    )
    if status is Status.ARCHIVED:
        lifecycle.archive(person("owner"), later, experiment_id=experiment.pk)
    return lifecycle_of(experiment)


def lifecycle_of(experiment: Experiment) -> Experiment:
    """The experiment as the table has it now."""
    return Experiment.objects.get(pk=experiment.pk)
