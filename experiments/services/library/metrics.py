"""Metric definitions, written: the shipped library, new versions, and names met for the first
time.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import datetime

from django.db import transaction

from experiments.core.design.metric_definitions import MetricDefinition, Source, problems
from experiments.core.errors import InvalidInput
from experiments.core.library.metrics import LIBRARY, exploratory
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor
from experiments.models import Metric
from experiments.selectors.metrics import definition_of
from experiments.services.ground import audit

METRIC_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


def install_library(now: datetime) -> int:
    """Bring the shipped metrics up to date; says how many versions it wrote.

    A shipped metric whose definition changed gets a new version, so that frozen iterations keep
    theirs. A key that a person has defined is left alone.
    """
    with transaction.atomic():
        current = {
            metric.key: metric for metric in Metric.objects.select_for_update().filter(current=True)
        }
        written = 0
        for definition in LIBRARY:
            present = current.get(definition.key)
            if present is None or (
                _replaceable(present)
                and definition_of(present).substance() != definition.substance()
            ):
                _write_version(now, definition, present, shipped=True)
                written += 1
    return written


def define_metric(
    actor: Actor, now: datetime, *, definition: MetricDefinition, reason: str = ""
) -> Metric:
    """Write a metric, or the next version of one; frozen iterations keep the version they have.

    The definition's own version is not looked at. A definition that measures the same as the
    current one is no new version, and the current one is given back.
    """
    check(actor, Action.MANAGE_METRICS, member=False, subject=f"metric {definition.key[:80]}")
    _refuse_bad_key(definition.key)
    with transaction.atomic():
        present = (
            Metric.objects.select_for_update().filter(key=definition.key, current=True).first()
        )
        if (
            present is not None
            and definition_of(present).substance() == definition.substance()
            and not present.exploratory
        ):
            return present
        row = _write_version(now, definition, present, shipped=False)
        Metric.objects.filter(pk=row.pk).update(owner_id=actor.user_id)
        row.refresh_from_db()
        before = None if present is None else _as_json(definition_of(present))
        audit.record(
            actor,
            now,
            action="metric_defined",
            obj=row,
            reason=reason,
            before=before,
            after=_as_json(definition),
        )
    return row


def register_exploratory(now: datetime, *, key: str, source: Source = "observation") -> Metric:
    """The metric of this name, made exploratory if nobody has declared it; it decides nothing."""
    _refuse_bad_key(key)
    present = Metric.objects.filter(key=key, current=True).first()
    if present is not None:
        return present
    row = _row(now, exploratory(key, source), shipped=False)
    # Two that meet the name at the same moment: the unique key lets one in, both read its row.
    Metric.objects.bulk_create([row], ignore_conflicts=True)
    return Metric.objects.get(key=key, current=True)


def _refuse_bad_key(key: str) -> None:
    if not METRIC_KEY.match(key):
        raise InvalidInput(
            f"metric {key[:80]!r}: a key is 1 to 80 letters, digits, dashes and underscores",
            field="metric",
        )


def _as_json(definition: MetricDefinition) -> dict[str, JSON]:
    return {
        **asdict(definition),
        "event_types": list(definition.event_types),
        "denominator_event_types": list(definition.denominator_event_types),
    }


def _replaceable(metric: Metric) -> bool:
    return metric.shipped or metric.exploratory


def _write_version(
    now: datetime, definition: MetricDefinition, present: Metric | None, *, shipped: bool
) -> Metric:
    found = problems(definition)
    if found:
        raise InvalidInput(
            f"metric {definition.key}: the definition cannot be measured",
            field="metric",
            problems=found,
        )
    version = 1
    if present is not None:
        Metric.objects.filter(pk=present.pk).update(current=False)
        version = present.version + 1
    row = _row(now, replace(definition, version=version), shipped=shipped)
    row.save(force_insert=True)
    return row


def _row(now: datetime, definition: MetricDefinition, *, shipped: bool) -> Metric:
    return Metric(
        key=definition.key,
        version=definition.version,
        name=definition.name,
        description=definition.description,
        kind=definition.kind,
        source=definition.source,
        event_types=list(definition.event_types),
        denominator_event_types=list(definition.denominator_event_types),
        aggregation=definition.aggregation,
        value_field=definition.value_field,
        attribution=definition.attribution,
        direction=definition.direction,
        scale=definition.scale,
        cap=definition.cap,
        winsorised=definition.winsorised,
        window_hours=definition.window_hours,
        lookback_days=definition.lookback_days,
        quantile=definition.quantile,
        exploratory=definition.exploratory,
        shipped=shipped,
        created_at=now,
    )
