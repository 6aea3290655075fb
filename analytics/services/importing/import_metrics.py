"""The metrics of an imported experiment: each reads the experiment's own observations.

A column whose cells are partly empty becomes a metric in which a unit without a value has none,
instead of a 0. In a file of clusters a mean or a share is a ratio: the sum over a cluster's rows by
their number, so that the cluster is the unit of variance (cluster-robust errors).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics.core.intake.import_columns import MetricColumn
from analytics.core.intake.import_table import ImportTable
from experiments.core.design.metric_definitions import Aggregation, MetricDefinition
from experiments.core.errors import Conflict
from experiments.core.types import Actor, Direction, MetricKind
from experiments.models import Metric
from experiments.selectors.metrics import definition_of
from experiments.services.library import metrics

_WHOLE: Final[dict[str, tuple[MetricKind, Aggregation]]] = {
    "proportion": (MetricKind.PROPORTION, "any"),
    "mean": (MetricKind.MEAN, "sum"),
    "count": (MetricKind.COUNT, "sum"),
    "ratio": (MetricKind.RATIO, "sum"),
    "quantile": (MetricKind.QUANTILE, "mean"),
}
_WITH_GAPS: Final[dict[str, tuple[MetricKind, Aggregation]]] = _WHOLE | {
    "proportion": (MetricKind.PROPORTION, "max"),
    "mean": (MetricKind.MEAN, "mean"),
    "count": (MetricKind.MEAN, "mean"),
}
_OF_ROWS: Final[dict[str, tuple[MetricKind, Aggregation]]] = _WHOLE | dict.fromkeys(
    ("proportion", "mean", "count"), (MetricKind.RATIO, "sum")
)


@dataclass(frozen=True)
class ImportedMetric:
    """A metric's key here, and the name under which what stands below its ratio is stored."""

    column: MetricColumn
    key: str
    below: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Under which name each of its columns is stored."""
        return (self.key,) if self.below is None else (self.key, self.below)


def define(
    actor: Actor, now: datetime, experiment_key: str, column: MetricColumn, table: ImportTable
) -> ImportedMetric:
    """Define the metric; a name that means something else here gets the experiment's in front."""
    plain = _plain(column.name)
    below = None
    if column.below is not None:
        divisor = MetricColumn(
            f"{column.name}: {column.below}", column.below, "mean", column.direction
        )
        below = _defined(
            actor,
            now,
            experiment_key,
            f"{plain[:70]}_divisor",
            divisor,
            _shape(divisor, table),
            None,
        )
    key = _defined(actor, now, experiment_key, plain, column, _shape(column, table), below)
    return ImportedMetric(column, key, below)


def _shape(column: MetricColumn, table: ImportTable) -> tuple[MetricKind, Aggregation]:
    if table.clustered:
        return _OF_ROWS[column.kind]
    return (_WITH_GAPS if table.lacks(column.name) else _WHOLE)[column.kind]


def _defined(
    actor: Actor,
    now: datetime,
    experiment_key: str,
    plain: str,
    column: MetricColumn,
    shape: tuple[MetricKind, Aggregation],
    below: str | None,
) -> str:
    prefixed = f"{_plain(experiment_key)}_{plain}"[:80]
    for key in (plain, prefixed):
        definition = _definition(key, column, shape, below)
        present = Metric.objects.filter(key=key, current=True).first()
        if present is None or present.exploratory:
            return metrics.define_metric(actor, now, definition=definition).key
        if definition_of(present).substance() == definition.substance():
            return key
    message = f"metrics {plain} and {prefixed} are both defined otherwise; import the column under another name"
    raise Conflict(message, "metric")


def _definition(
    key: str, column: MetricColumn, shape: tuple[MetricKind, Aggregation], below: str | None
) -> MetricDefinition:
    kind, aggregation = shape
    divided = f" by column {column.below}" if column.below is not None else ""
    return MetricDefinition(
        key=key,
        name=column.name,
        kind=kind,
        source="observation",
        aggregation=aggregation,
        direction=Direction(column.direction),
        description=f"Column {column.column}{divided} of an imported experiment.",
        attribution="stamped",
        denominator_event_types=() if below is None else (below,),
        quantile=column.level,
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80]
