"""The catalogue's content, read from approved state: what the tables say is to be served now."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import F, Q

from experiments.core import hashing
from experiments.core.design import allocation
from experiments.core.errors import AssayError
from experiments.core.serving.catalogue_document import (
    SCHEMA,
    AudienceDocument,
    CatalogueDocument,
    ExclusionListDocument,
    ExperimentDocument,
    FlagDocument,
    HoldoutDocument,
    OverrideDocument,
    RestingDocument,
    RolloutDocument,
    SegmentDocument,
    VariantDocument,
)
from experiments.core.serving.catalogue_parsing import parse
from experiments.core.targeting.conditions import segments_in
from experiments.core.types import BUCKETS, JSON, THOUSANDTHS, Status
from experiments.models import (
    Bucket,
    ExcludedUnit,
    ExclusionList,
    Experiment,
    Flag,
    GlobalHoldout,
    Iteration,
    Override,
    PublicAttribute,
    Rollout,
    StoppedArm,
    UrgentStop,
    Variant,
)
from experiments.selectors import segments

SERVED = (Status.DARK_LAUNCH, Status.RUNNING)
PREVIEWED = (Status.DARK_LAUNCH, Status.DRAFT)
_SEED_LENGTH = 12


@dataclass
class _Rows:
    """Everything needed, fetched in a fixed number of queries however many flags there are."""

    now: datetime
    experiments: dict[str, list[Experiment]] = field(default_factory=lambda: defaultdict(list))
    iterations: dict[int, Iteration] = field(default_factory=dict)
    buckets: dict[tuple[int, int, str], list[int]] = field(default_factory=dict)
    stopped: set[tuple[int, int]] = field(default_factory=set)
    urgent: frozenset[int] = frozenset()
    """Experiments that somebody stopped in an emergency while their row was locked: they are served
    like paused ones.
    """
    rollouts: dict[int, Rollout] = field(default_factory=dict)
    overrides: dict[str, list[OverrideDocument]] = field(default_factory=lambda: defaultdict(list))
    resting: dict[str, list[RestingDocument]] = field(default_factory=lambda: defaultdict(list))
    segments: list[SegmentDocument] = field(default_factory=list)


def catalogue_document(now: datetime, *, version: int, built_at: datetime) -> CatalogueDocument:
    """The whole catalogue; two calls with the same arguments and state give the same document."""
    return stamped(catalogue_content(now), version=version, built_at=built_at)


def stamped(content: CatalogueDocument, *, version: int, built_at: datetime) -> CatalogueDocument:
    """The same content as another version."""
    return {**content, "version": version, "built_at": _moment(built_at)}


def catalogue_content(now: datetime) -> CatalogueDocument:
    """What the tables say is to be served, before it is known whether that is a new version."""
    rows, exclusions = _fetch(now), _exclusions()
    rows.segments = segments.documents(_named_anywhere(rows, exclusions))
    flags = [_flag(flag, rows) for flag in Flag.objects.order_by("key")]
    named = _named_in(flags, exclusions)
    return {
        "schema": SCHEMA,
        "version": 0,
        "built_at": _moment(now),
        "segments": [segment for segment in rows.segments if segment["key"] in named],
        "public_attributes": list(
            PublicAttribute.objects.order_by("name").values_list("name", flat=True)
        ),
        "exclusions": exclusions,
        "holdout": _holdout(now),
        "flags": flags,
    }


def _fetch(now: datetime) -> _Rows:
    rows = _Rows(now, urgent=urgently_stopped())
    wanted = Experiment.objects.filter(
        flag__isnull=False, status__in={*SERVED, *PREVIEWED}
    ).prefetch_related("variants")
    for experiment in wanted.order_by("-id"):
        rows.experiments[str(experiment.flag_id)].append(experiment)
    iterations = Iteration.objects.filter(
        ended_at__isnull=True, experiment__status__in=SERVED
    ).select_related("layer")
    iterations = iterations.exclude(experiment__in=rows.urgent)
    rows.iterations = {iteration.experiment_id: iteration for iteration in iterations}
    rows.buckets = _buckets(iteration.pk for iteration in rows.iterations.values())
    stopped = StoppedArm.objects.filter(
        iteration__in=[iteration.pk for iteration in rows.iterations.values()]
    )
    rows.stopped = set(stopped.values_list("iteration_id", "variant_id")) | _urgently_stopped_arms(
        rows.iterations
    )
    rollouts = Rollout.objects.filter(closed_at__isnull=True).select_related(
        "experiment", "iteration", "variant"
    )
    rows.rollouts = {
        rollout.flag_id: rollout for rollout in rollouts.prefetch_related("experiment__variants")
    }
    _add_overrides(rows)
    _add_resting(rows)
    return rows


def urgently_stopped() -> frozenset[int]:
    """Experiments with an emergency stop of everything that waits to be booked."""
    return frozenset(
        UrgentStop.objects.filter(settled_at__isnull=True, arm="").values_list(
            "experiment_id", flat=True
        )
    )


def _urgently_stopped_arms(iterations: Mapping[int, Iteration]) -> set[tuple[int, int]]:
    """Iteration and variant of each arm that was stopped alone while its experiment's row was
    locked.
    """
    waiting = UrgentStop.objects.filter(
        settled_at__isnull=True, experiment__in=list(iterations)
    ).exclude(arm="")
    found = waiting.filter(experiment__variants__key=F("arm")).values_list(
        "experiment_id", "experiment__variants__pk"
    )
    return {(iterations[experiment].pk, variant) for experiment, variant in found}


def _buckets(iterations: Iterable[int]) -> dict[tuple[int, int, str], list[int]]:
    """What is served: buckets of a ramp step that was taken back stay held, but their units get the
    flag's value.
    """
    held = Bucket.objects.filter(
        iteration__in=list(iterations), step__lte=F("iteration__step")
    ).order_by()
    groups = held.values_list("iteration_id", "variant_id", "role").annotate(
        indexes=ArrayAgg("index", order_by="index")
    )
    return {(iteration, variant, role): indexes for iteration, variant, role, indexes in groups}


def _add_overrides(rows: _Rows) -> None:
    live = Override.objects.filter(
        expires_at__gt=rows.now,
        experiment__flag__isnull=False,
        experiment__status__in={*SERVED, *PREVIEWED},
    )
    live = live.exclude(experiment__in=rows.urgent)
    for row in live.select_related("experiment", "variant").order_by("id"):
        if (
            rows.iterations[row.experiment_id].pk if row.experiment_id in rows.iterations else 0,
            row.variant_id,
        ) in rows.stopped:
            continue
        rows.overrides[str(row.experiment.flag_id)].append(
            {
                "experiment": row.experiment.key,
                "unit_type": row.unit_type,
                "unit_id": row.unit_id,
                "variant": row.variant.key,
                "until": _moment(row.expires_at),
            }
        )


def _add_resting(rows: _Rows) -> None:
    """A pause or a draft must not turn an application's question into an error: it gets the flag's
    value.
    """
    others = (
        Experiment.objects.filter(flag__isnull=False)
        .exclude(Q(status__in=SERVED) & ~Q(pk__in=rows.urgent))
        .order_by("-id")
    )
    for flag_key, key, name in others.values_list("flag_id", "key", "name"):
        rows.resting[str(flag_key)].append({"key": key, "name": name})


def _flag(flag: Flag, rows: _Rows) -> FlagDocument:
    mine = rows.experiments[flag.key]
    rollout = rows.rollouts.get(flag.pk)
    document: FlagDocument = {
        "key": flag.key,
        "type": flag.value_type,
        "enabled": flag.enabled,
        "default": flag.default_value,
        "client_visible": flag.client_visible,
        "experiment": next(
            (_serving(e, rows) for e in mine if e.status in SERVED and e.pk in rows.iterations),
            None,
        ),
        "previews": [],
        "rollout": None if rollout is None else _rollout(rollout),
        "overrides": rows.overrides[flag.key],
        "resting": rows.resting[flag.key],
    }
    if flag.remote_only:
        document["remote_only"] = True
    document["previews"] = _previews(document, mine, rows)
    return document


def _serving(experiment: Experiment, rows: _Rows) -> ExperimentDocument:
    iteration = rows.iterations[experiment.pk]
    seed = iteration.layer.seed if iteration.layer is not None else ""
    document = _experiment(experiment, seed=seed, iteration=iteration)
    for variant in document["variants"]:
        key = (iteration.pk, variant["id"])
        variant["main"] = rows.buckets.get((*key, "main"), [])
        variant["dark"] = rows.buckets.get((*key, "dark"), [])
        variant["twin"] = rows.buckets.get((*key, "twin"), [])
        if key in rows.stopped:
            variant["stopped"] = sorted([*variant["main"], *variant["dark"]])
            variant["main"], variant["dark"] = [], []
    return document


def _previews(
    flag: FlagDocument, experiments: list[Experiment], rows: _Rows
) -> list[ExperimentDocument]:
    """Dark launches first, then drafts, newest first. A draft that cannot be served yet is left
    out.
    """
    wanted = sorted(
        (e for e in experiments if e.status in PREVIEWED),
        key=lambda e: e.status != Status.DARK_LAUNCH,
    )
    built = (_preview(experiment, rows.iterations.get(experiment.pk)) for experiment in wanted)
    return [
        preview for preview in built if preview is not None and _can_be_served(flag, preview, rows)
    ]


def _preview(experiment: Experiment, iteration: Iteration | None) -> ExperimentDocument | None:
    """The experiment as if at full share, under a seed of its own, so that testers meet every
    variant.
    """
    seed = hashlib.sha256(f"preview:{experiment.uuid}".encode()).hexdigest()[:_SEED_LENGTH]
    document = _experiment(experiment, seed=seed, iteration=iteration)
    weights = [variant.weight for variant in experiment.variants.all()]
    if sum(weights) != THOUSANDTHS:
        return None
    plan = allocation.plan(hashing.shuffled_buckets(seed), range(BUCKETS), weights, THOUSANDTHS)
    for variant, indexes in zip(document["variants"], plan.added, strict=True):
        variant["main"] = sorted(indexes)
    return document


def _can_be_served(flag: FlagDocument, preview: ExperimentDocument, rows: _Rows) -> bool:
    alone: FlagDocument = {
        **flag,
        "experiment": None,
        "previews": [preview],
        "rollout": None,
        "overrides": [],
    }
    document: CatalogueDocument = {
        "schema": SCHEMA,
        "version": 0,
        "built_at": "1970-01-01T00:00:00+00:00",
        "segments": rows.segments,
        "exclusions": [],
        "holdout": None,
        "flags": [alone],
    }
    try:
        parse(document)
    except AssayError:
        return False
    return True


def _experiment(
    experiment: Experiment, *, seed: str, iteration: Iteration | None
) -> ExperimentDocument:
    return {
        "id": experiment.pk,
        "key": experiment.key,
        "name": experiment.name,
        "iteration_id": None if iteration is None else iteration.pk,
        "iteration": 0 if iteration is None else iteration.number,
        "stage": experiment.status,
        "unit_type": experiment.unit_type,
        "seed": seed,
        "targeting": experiment.targeting,
        "variants": [_variant(variant) for variant in experiment.variants.all()],
        "dark_mode": experiment.dark_mode,
    }


def _variant(variant: Variant) -> VariantDocument:
    return _arm(variant, variant.value, variant.config)


def _arm(variant: Variant, value: JSON, config: JSON) -> VariantDocument:
    return {
        "id": variant.pk,
        "key": variant.key,
        "name": variant.name,
        "is_control": variant.is_control,
        "value": value,
        "config": config if isinstance(config, dict) else {},
    }


def _rollout(rollout: Rollout) -> RolloutDocument:
    control = next(variant for variant in rollout.experiment.variants.all() if variant.is_control)
    return {
        "experiment_id": rollout.experiment_id,
        "experiment": rollout.experiment.key,
        "experiment_name": rollout.experiment.name,
        "iteration_id": rollout.iteration_id,
        "iteration": rollout.iteration.number,
        "variant": _arm(rollout.variant, rollout.value, rollout.config),
        "control": _arm(control, rollout.control_value, control.config),
        "audience": _audience(rollout),
        "holdback": sorted(rollout.holdback_buckets),
        "holdback_until": None
        if rollout.holdback_until is None
        else _moment(rollout.holdback_until),
    }


def _audience(rollout: Rollout) -> AudienceDocument:
    audience = rollout.audience
    buckets = audience.get("buckets")
    return {
        "unit_type": audience["unit_type"],
        "targeting": audience.get("targeting") or [],
        "seed": audience.get("seed") or "",
        "buckets": None if buckets is None else sorted(buckets),
    }


def _exclusions() -> list[ExclusionListDocument]:
    lists = list(ExclusionList.objects.filter(active=True).order_by("name"))
    ids: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    units = ExcludedUnit.objects.filter(exclusion_list__in=lists).order_by("unit_type", "unit_id")
    for list_id, unit_type, unit_id in units.values_list(
        "exclusion_list_id", "unit_type", "unit_id"
    ):
        ids[list_id][unit_type].append(unit_id)
    return [
        {"key": row.name, "ids": ids[row.pk], "rules": [row.rule] if row.rule else []}
        for row in lists
    ]


def _holdout(now: datetime) -> HoldoutDocument | None:
    row = GlobalHoldout.objects.filter(ended_at__isnull=True, until__gt=now).first()
    if row is None:
        return None
    buckets = sorted(hashing.shuffled_buckets(row.seed)[: row.share])
    return {
        "unit_type": row.unit_type,
        "seed": row.seed,
        "buckets": buckets,
        "until": _moment(row.until),
    }


def _named_anywhere(rows: _Rows, exclusions: list[ExclusionListDocument]) -> frozenset[str]:
    """The segments that anything fetched names; some of it may turn out not to be served."""
    targetings: list[object] = [
        experiment.targeting for several in rows.experiments.values() for experiment in several
    ]
    targetings += [rollout.audience.get("targeting") for rollout in rows.rollouts.values()]
    return _named(targetings) | _named(rule for listed in exclusions for rule in listed["rules"])


def _named_in(flags: list[FlagDocument], exclusions: list[ExclusionListDocument]) -> frozenset[str]:
    served = [
        experiment
        for flag in flags
        for experiment in (flag["experiment"], *flag["previews"])
        if experiment is not None
    ]
    audiences = [flag["rollout"]["audience"] for flag in flags if flag["rollout"] is not None]
    rules = [rule for listed in exclusions for rule in listed["rules"]]
    return _named(
        [*(one["targeting"] for one in served), *(one["targeting"] for one in audiences), *rules]
    )


def _named(rules: Iterable[object]) -> frozenset[str]:
    return frozenset(key for rule in rules for key in segments_in(rule))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
