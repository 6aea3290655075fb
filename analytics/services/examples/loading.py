"""Builds the examples through the services that people and applications use, each step at its own time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from analytics.services import dark_health, planning
from analytics.services.ingest import IngestIdentity, ingest_events, ingest_exposures
from experiments.core.policies import SHIPPED, Window
from experiments.core.types import Actor, BucketRole, Environment, FlagType, Item, Status, Verdict
from experiments.models import Bucket, Experiment, Iteration
from experiments.selectors.experiments import open_iteration
from experiments.services import checklist, drafts, flags, lifecycle, policies

from . import history, people
from .plans import EXAMPLES, Example

Progress = Callable[[str], None]
DARK_UNITS = 500
"""Units a day in dark buckets and their twins: enough for a dark launch to say something."""
IDENTITY = IngestIdentity(environment=Environment.PRODUCTION)


def load(now: datetime, *, progress: Progress) -> None:
    """Load every example that is not there yet; each one wholly or not at all.

    The demo's policies promote at any hour and without notice, so that a visitor sees it happen.
    """
    cast = people.hire(now)
    _open_promotion_windows(cast["ada"], now)
    for example in EXAMPLES:
        if Experiment.objects.filter(key=example.key).exists():
            progress(f"{example.key}: already there")
            continue
        with transaction.atomic():
            _load(example, cast, now, progress)


def _open_promotion_windows(admin: Actor, now: datetime) -> None:
    for shipped in SHIPPED:
        rules = replace(shipped.rules, window=Window(always=True), notice_hours=0)
        policies.revise_policy(admin, now, key=shipped.key, rules=rules, reason="the demo promotes at any hour, without notice")


def _load(example: Example, cast: Mapping[str, Actor], now: datetime, progress: Progress) -> None:
    began = now - example.age - timedelta(hours=example.dark_hours)
    drafted = began - timedelta(days=1)
    if example.spec.flag_key:
        flags.create_flag(
            cast["olivia"], drafted, key=example.spec.flag_key, value_type=FlagType.OBJECT, default_value=example.control.config,
            description=example.spec.description,
        )  # fmt: skip
    experiment = drafts.create_experiment(cast["olivia"], drafted, spec=example.spec)
    progress(f"{example.key}: drafted")
    planning.plan_sample_size(cast["olivia"], began - timedelta(hours=18), experiment_id=experiment.id)
    if example.spec.policy_key != "standard":
        _prepare(example, experiment, cast, began - timedelta(hours=12))
    if example.stage is Status.DRAFT:
        return
    if example.dark_hours:
        _launch_dark(example, experiment, cast, began, progress)
    if example.stage is Status.RUNNING:
        _run(example, experiment, cast, now - example.age, now, progress)


def _prepare(example: Example, experiment: Experiment, cast: Mapping[str, Actor], at: datetime) -> None:
    """The paper part of the checklist: scores, and the signatures that they allow."""
    for score in example.scores:
        checklist.record_offline_evaluation(
            cast["dmitri"], at, experiment_id=experiment.id, variant_key=score.variant, metric=score.metric,
            value=score.value, lower=score.lower, upper=score.upper, n=score.n, dataset=score.dataset,
        )  # fmt: skip
    _sign(cast["olivia"], at, experiment, Item.PRD, "Agreed with the team.")
    if example.stage is not Status.DRAFT:
        _sign(cast["dmitri"], at, experiment, Item.OFFLINE, "The lower bound clears the threshold.")


def _launch_dark(example: Example, experiment: Experiment, cast: Mapping[str, Actor], began: datetime, progress: Progress) -> None:
    lifecycle.start_dark_launch(cast["quinn"], began, experiment_id=experiment.id)
    over = began + timedelta(hours=example.dark_hours)
    _write(_past(example, experiment, began, over, roles=(BucketRole.DARK, BucketRole.TWIN), repeats=4), progress)
    dark_health.check_dark_launch(cast["quinn"], over, experiment_id=experiment.id)


def _run(example: Example, experiment: Experiment, cast: Mapping[str, Actor], start: datetime, now: datetime, progress: Progress) -> None:
    if example.dark_hours:
        _sign(cast["quinn"], start, experiment, Item.DARK_LAUNCH, "No more errors than beside it.")
        checklist.request_launch(cast["olivia"], start, experiment_id=experiment.id, note="Ready to go live.")
        _sign(cast["paula"], start, experiment, Item.APPROVAL, "Go.")
    lifecycle.start(cast["olivia"], start, experiment_id=experiment.id)
    _write(_past(example, experiment, start, now, roles=(BucketRole.MAIN,)), progress)


def _sign(actor: Actor, at: datetime, experiment: Experiment, item: Item, comment: str) -> None:
    checklist.sign_off(actor, at, experiment_id=experiment.id, item=item, verdict=Verdict.APPROVED, comment=comment)


def _past(
    example: Example, experiment: Experiment, start: datetime, end: datetime, *, roles: tuple[BucketRole, ...], repeats: int = 1
) -> history.Past:
    iteration = open_iteration(experiment)
    if iteration is None or iteration.layer is None:
        raise RuntimeError(f"{example.key}: no open iteration with buckets, although it was just launched")
    per_day = example.units_per_day if roles == (BucketRole.MAIN,) else max(example.units_per_day // 5, DARK_UNITS)
    return history.Past(
        experiment=example.key, unit_type=example.spec.unit_type, seed=iteration.layer.seed, arms=_arms(iteration, roles),
        truth=example.truth, start=start, end=end, units_per_day=per_day, exposures_per_unit=repeats,
    )  # fmt: skip


def _arms(iteration: Iteration, roles: tuple[BucketRole, ...]) -> dict[int, str]:
    held = Bucket.objects.filter(iteration=iteration, role__in=[role.value for role in roles]).select_related("variant")
    return {bucket.index: bucket.variant.key for bucket in held if bucket.variant is not None}


def _write(past: history.Past, progress: Progress) -> None:
    units = events = 0
    for day in history.days(past):
        for exposures in history.batches(day.exposures):
            ingest_exposures(exposures, now=day.now, identity=IDENTITY)
        for arrived in history.batches(day.events):
            ingest_events(arrived, now=day.now, identity=IDENTITY)
        units, events = units + len(day.exposures), events + len(day.events)
        progress(f"{past.experiment}: {day.now:%d %b}, {units:,} exposures and {events:,} events so far")
