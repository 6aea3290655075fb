"""Which column of an imported file holds what, and what an imported row is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Cell: TypeAlias = "str | float"
Kind: TypeAlias = Literal["proportion", "mean", "count", "ratio", "quantile"]
Better: TypeAlias = Literal["increase", "decrease"]


@dataclass(frozen=True)
class MetricColumn:
    """A metric's name, the column it is in, its kind, and which way is better.

    Of a ratio ``column`` stands above its line and ``below`` below; ``level`` is the level of a
    quantile.
    """

    name: str
    column: str
    kind: Kind
    direction: Better = "increase"
    below: str | None = None
    level: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.column,) if self.below is None else (self.column, self.below)


@dataclass(frozen=True)
class Columns:
    """Which column holds what. Without a unit column each row is a unit of its own, named by its
    number.

    ``cluster``: what was randomised is a group of rows, named in this column.
    """

    variant: str
    metrics: tuple[MetricColumn, ...]
    unit: str | None = None
    timestamp: str | None = None
    covariates: tuple[str, ...] = ()
    cluster: str | None = None

    def all(self) -> tuple[str, ...]:
        """Every column that has to be there."""
        measured = (column for metric in self.metrics for column in metric.columns)
        named = [self.variant, *measured, self.unit, self.timestamp, *self.covariates, self.cluster]
        return tuple(name for name in named if name is not None)


Numbers: TypeAlias = "tuple[float, ...] | None"
"""A row's number of each column of a metric; None where a cell is empty."""


@dataclass(frozen=True)
class UnitRow:
    """One row: its unit (a cluster's rows have the cluster's), when it met which variant, and what
    is known of it.

    ``values`` has an entry for each metric; ``covariates`` holds only what the file knows.
    """

    unit: str
    variant: str
    at: datetime
    values: tuple[Numbers, ...]
    covariates: Mapping[str, Cell] | None = None
