"""Exposures: which iteration, bucket and variant a unit met, and its one row of assignments.

The bucket comes from the unit's id, as in serving; an application may add what the unit really
met. The first exposure of a unit in an iteration is its row; later ones count up, and a variant
other than the first marks crossover.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from analytics.core.intake.ingest_items import ExposureItem
from analytics.core.intake.tallies import OTHER_ARM, OVER_CAP
from analytics.services.ingest.batch import Batch, StorableRow
from analytics.services.ingest.known import (
    BucketHolders,
    HeldOut,
    Known,
    KnownArm,
    UnitKey,
    find_ended,
    find_excluded,
    find_experiments,
    find_holdout,
    find_overrides,
    find_serving,
    iterations_of,
    variants_of,
)
from experiments.core.hashing import bucket_of
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Environment, Origin, Phase, Scope
from experiments.core.units import check_units, unit_id

BEFORE_BEGIN = timedelta(minutes=5)
"""An application's clock may be this far behind ours when an iteration begins."""


@dataclass(frozen=True)
class ExposureFacts:
    """What is known about a batch's experiments and units."""

    experiments: Mapping[str | int, Known]
    serving: Mapping[int, BucketHolders]
    overrides: Mapping[tuple[int, str, str], int]
    excluded: frozenset[UnitKey]
    holdout: HeldOut | None = None
    ended: Mapping[int, Sequence[BucketHolders]] = field(default_factory=dict)

    def serving_at(
        self, experiment: Known, item: ExposureItem, at: datetime
    ) -> BucketHolders | None:
        """What served at the moment: the present iteration or rollout, else one that has ended;
        else what serves now.

        An exposure that names its iteration is never counted in another one.
        """
        found = self._at(experiment.id, item.iteration, at)
        if item.iteration is None or found is None or found.number == item.iteration:
            return found
        message = (
            f"{experiment.key}: the exposure names iteration {item.iteration}, which did not serve at {at.isoformat()}; "
            f"iteration {found.number} did. Load the flags again"
        )
        raise _Refusal("other_iteration", "iteration", message)

    def _at(self, experiment: int, iteration: int | None, at: datetime) -> BucketHolders | None:
        now = self.serving.get(experiment)
        if now is not None and now.number == iteration:
            return now
        if now is not None and now.covers(at):
            return now
        return next((one for one in self.ended.get(experiment, ()) if one.covers(at)), now)


@dataclass(frozen=True)
class Met:
    """What a unit met, and where that comes from."""

    iteration_id: int
    variant_id: int
    bucket: int | None
    phase: Phase
    crossover: bool = False


class _Refusal(Exception):
    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field, self.message = code, field, message


def rows_of_stated(batch: Batch[ExposureItem]) -> list[StorableRow]:
    """Rows for what applications state; what cannot be resolved is refused in the batch."""
    facts = _gather(batch)
    rows = []
    for index, item in list(batch.items.items()):
        at = batch.moment(index, item.at)
        if at is None:
            continue
        try:
            rows.append(_row_of_stated(batch, facts, index, item, at))
        except _Refusal as refusal:
            batch.refuse(index, refusal.code, refusal.field, refusal.message)
    return rows


def admitted(batch: Batch[ExposureItem], rows: Sequence[StorableRow]) -> list[StorableRow]:
    """Without the rows of a client key that are above its caps; these are named and counted."""
    admit = batch.identity.admit
    if admit is None:
        return list(rows)
    kept = []
    for row in rows:
        if admit(str(row.columns["user_id"]), batch.now):
            kept.append(row)
        else:
            batch.outcomes[OVER_CAP] += 1
            batch.refuse(
                row.index,
                OVER_CAP,
                "",
                "not stored: more than an hour's exposures of this unit, or from this address",
            )
    return kept


