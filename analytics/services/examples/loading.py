"""Builds the examples through the services that people and applications use, each step at its own
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from analytics.core.intake.ingest_items import (
    parse_cost,
    parse_event,
    parse_exposure,
    parse_feedback,
    parse_items,
    parse_observation,
)
from analytics.services.analysis import dark_health
from analytics.services.importing.prices import load_prices
from analytics.services.ingest.ingest import (
    BatchResult,
    IngestIdentity,
    ingest_costs,
    ingest_events,
    ingest_exposures,
    ingest_feedback,
    ingest_observations,
)
from analytics.services.planning import planning
from experiments.core.design.policies import SHIPPED, Window
from experiments.core.library.templates import BY_KEY
from experiments.core.serving.value_schema import suggested
from experiments.core.types import (
    Actor,
    BucketRole,
    Environment,
    FlagType,
    Item,
    Origin,
    Status,
    Verdict,
)
from experiments.models import Bucket, Experiment, Iteration
from experiments.selectors.experiments import open_iteration
from experiments.services.drafts import drafts
from experiments.services.drafts.templates import create_from_template
from experiments.services.library import policies
from experiments.services.life import checklist, lifecycle
from experiments.services.serving import flags

from . import history, people, pilot
from .acting import Body
from .attending import attend, conclude_harmful
from .base import Example
from .history import Author, ExampleDay, Stretch
from .plans import EXAMPLES, PRICES

Progress = Callable[[str], None]
DAY = timedelta(days=1)
DARK_UNITS = 500
"""Units a day in dark buckets and their twins: enough for a dark launch to say something."""
NOT_DRAFTED = ("criteria", "geo_pilot", "lora_boost_test", "new_embedding_model")
"""Templates that the demo shows in the list of templates alone: two are nobody's experiment, and
two have the names that the quick starts of the sources create (docs/quick-starts.md)."""
DOORS: Mapping[str, tuple[Callable[..., BatchResult], Callable[..., Any]]] = {
    "events": (ingest_events, parse_event),
    "observations": (ingest_observations, parse_observation),
    "costs": (ingest_costs, parse_cost),
    "feedback": (ingest_feedback, parse_feedback),
}
"""Door → how it stores, how it reads an item. Events come first: costs and feedback name their
requests.
"""
IDENTITY = IngestIdentity(environment=Environment.PRODUCTION)


def load(now: datetime, *, progress: Progress) -> None:
    """Load every example that is not there yet; each one wholly or not at all.

    The demo's policies promote at any hour and without notice, so that a visitor sees it happen.
    """
    cast = people.hire(now)
    _open_promotion_windows(cast["ada"], now)
    load_prices(cast["dmitri"], now, text=PRICES, reason="list prices that the demo assumes")
    steps: dict[str, Callable[[], object]] = {
        e.key: partial(_load, e, cast, now, progress) for e in EXAMPLES
    }
    steps[pilot.KEY] = partial(pilot.load_pilot, cast["olivia"], now)
    steps |= {
        key: partial(_draft, key, cast["paula"], now)
        for key in BY_KEY
        if key not in steps and key not in NOT_DRAFTED
    }
    for key, step in steps.items():
        if Experiment.objects.filter(key=key).exists():
            progress(f"{key}: already there")
            continue
        with transaction.atomic():
            step()
        progress(f"{key}: loaded")


def _draft(template: str, owner: Actor, now: datetime) -> None:
    create_from_template(
        owner,
        now - timedelta(days=1),
        template_key=template,
        changes={"tags": ("template", "demo")},
    )


def _open_promotion_windows(admin: Actor, now: datetime) -> None:
    for shipped in SHIPPED:
        rules = replace(shipped.rules, window=Window(always=True), notice_hours=0)
        policies.revise_policy(
            admin,
            now,
            key=shipped.key,
            rules=rules,
            reason="the demo promotes at any hour, without notice",
        )


def _load(example: Example, cast: Mapping[str, Actor], now: datetime, progress: Progress) -> None:
    began = now - example.age - timedelta(hours=example.dark_hours)
    drafted = began - timedelta(days=1)
    if example.spec.flag_key:
        flags.create_flag(
            cast["olivia"], drafted, key=example.spec.flag_key, value_type=FlagType.OBJECT, default_value=example.control.config,
            description=example.spec.description,
        )  # fmt: skip
        schema = suggested([variant.config for variant in example.spec.variants])
        flags.set_schema(
            cast["olivia"],
            drafted,
            flag_key=example.spec.flag_key,
            schema=schema,
            reason="What its code reads.",
        )
    experiment = drafts.create_experiment(cast["olivia"], drafted, spec=example.spec)
    progress(f"{example.key}: drafted")
    planning.plan_sample_size(
        cast["olivia"], began - timedelta(hours=18), experiment_id=experiment.id
    )
    if example.spec.policy_key != "standard":
        _prepare(example, experiment, cast, began - timedelta(hours=12))
    if example.stage is Status.DRAFT:
        return
    if example.dark_hours:
        _launch_dark(example, experiment, cast, began, progress)
    if example.stage is not Status.DARK_LAUNCH:
        _run(example, experiment, cast, now - example.age, now, progress)


def _prepare(
    example: Example, experiment: Experiment, cast: Mapping[str, Actor], at: datetime
) -> None:
    """The paper part of the checklist: scores, and the signatures that they allow."""
    for score in example.scores:
        checklist.record_offline_evaluation(
            cast["dmitri"], at, experiment_id=experiment.id, variant_key=score.variant, metric=score.metric,
            value=score.value, lower=score.lower, upper=score.upper, n=score.n, dataset=score.dataset,
        )  # fmt: skip
    _sign(cast["olivia"], at, experiment, Item.PRD, "Agreed with the team.")
    if example.stage is not Status.DRAFT:
        _sign(cast["dmitri"], at, experiment, Item.OFFLINE, "The lower bound clears the threshold.")


def _launch_dark(
    example: Example,
    experiment: Experiment,
    cast: Mapping[str, Actor],
    began: datetime,
    progress: Progress,
) -> None:
    lifecycle.start_dark_launch(cast["quinn"], began, experiment_id=experiment.id)
    over = began + timedelta(hours=example.dark_hours)
    author = _author(example, experiment)
    for start, end in _days(began, over):
        units = max(example.units_per_day // 5, DARK_UNITS) * (end - start) / DAY
        arms = _arms(experiment, BucketRole.DARK, BucketRole.TWIN)
        _take_in(author.day(Stretch(start, end, round(units), arms, repeats=4)), example, progress)
    dark_health.check_dark_launch(cast["quinn"], over, experiment_id=experiment.id)


def _run(
    example: Example,
    experiment: Experiment,
    cast: Mapping[str, Actor],
    start: datetime,
    now: datetime,
    progress: Progress,
) -> None:
    if example.dark_hours:
        _sign(cast["quinn"], start, experiment, Item.DARK_LAUNCH, "No more errors than beside it.")
        checklist.request_launch(
            cast["olivia"], start, experiment_id=experiment.id, note="Ready to go live."
        )
        _sign(cast["paula"], start, experiment, Item.APPROVAL, "Go.")
    lifecycle.start(cast["olivia"], start, experiment_id=experiment.id)
    author = _author(example, experiment)
    for since, until in _days(start, now):
        share = _iteration(experiment).traffic / experiment.traffic
        units = round(example.units_per_day * share * ((until - since) / DAY))
        drifted = until > now - history.DRIFTS_FOR
        stretch = Stretch(since, until, units, _arms(experiment, BucketRole.MAIN), drifted=drifted)
        _take_in(author.day(stretch), example, progress)
        attended = example.attended_from is not None and until - start >= example.attended_from
        status = attend(experiment, until) if attended else Status.RUNNING
        if status is Status.PAUSED:
            conclude_harmful(cast["olivia"], experiment, until, example.lesson)
        if status is not Status.RUNNING:
            break


def _sign(actor: Actor, at: datetime, experiment: Experiment, item: Item, comment: str) -> None:
    checklist.sign_off(
        actor, at, experiment_id=experiment.id, item=item, verdict=Verdict.APPROVED, comment=comment
    )


def _author(example: Example, experiment: Experiment) -> Author:
    layer = _iteration(experiment).layer
    if layer is None:
        raise RuntimeError(
            f"{example.key}: its iteration has no layer, although it was just launched"
        )
    return Author(example, layer.seed)


def _iteration(experiment: Experiment) -> Iteration:
    found = open_iteration(experiment)
    if found is None:
        raise RuntimeError(f"{experiment.key}: no open iteration, although it was just launched")
    return found


def _arms(experiment: Experiment, *roles: BucketRole) -> dict[int, str]:
    """Bucket → arm, for the buckets that are served now."""
    iteration = _iteration(experiment)
    held = Bucket.objects.filter(
        iteration=iteration, role__in=[role.value for role in roles], step__lte=iteration.step
    )
    return {
        bucket.index: bucket.variant.key
        for bucket in held.select_related("variant")
        if bucket.variant is not None
    }


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The time between cut into days, the last one as it comes."""
    while start < end:
        yield start, min(start + DAY, end)
        start += DAY


def _take_in(day: ExampleDay, example: Example, progress: Progress) -> None:
    """What arrived, as the doors would take it; what units did before is brought in as their
    history.
    """
    _ingest(ingest_exposures, parse_exposure, day.exposures, day.now)
    _ingest(ingest_events, parse_event, day.past, day.now, Origin.IMPORT)
    for door, (ingest, parse) in DOORS.items():
        _ingest(ingest, parse, day.arrived.get(door, ()), day.now)
    progress(f"{example.key}: {day.now:%d %b}")


def _ingest(
    ingest: Callable[..., BatchResult],
    parse: Callable[..., Any],
    bodies: Sequence[Body],
    now: datetime,
    origin: Origin = Origin.LIVE,
) -> None:
    for some in history.batches(bodies):
        result = ingest(parse_items(some, parse), now=now, identity=IDENTITY, origin=origin)
        if result.errors:
            raise RuntimeError(f"an example sent what was refused: {result.errors[0].message}")
