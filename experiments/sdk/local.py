"""A platform inside this process: the same decisions by the same code, and what was told kept in
memory.

An experiment's seed comes from its name, so that a unit has the same variant in every run. Nothing
is analysed here: whether a difference means anything is the server's to say.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from experiments.core.clock import utc_now
from experiments.core.design.allocation import plan, to_thousandths
from experiments.core.durations import parse_duration
from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.core.hashing import shuffled_buckets
from experiments.core.life.undecided import never_decides
from experiments.core.serving.catalogue_document import (
    SCHEMA,
    ExperimentDocument,
    FlagDocument,
    VariantDocument,
)
from experiments.core.serving.catalogue_parsing import parse
from experiments.core.types import BUCKETS, THOUSANDTHS
from experiments.sdk.client import AssayClient
from experiments.sdk.definitions import Experiment, ExperimentStatus, Variant
from experiments.sdk.outbox import Collected
from experiments.sdk.source import FixedCatalogue, Snapshot

log = logging.getLogger("assay")

_CONTROLS = ("control", "baseline")
_SEED_LENGTH = 12


class LocalPlatform:
    """Experiments of this process; ``told`` holds everything that was told about them."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._experiments: dict[str, Experiment] = {}
        self._status: dict[str, ExperimentStatus] = {}
        self._version = 0
        self.told = Collected()
        self._source = FixedCatalogue(Snapshot(parse(self._document())))
        self.client = AssayClient.from_source(self._source, self.told, clock=clock)

    def register(self, experiment: Experiment) -> None:
        if experiment.name in self._experiments:
            return
        _arms(experiment)  # what cannot be served is refused now
        with self._lock:
            self._experiments[experiment.name] = experiment
            self._status[experiment.name] = ExperimentStatus.DRAFT

    def start(self, name: str) -> None:
        if self.status(name) in (ExperimentStatus.COMPLETED, ExperimentStatus.ARCHIVED):
            raise Refused(
                f"{name}: it is {self.status(name)}; register another one under a new name"
            )
        experiment = self._experiments.get(name)
        if experiment is not None and not experiment.primary_metric:
            log.warning(
                "%s", never_decides(name, has_primary=False, auto_promote=experiment.auto_promote)
            )
        self._set(name, ExperimentStatus.RUNNING)

    def pause(self, name: str) -> None:
        self._set(name, ExperimentStatus.PAUSED)

    def complete(self, name: str) -> None:
        self._set(name, ExperimentStatus.COMPLETED)

    def status(self, name: str) -> ExperimentStatus:
        status = self._status.get(name)
        if status is None:
            raise NotFound(f"there is no experiment {name!r} in this process")
        end = self._experiments[name].end_date
        over = status is ExperimentStatus.RUNNING and end is not None and self._clock() >= end
        if over:
            self._set(name, ExperimentStatus.COMPLETED)
        return ExperimentStatus.COMPLETED if over else status

    def find(self, name: str) -> Experiment | None:
        return self._experiments.get(name)

    def metrics(self, name: str, duration: str = "") -> dict[str, object]:
        experiment = self.find(name)
        if experiment is None:
            raise NotFound(f"there is no experiment {name!r} in this process")
        items = [(kind, item) for kind, item in self.told.items if item.get("experiment") == name]
        if duration:
            items = _lately(items, self._clock() - parse_duration(duration))
        return {
            "variant_metrics": {
                variant.name: _described(variant, items) for variant in experiment.variants
            }
        }

    def analysis(self, ref: str | int) -> dict[str, object]:
        raise Refused(
            f"{ref}: nothing is analysed in this process; set ASSAY_URL, ASSAY_KEY and ASSAY_MANAGEMENT_KEY to ask a server"
        )

    def _set(self, name: str, status: ExperimentStatus) -> None:
        if name not in self._status:
            raise NotFound(f"there is no experiment {name!r} in this process")
        with self._lock:
            self._status[name] = status
            self._version += 1
            self._source.snapshot = Snapshot(parse(self._document()))

    def _document(self) -> Mapping[str, object]:
        running = [
            one
            for name, one in self._experiments.items()
            if self._status[name] is ExperimentStatus.RUNNING
        ]
        flags = [_flag(number, one) for number, one in enumerate(running, 1)]
        return {
            "schema": SCHEMA,
            "version": self._version,
            "built_at": self._clock().isoformat(),
            "flags": flags,
        }