def rows_of_recorded(
    batch: Batch[ExposureItem], exposures: Sequence[QueuedExposure], *, count: int = 1
) -> list[StorableRow]:
    """Rows for what a server wrote down itself; only the ids are looked at again. ``count``:
    exposures that each of them is.
    """
    touched = {exposure.experiment_id for exposure in exposures}
    iterations, variants = iterations_of(touched), variants_of(touched)
    rows = []
    for index, item in list(batch.items.items()):
        exposure = exposures[index]
        at = batch.moment(index, exposure.at)
        if at is None:
            continue
        belongs = (
            iterations.get(exposure.iteration_id)
            == exposure.experiment_id
            == variants.get(exposure.variant_id)
        )
        if not belongs:
            message = f"experiment {exposure.experiment_id} has no iteration {exposure.iteration_id} with variant {exposure.variant_id}"
            batch.refuse(index, "unknown_experiment", "experiment", message)
            continue
        met = Met(exposure.iteration_id, exposure.variant_id, exposure.bucket, exposure.phase)
        columns = _columns(
            item,
            exposure.experiment_id,
            (exposure.unit_type, exposure.unit_id),
            met,
            exposure.environment,
            batch.origin,
        )
        columns |= {"by_arrival": False, "received": None, "count": count}
        rows.append(StorableRow(index, item.event_id, batch.hashes[item.event_id], at, columns))
    return rows


def as_item(exposure: QueuedExposure) -> ExposureItem:
    """A recorded exposure in the shape the batch keeps its accounts by."""
    return ExposureItem(
        event_id=exposure.event_id,
        units={exposure.unit_type: exposure.unit_id},
        at=exposure.at,
        experiment=exposure.experiment_id,
        variant=str(exposure.variant_id),
        covariates=dict(exposure.covariates) if exposure.covariates else None,
        context=dict(exposure.context) if exposure.context else None,
    )


def write_assignments(rows: Sequence[StorableRow]) -> None:
    """One row per (iteration, environment, unit), whoever comes first and however often."""
    merged = sorted(
        _merged(rows), key=lambda c: (c["iteration_id"], c["environment"], c["user_id"])
    )
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [json.dumps(merged)])


# An exposure to the rollout leaves an earlier row alone: the unit was promoted to, it did not cross
# over.
_UPSERT = """
INSERT INTO experiment_assignments AS a (user_id, unit_type, experiment_id, iteration_id, variant_id, bucket_id, phase, assigned_ts,
    exposure_ts, exposure_count, crossover, environment, origin, covariates, context, by_arrival, received_ts)
SELECT user_id, unit_type, experiment_id, iteration_id, variant_id, bucket_id, phase, at, at, count, crossover, environment, origin,
    covariates, context, by_arrival, received
FROM json_to_recordset(%s::json) AS new (user_id text, unit_type text, experiment_id int, iteration_id bigint, variant_id int,
    bucket_id smallint, phase text, at timestamptz, count int, crossover boolean, environment text, origin text, covariates jsonb,
    context jsonb, by_arrival boolean, received timestamptz)
ON CONFLICT (iteration_id, environment, user_id) DO UPDATE SET
    exposure_count = a.exposure_count + EXCLUDED.exposure_count,
    exposure_ts = least(a.exposure_ts, EXCLUDED.exposure_ts),
    by_arrival = CASE WHEN EXCLUDED.exposure_ts < a.exposure_ts THEN EXCLUDED.by_arrival ELSE a.by_arrival END,
    received_ts = CASE WHEN EXCLUDED.exposure_ts < a.exposure_ts THEN EXCLUDED.received_ts ELSE a.received_ts END,
    assigned_ts = least(a.assigned_ts, EXCLUDED.assigned_ts),
    crossover = a.crossover OR EXCLUDED.crossover OR (a.variant_id <> EXCLUDED.variant_id AND a.phase <> 'rollout')
WHERE a.phase = 'rollout' OR EXCLUDED.phase <> 'rollout'
"""


def _gather(batch: Batch[ExposureItem]) -> ExposureFacts:
    items = batch.items.values()
    experiments = find_experiments(item.experiment for item in items)
    ids = {text for item in items for text in item.units.values()}
    known = {experiment.id: experiment for experiment in experiments.values()}
    serving = find_serving(known.values())
    return ExposureFacts(
        experiments,
        serving,
        find_overrides(known, ids, batch.now),
        find_excluded(ids),
        find_holdout(batch.now),
        find_ended(_from_before(items, experiments, serving)),
    )


