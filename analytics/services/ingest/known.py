"""What items may refer to: experiments with their variants, and what each of them serves to
whom.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from django.db.models import Q

from experiments.core.hashing import shuffled_buckets
from experiments.core.serving.entities import Holdout
from experiments.core.types import BucketRole, Phase, Status
from experiments.core.units import unit_id
from experiments.models import (
    Bucket,
    ExcludedUnit,
    Experiment,
    GlobalHoldout,
    Iteration,
    Override,
    Pause,
    Rollout,
    StoppedArm,
    Variant,
)

Ref: TypeAlias = "str | int"
UnitKey: TypeAlias = tuple[str, str]
"""Unit type and id."""

MAX_ID = 2**31 - 1
SERVING = (Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED)


@dataclass(frozen=True)
class KnownArm:
    """A variant as items name it."""

    id: int
    key: str
    name: str
    is_control: bool


@dataclass(frozen=True)
class Known:
    """An experiment as items name it."""

    id: int
    key: str
    unit_type: str
    status: Status
    client_visible: bool
    arms: tuple[KnownArm, ...]

    def arm(self, word: str) -> KnownArm | None:
        """The variant with this key, else with this name."""
        return next((a for a in self.arms if a.key == word), None) or next(
            (a for a in self.arms if a.name == word), None
        )


@dataclass(frozen=True)
class BucketHolders:
    """Who holds which bucket of an iteration, since when; ``paused_at`` when it serves nobody now.

    ``stopped``: since when a variant that was switched off alone is served to nobody. ``ended_at``:
    it is over, and what is told now happened before.
    """

    iteration_id: int
    number: int
    began_at: datetime
    seed: str
    holders: Mapping[int, tuple[int, Phase]]
    paused_at: datetime | None = None
    stopped: Mapping[int, datetime] = field(default_factory=dict)
    ended_at: datetime | None = None

    def covers(self, at: datetime) -> bool:
        """Whether the moment lies in it."""
        return self.began_at <= at and (self.ended_at is None or at < self.ended_at)


@dataclass(frozen=True)
class HeldOut:
    """The global holdout, and since when."""

    holdout: Holdout
    since: datetime

    def holds(self, units: Mapping[str, str], at: datetime) -> bool:
        """Whether a unit of these was held out at this moment."""
        return self.since <= at and self.holdout.holds(unit_id(units, self.holdout.unit_type), at)


def find_experiments(refs: Iterable[Ref]) -> dict[Ref, Known]:
    """Experiments by id, UUID, key or name, tried in this order; refs that nothing goes by are left
    out.
    """
    wanted = set(refs)
    if not wanted:
        return {}
    ids = {number for ref in wanted if (number := _as_id(ref)) is not None}
    uuids = {found for ref in wanted if (found := _as_uuid(ref)) is not None}
    texts = [ref for ref in wanted if isinstance(ref, str)]
    rows = Experiment.objects.filter(
        Q(id__in=ids) | Q(uuid__in=uuids) | Q(key__in=texts) | Q(name__in=texts)
    )
    rows = rows.select_related("flag").prefetch_related("variants")
    known = [(row, _known(row)) for row in rows]
    by_id = {row.id: found for row, found in known}
    by_uuid = {row.uuid: found for row, found in known}
    by_key = {row.key: found for row, found in known}
    by_name = {row.name: found for row, found in known}
    tried = {
        ref: by_id.get(_as_id(ref) or 0)
        or by_uuid.get(_as_uuid(ref) or uuid.UUID(int=0))
        or by_key.get(str(ref))
        or by_name.get(str(ref))
        for ref in wanted
    }
    return {ref: found for ref, found in tried.items() if found is not None}


def find_serving(experiments: Iterable[Known]) -> dict[int, BucketHolders]:
    """What each experiment serves: its open iteration's buckets, or the rollout it left on its
    flag.
    """
    known = {experiment.id: experiment for experiment in experiments}
    running = [e.id for e in known.values() if e.status in SERVING]
    ended = [e.id for e in known.values() if e.status in (Status.COMPLETED, Status.ARCHIVED)]
    return _open_iterations(running) | _open_rollouts(ended, known)


def find_ended(earliest: Mapping[int, datetime]) -> dict[int, list[BucketHolders]]:
    """By experiment: its iterations that ended after a moment, for what happened in them and is
    told late.
    """
    if not earliest:
        return {}
    rows = Iteration.objects.filter(
        experiment_id__in=earliest, ended_at__gt=min(earliest.values()), layer__isnull=False
    )
    found: dict[int, list[BucketHolders]] = {}
    iterations = [row for row in rows.select_related("layer").order_by("began_at") if row.held]
    stopped = _stopped([row.id for row in iterations])
    paused = _paused_to_the_end(iterations)
    for row in iterations:
        serving = BucketHolders(
            row.id,
            row.number,
            row.began_at,
            _seed(row),
            _held(row),
            paused.get(row.id),
            stopped[row.id],
            row.ended_at,
        )
        found.setdefault(row.experiment_id, []).append(serving)
    return found


def _seed(row: Iteration) -> str:
    return "" if row.layer is None else row.layer.seed


def _held(row: Iteration) -> dict[int, tuple[int, Phase]]:
    return {
        index: (variant, Phase(BucketRole(role).value))
        for variant, role, indexes in row.held
        for index in indexes
    }


def _stopped(iterations: Collection[int]) -> dict[int, dict[int, datetime]]:
    """By iteration: since when which of its variants is switched off alone."""
    found: dict[int, dict[int, datetime]] = {number: {} for number in iterations}
    for arm in StoppedArm.objects.filter(iteration_id__in=iterations):
        found[arm.iteration_id][arm.variant_id] = arm.stopped_at
    return found


def _paused_to_the_end(iterations: Collection[Iteration]) -> dict[int, datetime]:
    """Since when an iteration was paused until it ended."""
    ended = {row.id: row.ended_at for row in iterations}
    pauses = Pause.objects.filter(iteration_id__in=ended, ended_at__isnull=False).values_list(
        "iteration_id", "started_at", "ended_at"
    )
    return {iteration: began for iteration, began, over in pauses if over == ended[iteration]}


def find_overrides(
    experiments: Collection[int], unit_ids: Collection[str], now: datetime
) -> dict[tuple[int, str, str], int]:
    """(experiment, unit type, unit id) → the variant a tester is shown."""
    rows = Override.objects.filter(
        experiment_id__in=experiments, unit_id__in=unit_ids, expires_at__gt=now
    )
    return {
        (e, t, u): v
        for e, t, u, v in rows.values_list("experiment_id", "unit_type", "unit_id", "variant_id")
    }


def find_excluded(unit_ids: Collection[str]) -> frozenset[UnitKey]:
    """Which of these units are on an exclusion list."""
    rows = ExcludedUnit.objects.filter(exclusion_list__active=True, unit_id__in=unit_ids)
    return frozenset(
        (unit_type, unit_id) for unit_type, unit_id in rows.values_list("unit_type", "unit_id")
    )


def find_holdout(now: datetime) -> HeldOut | None:
    """The global holdout that is open now."""
    row = GlobalHoldout.objects.filter(ended_at__isnull=True, until__gt=now).first()
    if row is None:
        return None
    buckets = frozenset(shuffled_buckets(row.seed)[: row.share])
    return HeldOut(Holdout(row.unit_type, row.seed, buckets, row.until), row.created_at)


def _known(row: Experiment) -> Known:
    arms = tuple(KnownArm(v.id, v.key, v.name, v.is_control) for v in row.variants.all())
    visible = row.flag.client_visible if row.flag else False
    return Known(row.id, row.key, row.unit_type, Status(row.status), visible, arms)


def _as_id(ref: Ref) -> int | None:
    number = (
        int(ref)
        if isinstance(ref, int) or (ref.isascii() and ref.isdigit() and len(ref) <= 10)
        else -1
    )
    return number if 0 < number <= MAX_ID else None


def _as_uuid(ref: Ref) -> uuid.UUID | None:
    try:
        return uuid.UUID(ref) if isinstance(ref, str) and len(ref) == 36 else None
    except ValueError:
        return None


def _open_iterations(experiments: Collection[int]) -> dict[int, BucketHolders]:
    if not experiments:
        return {}
    rows = Iteration.objects.filter(
        experiment_id__in=experiments, ended_at__isnull=True, layer__isnull=False
    ).select_related("layer")
    iterations = {row.id: row for row in rows}
    paused = dict(
        Pause.objects.filter(iteration_id__in=iterations, ended_at__isnull=True).values_list(
            "iteration_id", "started_at"
        )
    )
    holders: dict[int, dict[int, tuple[int, Phase]]] = {number: {} for number in iterations}
    held = Bucket.objects.filter(iteration_id__in=iterations).values_list(
        "iteration_id", "index", "variant_id", "role"
    )
    for iteration_id, index, variant_id, role in held:
        if variant_id is not None:
            holders[iteration_id][index] = (variant_id, Phase(BucketRole(role).value))
    stopped = _stopped(iterations)
    return {
        row.experiment_id: BucketHolders(
            row.id,
            row.number,
            row.began_at,
            row.layer.seed,
            holders[row.id],
            paused.get(row.id),
            stopped[row.id],
        )
        for row in iterations.values()
        if row.layer is not None
    }


def _open_rollouts(
    experiments: Collection[int], known: Mapping[int, Known]
) -> dict[int, BucketHolders]:
    if not experiments:
        return {}
    rows = Rollout.objects.filter(
        experiment_id__in=experiments, closed_at__isnull=True
    ).select_related("iteration")
    return {row.experiment_id: _rollout_serving(row, known[row.experiment_id]) for row in rows}


def _rollout_serving(row: Rollout, known: Known) -> BucketHolders:
    control = next((arm.id for arm in known.arms if arm.is_control), None)
    holders = {int(index): (row.variant_id, Phase.ROLLOUT) for index in row.audience["buckets"]}
    if control is not None:
        holders |= {int(index): (control, Phase.ROLLOUT) for index in row.holdback_buckets}
    return BucketHolders(
        row.iteration_id, row.iteration.number, row.created_at, str(row.audience["seed"]), holders
    )


def variants_of(experiments: Iterable[int]) -> dict[int, int]:
    """Variant → experiment, for exposures that name both by id."""
    return dict(
        Variant.objects.filter(experiment_id__in=set(experiments)).values_list(
            "id", "experiment_id"
        )
    )


def iterations_of(experiments: Iterable[int]) -> dict[int, int]:
    """Iteration → experiment, for exposures that name both by id."""
    return dict(
        Iteration.objects.filter(experiment_id__in=set(experiments)).values_list(
            "id", "experiment_id"
        )
    )
