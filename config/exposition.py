"""``/metrics``: what all processes counted, and what the newest analyses hold."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from analytics.selectors.exposition import ArmNumbers, arm_numbers
from config.celery_settings import BEAT
from experiments.core.clock import utc_now
from experiments.metrics import tell_answers
from experiments.selectors.subscriptions import Underway, underway
from experiments.services import spool
from experiments.services.slots import last_heard

_ARM = ("experiment", "variant")


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The counters of every process of this machine, and the stored totals while PostgreSQL answers."""
    tell_answers()
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # registers itself
    else:
        registry.register(_Own())
    registry.register(StoredTotals())
    registry.register(Spool())
    registry.register(Beat())
    registry.register(Telling())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Own(Collector):
    """A single process's own counters."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()


class StoredTotals(Collector):
    """Units, rates and outcomes by arm, as the newest analysis stored them; asked for at every scrape, so never out of step."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("assay_stored_totals_up", "1 while the newest analyses can be read from PostgreSQL.")
        try:
            arms = arm_numbers()
        except DatabaseError:
            up.add_metric((), 0.0)
            yield up
            return
        up.add_metric((), 1.0)
        yield up
        yield from _families(arms)


def _families(arms: list[ArmNumbers]) -> Iterator[Metric]:
    sizes = GaugeMetricFamily("experiment_sample_size", "Units that met this variant.", labels=_ARM)
    rates = GaugeMetricFamily("experiment_conversion_rate", "The primary metric's value in this variant.", labels=_ARM)
    outcomes = CounterMetricFamily("experiment_outcome", "What units of this variant did, by declared metric.", labels=(*_ARM, "outcome"))
    for arm in arms:
        labels = (arm.experiment, arm.variant)
        sizes.add_metric(labels, arm.units)
        if arm.rate is not None:
            rates.add_metric(labels, arm.rate)
        for outcome, count in arm.outcomes.items():
            outcomes.add_metric((*labels, outcome), count)
    yield from (sizes, rates, outcomes)


class Spool(Collector):
    """What waits on this machine's disk for PostgreSQL."""

    def collect(self) -> Iterator[Metric]:
        waiting = spool.lying()
        yield GaugeMetricFamily("assay_spool_files", "Files of exposures that wait to be stored.", waiting.files)
        yield GaugeMetricFamily("assay_spool_bytes", "Their size; at ASSAY_SPOOL_MAX_BYTES new ones are dropped.", waiting.bytes)
        yield GaugeMetricFamily("assay_spool_oldest_seconds", "Age of the oldest of them.", waiting.oldest_seconds)


class Beat(Collector):
    """How long ago each task of beat came to its end; one that never did, or days ago, is infinitely late."""

    def collect(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily("assay_beat_lag_seconds", "Seconds since a task of beat came to its end.", labels=["task"])
        now = utc_now()
        try:
            heard = last_heard()
        except DatabaseError:
            return
        for tick in BEAT:
            last = heard.get(tick.task)
            lag.add_metric([tick.task], math.inf if last is None else (now - last).total_seconds())
        yield lag


class Telling(Collector):
    """Notifications that have not arrived."""

    def collect(self) -> Iterator[Metric]:
        try:
            found = underway()
        except DatabaseError:
            return
        yield from _underway(found, utc_now())


def _underway(found: Underway, now: datetime) -> Iterator[Metric]:
    late = 0.0 if found.due_since is None else max(0.0, (now - found.due_since).total_seconds())
    yield GaugeMetricFamily("assay_outbox_unaddressed", "Messages that wait for beat to address them.", found.unaddressed)
    yield GaugeMetricFamily("assay_deliveries_pending", "Deliveries that are due, or wait for their next attempt.", found.pending)
    yield GaugeMetricFamily("assay_deliveries_late_seconds", "How long the oldest due delivery has been due.", late)
    yield GaugeMetricFamily("assay_dead_letters", "Deliveries that were given up and wait for a person.", found.dead)