def _flag(number: int, experiment: Experiment) -> FlagDocument:
    return {
        "key": experiment.name,
        "type": "object",
        "enabled": True,
        "default": {},
        "client_visible": False,
        "experiment": _served(number, experiment),
        "previews": [],
        "rollout": None,
        "overrides": [],
    }


def _served(number: int, experiment: Experiment) -> ExperimentDocument:
    return {
        "id": number,
        "key": experiment.name,
        "name": experiment.name,
        "iteration_id": number,
        "iteration": 1,
        "stage": "running",
        "unit_type": experiment.unit_type,
        "seed": _seed(experiment.name),
        "targeting": [],
        "variants": _arms(experiment),
        "dark_mode": "shadow",
    }


def _seed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_SEED_LENGTH]


def _arms(experiment: Experiment) -> list[VariantDocument]:
    """The arms with their buckets, dealt as the server deals them."""
    variants = experiment.variants
    if len(variants) < 2:
        raise InvalidInput(
            f"{experiment.name}: expected two variants or more, found {len(variants)}", "variants"
        )
    if len({variant.name for variant in variants}) != len(variants):
        raise InvalidInput(f"{experiment.name}: two variants have one name", "variants")
    shares = [
        variant.weight if variant.weight is not None else 1 / len(variants) for variant in variants
    ]
    dealt = plan(
        shuffled_buckets(_seed(experiment.name)),
        range(BUCKETS),
        to_thousandths(shares),
        THOUSANDTHS,
    ).added
    control = _control(experiment)
    return [
        {
            "id": number,
            "key": variant.name,
            "name": variant.name,
            "is_control": variant is control,
            "value": None,
            "config": variant.config,
            "main": sorted(buckets),
        }
        for number, (variant, buckets) in enumerate(zip(variants, dealt, strict=True), 1)
    ]


def _control(experiment: Experiment) -> Variant:
    """As on the server: the one that says so, else one named control or baseline, else the
    first.
    """
    said = (variant for variant in experiment.variants if variant.is_control)
    named = (variant for variant in experiment.variants if variant.name.lower() in _CONTROLS)
    return next(said, None) or next(named, None) or experiment.variants[0]


def _lately(
    items: list[tuple[str, dict[str, object]]], since: datetime
) -> list[tuple[str, dict[str, object]]]:
    """What was told of units that were first exposed since then."""
    first: dict[str, datetime] = {}
    for kind, item in items:
        if kind == "exposures":
            unit, at = str(item.get("units")), datetime.fromisoformat(str(item["timestamp"]))
            first[unit] = min(at, first.get(unit, at))
    return [
        (kind, item)
        for kind, item in items
        if (met := first.get(str(item.get("units")))) is not None and met >= since
    ]


def _described(variant: Variant, items: list[tuple[str, dict[str, object]]]) -> dict[str, object]:
    """One arm as ``GET …/metrics`` describes it."""
    own = [(kind, item) for kind, item in items if item.get("variant") == variant.name]
    met = [str(item.get("units")) for kind, item in own if kind == "exposures"]
    values: dict[str, list[tuple[str, float]]] = {}
    for kind, item in own:
        value = item.get("value")
        if kind == "observations" and isinstance(value, int | float):
            values.setdefault(str(item.get("metric")), []).append(
                (str(item.get("units")), float(value))
            )
    units = len(set(met))
    return {
        "variant_key": variant.name,
        "variant_name": variant.name,
        "exposures": len(met),
        "unique_users": units,
        "conversions": {metric: _conversions(rows, units) for metric, rows in values.items()},
    }


def _conversions(rows: list[tuple[str, float]], units: int) -> dict[str, object]:
    converted = len({unit for unit, value in rows if value > 0})
    mean = sum(value for _, value in rows) / len(rows)
    return {
        "count": len(rows),
        "conversion_rate": converted / units if units else None,
        "mean": mean,
    }
