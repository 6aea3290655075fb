"""Bringing in an experiment that was randomised elsewhere, through the same ingest as everything
else.

It has no flag, no layer and no buckets, is completed from the start, and is marked ``import``:
such data are never late and never promote anything. Experiment, metrics and rows are one
transaction: a fault leaves nothing but empty day partitions behind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from analytics.core.ground.encoding import plain as as_json
from analytics.core.intake.arm_names import folded
from analytics.core.intake.import_columns import MetricColumn, UnitRow
from analytics.core.intake.import_table import ImportTable
from analytics.core.intake.imported import ImportFacts
from analytics.core.intake.ingest_items import ObservationItem
from analytics.core.scans.findings import shares_finding
from analytics.core.stats.srm import check_shares
from analytics.selectors.plans import IMPORTED
from analytics.services.importing.import_metrics import ImportedMetric, define
from analytics.services.ingest.ingest import (
    BatchResult,
    IngestIdentity,
    ingest_observations,
    record_exposures,
)
from analytics.services.ingest.partitions import ensure_days
from experiments.core.design.allocation import to_thousandths
from experiments.core.design.design import ExperimentSpec, MetricPlan, VariantSpec, digest
from experiments.core.errors import InvalidInput
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import JSON, Actor, MetricRole, Origin, Status
from experiments.models import Experiment, Iteration
from experiments.selectors.experiments import design_of, rules_of
from experiments.services.drafts import drafts
from experiments.services.ground import audit

CHUNK = 5000
IMPORTER = IngestIdentity()
_CONTROL_NAMES = ("control", "baseline")

Progress = Callable[[int, int], None]
"""Told how many rows are stored, of how many."""


@dataclass(frozen=True)
class Imported:
    """What an import made; ``metric_keys`` says under which key each column's metric is known here.

    ``warnings`` are what a person should know before believing the numbers.
    """

    experiment_id: int
    key: str
    units: Mapping[str, int]
    metric_keys: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def import_experiment(
    actor: Actor,
    now: datetime,
    *,
    key: str,
    table: ImportTable,
    columns: Sequence[MetricColumn],
    unit_type: str = "user",
    control: str | None = None,
    weights: Mapping[str, float] | None = None,
    source: str = "",
    progress: Progress = lambda done, total: None,
) -> Imported:
    """Store the experiment, its units and their values. ``weights`` are relative shares; equal ones
    when not given.
    """
    names = _variants(table, weights)
    specs = _variant_specs(names, _control(names, control), weights)
    ensure_days("ai_ab_metrics", {row.at.date() for row in table.rows})
    with transaction.atomic():
        metrics = [define(actor, now, key, column, table) for column in columns]
        keys = {metric.column.name: metric.key for metric in metrics}
        facts = ImportFacts(
            weights is not None, tuple(replace(gap, metric=keys[gap.metric]) for gap in table.gaps)
        )
        experiment = _create(actor, now, key, specs, metrics, unit_type, source, _covariate(table))
        iteration = _complete(actor, now, experiment, table, source, facts)
        _store(now, experiment, iteration, table, metrics, progress)
    met = Counter(unit.variant for unit in table.units)
    units = {name: met[name] for name in names}
    return Imported(experiment.id, experiment.key, units, keys, _warnings(units, specs, facts))


def _warnings(
    units: Mapping[str, int], specs: Sequence[VariantSpec], facts: ImportFacts
) -> tuple[str, ...]:
    """What the analysis will find, said at once: it may be a forgotten option."""
    shares = {spec.name: spec.weight for spec in specs}
    even = (
        max(shares.values()) - min(shares.values()) <= 1
    )  # thirds are 333, 334 and 333 thousandths
    check = check_shares(list(units.values()), [1 if even else shares[name] for name in units])
    found = facts.of_shares(shares_finding(check, gates=True))
    return tuple(one.sentence for one in (found, *facts.findings()) if one is not None)


def _variants(table: ImportTable, weights: Mapping[str, float] | None) -> Sequence[str]:
    names = list(weights) if weights else list(table.variants)
    if len(names) < 2:
        raise InvalidInput(
            f"an experiment compares at least two variants; found {', '.join(names) or 'none'}",
            "variant",
        )
    absent = [name for name in names if name not in table.variants]
    if absent:
        raise InvalidInput(
            f"variant {absent[0]!r} has a weight and no row; the file holds {', '.join(table.variants)}",
            "weight",
        )
    return names


def _control(names: Sequence[str], control: str | None) -> str:
    meant = (
        None
        if control is None
        else next((name for name in names if folded(name) == folded(control)), None)
    )
    if control is not None and meant is None:
        raise InvalidInput(
            f"control {control!r} is no variant; there are {', '.join(names)}", "control"
        )
    usual = [name for name in names if name.lower() in _CONTROL_NAMES]
    return meant or (usual or list(names))[0]


def _variant_specs(
    names: Sequence[str], control: str, weights: Mapping[str, float] | None
) -> tuple[VariantSpec, ...]:
    given = [1.0 if weights is None else weights[name] for name in names]
    if min(given) <= 0:
        raise InvalidInput("every weight must be above zero", "weight")
    total = sum(given)
    if weights is not None and not any(
        abs(total - whole) < 1e-6 * whole for whole in (1, 100, 1000)
    ):
        raise InvalidInput(f"the weights sum to {total:g}; expected 1, 100 or 1000", "weight")
    shares = to_thousandths([weight / total for weight in given])
    keys = _distinct_keys(names)
    specs = (
        VariantSpec(name=name, key=keys[name], weight=share, is_control=name == control)
        for name, share in zip(names, shares, strict=True)
    )
    return tuple(
        sorted(specs, key=lambda spec: not spec.is_control)
    )  # read first everywhere, wherever it stood in the file


def _distinct_keys(names: Iterable[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for position, name in enumerate(names):
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")[:100] or f"variant_{position}"
        keys[name] = plain if plain not in keys.values() else f"{plain}_{position}"
    return keys


def _covariate(table: ImportTable) -> str:
    """What CUPED uses: the first covariate in the file that is never a word; none when there is
    none.
    """
    known = [unit.covariates or {} for unit in table.units]
    for name in dict.fromkeys(name for covariates in known for name in covariates):
        if all(isinstance(covariates.get(name, 0.0), float) for covariates in known):
            return name
    return ""


def _create(
    actor: Actor,
    now: datetime,
    key: str,
    variants: tuple[VariantSpec, ...],
    metrics: Sequence[ImportedMetric],
    unit_type: str,
    source: str,
    covariate: str,
) -> Experiment:
    roles = [MetricRole.PRIMARY, *[MetricRole.SECONDARY] * (len(metrics) - 1)]
    plans = tuple(
        MetricPlan(
            metric=metric.key,
            role=role.value,
            covariate=covariate if metric.column.kind != "quantile" else "",
        )
        for metric, role in zip(metrics, roles, strict=True)
    )
    spec = ExperimentSpec(
        name=key,
        key=key,
        description=f"Randomised elsewhere; imported from {source}."
        if source
        else "Randomised elsewhere.",
        experiment_type="import",
        origin=Origin.IMPORT,
        variants=variants,
        unit_type=unit_type,
        metrics=plans,
    )
    return drafts.create_experiment(actor, now, spec=spec)


def _complete(
    actor: Actor,
    now: datetime,
    experiment: Experiment,
    table: ImportTable,
    source: str,
    facts: ImportFacts,
) -> Iteration:
    """One iteration, over before it is stored: a frozen design without layer or buckets."""
    first, last = min(row.at for row in table.rows), max(row.at for row in table.rows)
    design = design_of(experiment).as_json()
    iteration = Iteration.objects.create(
        experiment=experiment,
        number=1,
        design=design,
        design_sha256=digest(design),
        policy_rules=rules_of(experiment).as_json(),
        plan={IMPORTED: as_json(facts)},
        traffic=experiment.traffic,
        began_at=first,
        started_at=first,
        step_started_at=first,
        ended_at=last + timedelta(days=1),
    )
    before: JSON = {"status": experiment.status}
    experiment.status, experiment.start_ts, experiment.end_ts = (
        Status.COMPLETED,
        first,
        last + timedelta(days=1),
    )
    experiment.save(update_fields=["status", "start_ts", "end_ts"])
    after: JSON = {"status": Status.COMPLETED.value, "units": len(table.units)}
    audit.record(
        actor,
        now,
        action="import",
        obj=experiment,
        experiment=experiment,
        reason=source,
        before=before,
        after=after,
    )
    return iteration


def _store(
    now: datetime,
    experiment: Experiment,
    iteration: Iteration,
    table: ImportTable,
    metrics: Sequence[ImportedMetric],
    progress: Progress,
) -> None:
    """Units first, then rows that meet a unit again, then values: an observation belongs to a unit
    that is there.
    """
    by_name = {variant.name: variant for variant in experiment.variants.all()}
    met = [*table.units, *table.again]
    for start in range(0, len(met), CHUNK):
        exposures = [
            _exposure(experiment, iteration, by_name[unit.variant].id, number, unit)
            for number, unit in enumerate(met[start : start + CHUNK], start)
        ]
        _all_stored(record_exposures(exposures, now=now, origin=Origin.IMPORT))
    total = len(table.rows)
    for start in range(0, total, CHUNK):
        observations = [
            item
            for number, row in enumerate(table.rows[start : start + CHUNK], start)
            for item in _observations(
                experiment, iteration, by_name[row.variant].key, number, row, metrics
            )
        ]
        _all_stored(
            ingest_observations(observations, now=now, identity=IMPORTER, origin=Origin.IMPORT)
        )
        progress(min(start + CHUNK, total), total)


def _exposure(
    experiment: Experiment, iteration: Iteration, variant_id: int, number: int, row: UnitRow
) -> QueuedExposure:
    return QueuedExposure(
        event_id=f"import-{iteration.pk}-{number}",
        experiment_id=experiment.id,
        iteration_id=iteration.pk,
        variant_id=variant_id,
        unit_type=experiment.unit_type,
        unit_id=row.unit,
        at=row.at,
        covariates=dict(row.covariates) if row.covariates else None,
    )


def _observations(
    experiment: Experiment,
    iteration: Iteration,
    variant_key: str,
    number: int,
    row: UnitRow,
    metrics: Sequence[ImportedMetric],
) -> list[ObservationItem]:
    """One for each number that the row has."""
    found = [
        (name, value)
        for metric, numbers in zip(metrics, row.values, strict=True)
        for name, value in zip(metric.names, numbers or (), strict=numbers is not None)
    ]
    return [
        ObservationItem(
            event_id=f"import-{iteration.pk}-{number}-{position}",
            units={experiment.unit_type: row.unit},
            unit_type=experiment.unit_type,
            at=row.at,
            experiment=experiment.id,
            variant=variant_key,
            metric=name,
            value=value,
        )
        for position, (name, value) in enumerate(found)
    ]


def _all_stored(result: BatchResult) -> None:
    """A fault in one row undoes the import: half an experiment is a wrong one."""
    if result.errors or result.duplicates:
        first = result.errors[0] if result.errors else None
        raise InvalidInput(
            f"{len(result.errors)} rows could not be stored, the first because: {first.message if first else 'it was there'}"
        )
