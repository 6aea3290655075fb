"""A small observed world for store tests: one iteration, its units, and rows around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection

from analytics.models import AiEvent, Assignment, MetricObservation
from experiments.models import Experiment, ExperimentMetric, Flag, Iteration, Policy, Variant
from experiments.selectors.experiments import design_of
from experiments.selectors.metrics import current_metric

START = datetime(2026, 3, 2, tzinfo=UTC)
_ids = count(1)


def day_exists(parent: str, moment: datetime) -> None:
    """Attach the partition of a day, as ingest would."""
    day = moment.date()
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {parent}_{day:%Y%m%d} PARTITION OF {parent} "
            f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )


@dataclass
class World:
    """One experiment with arms of the given keys, the first of them control."""

    experiment: Experiment
    iteration: Iteration
    arms: dict[str, Variant]
    days: set[tuple[str, datetime]] = field(default_factory=set)

    def expose(self, unit: str, arm: str, at: datetime, **fields: Any) -> Assignment:
        """A unit meets an arm."""
        return Assignment.objects.create(
            **{
                "user_id": unit,
                "unit_type": self.experiment.unit_type,
                "experiment": self.experiment,
                "iteration": self.iteration,
                "variant": self.arms[arm],
                "assigned_ts": at,
                "exposure_ts": at,
                **fields,
            }
        )

    def event(self, unit: str, event_type: str, at: datetime, **fields: Any) -> None:
        """Something happened to a unit."""
        day_exists("ai_events", at)
        AiEvent.objects.create(
            **{
                "event_date": at.date(),
                "event_id": f"e{next(_ids)}",
                "ts": at,
                "received_ts": at,
                "user_id": unit,
                "unit_type": self.experiment.unit_type,
                "event_type": event_type,
                "environment": "production",
                "origin": "live",
                **fields,
            }
        )

    def observe(self, unit: str, metric: str, value: float, at: datetime, **fields: Any) -> None:
        """A metric of a unit was measured."""
        day_exists("ai_ab_metrics", at)
        MetricObservation.objects.create(
            **{
                "event_date": at.date(),
                "event_id": f"o{next(_ids)}",
                "ts": at,
                "received_ts": at,
                "user_id": unit,
                "unit_type": self.experiment.unit_type,
                "metric_name": metric,
                "value": value,
                "environment": "production",
                "origin": "live",
                **fields,
            }
        )


def plan(of: World, role: str, key: str, **fields: Any) -> None:
    """Plan a shipped metric and freeze the design again."""
    ExperimentMetric.objects.create(
        experiment=of.experiment, metric=current_metric(key), role=role, **fields
    )
    design = design_of(Experiment.objects.get(pk=of.experiment.pk))
    Iteration.objects.filter(pk=of.iteration.pk).update(design=design.as_json())
    of.iteration.refresh_from_db()


def crowd(
    of: World,
    arm: str,
    n: int,
    at: datetime,
    *,
    events: dict[str, int] | None = None,
    every: timedelta = timedelta(0),
) -> None:
    """n units meet an arm, one every so often; the first so many of them have each kind of event an
    hour later.
    """
    day_exists("ai_events", at + timedelta(hours=1))
    moments = [at + every * i for i in range(n)]
    Assignment.objects.bulk_create(
        Assignment(
            user_id=f"{arm}{at:%d%H}-{i}",
            unit_type=of.experiment.unit_type,
            experiment=of.experiment,
            iteration=of.iteration,
            variant=of.arms[arm],
            assigned_ts=moment,
            exposure_ts=moment,
        )
        for i, moment in enumerate(moments)
    )
    rows = [(kind, i) for kind, many in (events or {}).items() for i in range(many)]
    for day in {
        (moments[i] + timedelta(hours=1)).date(): moments[i] + timedelta(hours=1) for _, i in rows
    }.values():
        day_exists("ai_events", day)
    AiEvent.objects.bulk_create(
        AiEvent(
            event_date=(moments[i] + timedelta(hours=1)).date(),
            event_id=f"c{next(_ids)}",
            ts=moments[i] + timedelta(hours=1),
            received_ts=moments[i] + timedelta(hours=1),
            user_id=f"{arm}{at:%d%H}-{i}",
            unit_type=of.experiment.unit_type,
            event_type=kind,
            environment="production",
            origin="live",
        )
        for kind, i in rows
    )


def world(
    key: str = "search_rerank",
    arms: tuple[str, ...] = ("control", "treatment"),
    unit_type: str = "user",
    **fields: Any,
) -> World:
    """A running experiment in its first iteration, nothing planned."""
    owner, _ = get_user_model().objects.get_or_create(username="owner")
    policy = Policy.objects.filter(is_default=True).first() or Policy.objects.create(
        key="standard", name="Standard", rules={}, is_default=True, created_at=START
    )
    imported = fields.get("origin") == "import"
    flag = (
        None
        if imported
        else Flag.objects.create(key=key, value_type="object", default_value={}, created_at=START)
    )
    experiment = Experiment.objects.create(
        flag=flag,
        key=key,
        name=key,
        owner=owner,
        policy=policy,
        unit_type=unit_type,
        status="running",
        created_at=START,
        updated_at=START,
        **fields,
    )
    weights = [1000 // len(arms)] * len(arms)
    weights[0] += 1000 - sum(weights)
    variants = {
        arm: Variant.objects.create(
            experiment=experiment,
            key=arm,
            name=arm,
            is_control=not place,
            position=place,
            weight=weights[place],
        )
        for place, arm in enumerate(arms)
    }
    iteration = Iteration.objects.create(
        experiment=experiment,
        number=1,
        design={},
        design_sha256="0" * 64,
        policy_rules={},
        traffic=1000,
        began_at=START,
        started_at=START,
        step_started_at=START,
    )
    return World(experiment, iteration, variants)