def _from_before(
    items: Iterable[ExposureItem],
    experiments: Mapping[str | int, Known],
    serving: Mapping[int, BucketHolders],
) -> dict[int, datetime]:
    """By experiment, the earliest stated moment that lies before what serves now, or where nothing
    does.
    """
    found: dict[int, datetime] = {}
    for item in items:
        experiment = experiments.get(item.experiment)
        if experiment is None or item.at is None:
            continue
        now = serving.get(experiment.id)
        if now is None or not now.covers(item.at):
            found[experiment.id] = min(item.at, found.get(experiment.id, item.at))
    return found


def _row_of_stated(
    batch: Batch[ExposureItem], facts: ExposureFacts, index: int, item: ExposureItem, at: datetime
) -> StorableRow:
    experiment = _experiment(batch, facts, item)
    stated = _stated_arm(experiment, item)
    unit = _unit(experiment, item)
    met = _met(batch, facts, experiment, stated, unit, item, at)
    columns = _columns(
        item,
        experiment.id,
        (experiment.unit_type, unit),
        met,
        batch.identity.environment,
        batch.origin,
    )
    columns |= {
        "by_arrival": item.at is None,
        "received": batch.now.isoformat() if batch.origin is Origin.LIVE else None,
    }
    return StorableRow(index, item.event_id, batch.hashes[item.event_id], at, columns)


def _experiment(batch: Batch[ExposureItem], facts: ExposureFacts, item: ExposureItem) -> Known:
    found = facts.experiments.get(item.experiment)
    if found is None or (batch.identity.scope is Scope.CLIENT and not found.client_visible):
        message = f"no experiment has the id, UUID, key or name {item.experiment!r}"
        raise _Refusal("unknown_experiment", "experiment", message)
    return found


def _stated_arm(experiment: Known, item: ExposureItem) -> KnownArm | None:
    """What the application says the unit met; an index says less than the unit's bucket, and counts
    as unsaid.
    """
    word = item.variant
    if word is None:
        return None
    arm = experiment.arm(word)
    if (
        arm is None
        and item.variant_may_be_index
        and word.isascii()
        and word.isdigit()
        and len(word) < 4
        and int(word) < len(experiment.arms)
    ):
        return None
    if arm is None:
        has = ", ".join(a.key for a in experiment.arms)
        raise _Refusal(
            "unknown_variant", "variant", f"{experiment.key} has no variant {word!r}; it has {has}"
        )
    return arm


def _unit(experiment: Known, item: ExposureItem) -> str:
    problems = check_units(item.units)
    if problems:
        raise _Refusal(problems[0].code, problems[0].field, problems[0].message)
    found = unit_id(item.units, experiment.unit_type)
    if found is None:
        message = f"{experiment.key} is randomised by {experiment.unit_type}; the item carries {', '.join(sorted(item.units))}"
        raise _Refusal("unit_missing", f"units.{experiment.unit_type}", message)
    return found


def _met(
    batch: Batch[ExposureItem],
    facts: ExposureFacts,
    experiment: Known,
    stated: KnownArm | None,
    unit: str,
    item: ExposureItem,
    at: datetime,
) -> Met:
    """In serving's order: override, exclusions, holdout, bucket."""
    serving = facts.serving_at(experiment, item, at)
    if serving is None:
        message = f"{experiment.key} is {experiment.status.replace('_', ' ')} and serves nobody: there is nothing to be exposed to"
        raise _Refusal("not_serving", "experiment", message)
    bucket = bucket_of(serving.seed, unit)
    shown = facts.overrides.get((experiment.id, experiment.unit_type, unit))
    if shown is not None:
        believed = stated is not None and batch.identity.scope is not Scope.CLIENT
        return Met(
            serving.iteration_id,
            stated.id if stated is not None and believed else shown,
            bucket,
            Phase.OVERRIDE,
        )
    _check_time(experiment, serving, at)
    if any(unit_key in facts.excluded for unit_key in item.units.items()):
        raise _Refusal(
            "excluded",
            "units",
            f"the unit is on an exclusion list, so {experiment.key} does not serve it",
        )
    if facts.holdout is not None and facts.holdout.holds(item.units, at):
        raise _Refusal(
            "holdout",
            "units",
            f"the unit is in the global holdout, so {experiment.key} does not serve it",
        )
    _check_arms(experiment, serving, bucket, stated, at)
    return _met_in_bucket(experiment, serving, bucket, stated, batch)


def _check_time(experiment: Known, serving: BucketHolders, at: datetime) -> None:
    if at < serving.began_at - BEFORE_BEGIN:
        began = serving.began_at.isoformat()
        raise _Refusal(
            "before_begin",
            "timestamp",
            f"{at.isoformat()} is before {experiment.key}'s present iteration began ({began})",
        )
    if serving.paused_at is not None and at > serving.paused_at:
        since = serving.paused_at.isoformat()
        raise _Refusal(
            "not_serving",
            "experiment",
            f"{experiment.key} is paused since {since} and serves nobody",
        )


def _check_arms(
    experiment: Known, serving: BucketHolders, bucket: int, stated: KnownArm | None, at: datetime
) -> None:
    """Neither the arm that holds the bucket nor the one that is stated may have been switched off
    by then.
    """
    holder = serving.holders.get(bucket)
    for variant_id in (
        holder[0] if holder is not None else None,
        stated.id if stated is not None else None,
    ):
        since = serving.stopped.get(variant_id or 0)
        if since is not None and at > since:
            arm = next(arm.key for arm in experiment.arms if arm.id == variant_id)
            raise _Refusal(
                "arm_stopped",
                "variant",
                f"{experiment.key}: {arm} is switched off since {since.isoformat()}",
            )


def _met_in_bucket(
    experiment: Known,
    serving: BucketHolders,
    bucket: int,
    stated: KnownArm | None,
    batch: Batch[ExposureItem],
) -> Met:
    """The arm that holds the bucket. A server may state that it showed another one, which is a
    crossover; a client key, which everybody can read in a page, may not: what it states otherwise
    is counted and the bucket's arm is stored."""
    holder = serving.holders.get(bucket)
    if holder is None and batch.identity.environment is Environment.TEST and stated is not None:
        return Met(serving.iteration_id, stated.id, bucket, Phase.MAIN)
    if holder is None:
        raise _Refusal(
            "not_in_experiment",
            "units",
            f"the unit's bucket {bucket} is held by no variant of {experiment.key}",
        )
    variant_id, phase = holder
    met = stated.id if stated is not None else variant_id
    if met != variant_id and batch.identity.scope is Scope.CLIENT:
        batch.outcomes[OTHER_ARM] += 1
        return Met(serving.iteration_id, variant_id, bucket, phase)
    return Met(serving.iteration_id, met, bucket, phase, crossover=met != variant_id)


def _columns(
    item: ExposureItem,
    experiment_id: int,
    unit: tuple[str, str],
    met: Met,
    environment: Environment,
    origin: Origin,
) -> dict[str, object]:
    return {
        "user_id": unit[1],
        "unit_type": unit[0],
        "experiment_id": experiment_id,
        "iteration_id": met.iteration_id,
        "variant_id": met.variant_id,
        "bucket_id": met.bucket,
        "phase": met.phase.value,
        "crossover": met.crossover,
        "environment": environment.value,
        "origin": origin.value,
        "covariates": item.covariates,
        "context": item.context,
    }


def _merged(rows: Sequence[StorableRow]) -> Iterable[dict[str, object]]:
    """Several exposures of one unit in a batch as one: the earliest, with a count."""
    groups: dict[tuple[object, ...], list[StorableRow]] = {}
    for row in sorted(rows, key=lambda row: row.at):
        groups.setdefault(
            (row.columns["iteration_id"], row.columns["environment"], row.columns["user_id"]), []
        ).append(row)
    return [_merge(group) for group in groups.values()]


def _merge(group: Sequence[StorableRow]) -> dict[str, object]:
    analysed = [row for row in group if row.columns["phase"] != Phase.ROLLOUT] or list(group)
    variants = {row.columns["variant_id"] for row in analysed}
    crossover = len(variants) > 1 or any(row.columns["crossover"] for row in analysed)
    return {
        **analysed[0].columns,
        "at": analysed[0].at.isoformat(),
        "count": _count(analysed),
        "crossover": crossover,
    }


def _count(rows: Sequence[StorableRow]) -> int:
    """Exposures; what is only implied by a result counts none, since the one it implies is told on
    its own.
    """
    return sum(
        count if isinstance(count := row.columns.get("count", 1), int) else 1 for row in rows
    )
