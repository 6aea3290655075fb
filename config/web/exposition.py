"""``/metrics``: what all processes counted, and what the newest analyses hold."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from analytics.selectors.exposition import (
    ArmNumbers,
    HealthFinding,
    MaturedArm,
    arm_numbers,
    health_findings,
    matured_arms,
)
from analytics.services.analysis import counting
from config.celery_settings import BEAT
from config.processes import standing
from config.processes.background import Found, Reader
from config.processes.dead_processes import forget_dead
from config.web.scraping import refusal
from experiments.core.clock import utc_now
from experiments.metrics import tell_answers
from experiments.selectors import serving
from experiments.selectors.subscriptions import Underway, underway
from experiments.services.ground.slots import last_heard
from experiments.services.serving import spool

_ARM = ("experiment", "variant")
_UP = "1 while counts and analyses can be read from PostgreSQL."
COUNTING_SECONDS = 0.3
"""How long one reading may spend on counting again what is told."""


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The counters of every process of this machine, and the stored totals while PostgreSQL
    answers.
    """
    if (refused := refusal(request)) is not None:
        return refused
    tell_answers()
    registry = CollectorRegistry()
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        forget_dead(folder)
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # registers itself
    else:
        registry.register(_Own())
    registry.register(Spool())
    registry.register(Programs())
    # Whoever asked PostgreSQL while it is known to be away would wait for its time-outs, one after
    # the other.
    registry.register(Stored(stored.last() if serving.current().unreachable else stored.look()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Own(Collector):
    """A single process's own counters."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()


@dataclass(frozen=True)
class ScrapedTotals:
    """Units, rates and outcomes by arm as they were told so far, what the newest analyses say of
    matured units, and health findings; when each task of beat came to its end, and the
    notifications that have not arrived."""

    arms: Sequence[ArmNumbers]
    matured: Sequence[MaturedArm]
    findings: Sequence[HealthFinding]
    heard: Mapping[str, datetime]
    underway: Underway


def read_totals() -> ScrapedTotals:
    """Everything that a scrape wants from PostgreSQL."""
    now = utc_now()
    counting.count_within(now, COUNTING_SECONDS)
    return ScrapedTotals(
        arm_numbers(now), matured_arms(now), health_findings(), last_heard(), underway()
    )


stored = Reader(read_totals)
"""A scrape never waits long for PostgreSQL, not even when nobody knows yet that it is away."""


class Stored(Collector):
    """The totals as they were read last, and whether they can be read now."""

    def __init__(self, found: Found[ScrapedTotals]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("assay_stored_totals_up", _UP, float(self._found.works))
        totals = self._found.value
        if totals is None:
            return
        yield GaugeMetricFamily(
            "assay_stored_totals_age_seconds",
            "How long ago counts and analyses were read.",
            self._found.age,
        )
        yield from _families(totals.arms)
        yield from _matured_families(totals.matured)
        yield from _health_families(totals.findings)
        yield _beat(totals.heard, utc_now())
        yield from _underway(totals.underway, utc_now())


def _families(arms: Sequence[ArmNumbers]) -> Iterator[Metric]:
    sizes = GaugeMetricFamily(
        "experiment_sample_size", "Units exposed to this variant so far.", labels=_ARM
    )
    rates = GaugeMetricFamily(
        "experiment_conversion_rate",
        "Share of the exposed units that have the primary metric's outcome.",
        labels=_ARM,
    )
    outcomes = CounterMetricFamily(
        "experiment_outcome",
        "Units that have had this outcome since their exposure.",
        labels=(*_ARM, "outcome"),
    )
    roles = GaugeMetricFamily(
        "experiment_variant_info",
        "Always 1; the label is_control says which variant is the control.",
        labels=(*_ARM, "is_control"),
    )
    for arm in arms:
        labels = (arm.experiment, arm.variant)
        sizes.add_metric(labels, arm.units)
        roles.add_metric((*labels, "true" if arm.is_control else "false"), 1.0)
        if arm.rate is not None:
            rates.add_metric(labels, arm.rate)
        for outcome, count in arm.outcomes.items():
            outcomes.add_metric((*labels, outcome), count)
    yield from (sizes, rates, outcomes, roles)


def _matured_families(arms: Sequence[MaturedArm]) -> Iterator[Metric]:
    labelled = (*_ARM, "metric", "role")
    units = GaugeMetricFamily(
        "experiment_matured_units",
        "Units whose window of this metric is over, by the newest analysis.",
        labels=labelled,
    )
    values = GaugeMetricFamily(
        "experiment_matured_value", "The metric's value over these units.", labels=labelled
    )
    for arm in arms:
        labels = (arm.experiment, arm.variant, arm.metric, arm.role)
        units.add_metric(labels, arm.units)
        if arm.value is not None:
            values.add_metric(labels, arm.value)
    yield from (units, values)


def _health_families(findings: Sequence[HealthFinding]) -> Iterator[Metric]:
    help_text = "1 while the newest analysis finds this; masks: results are hidden because of it."
    found = GaugeMetricFamily(
        "experiment_health_finding", help_text, labels=("experiment", "code", "weight", "masks")
    )
    for one in findings:
        found.add_metric(
            (one.experiment, one.code, one.weight, "true" if one.masks else "false"), 1.0
        )
    yield found


class Spool(Collector):
    """What waits on this machine's disk for PostgreSQL."""

    def collect(self) -> Iterator[Metric]:
        waiting = spool.lying()
        yield GaugeMetricFamily(
            "assay_spool_files", "Files of exposures that wait to be stored.", waiting.files
        )
        yield GaugeMetricFamily(
            "assay_spool_bytes",
            "Their size; at ASSAY_SPOOL_MAX_BYTES new ones are dropped.",
            waiting.bytes,
        )
        yield GaugeMetricFamily(
            "assay_spool_oldest_seconds",
            "How long the oldest waiting exposure has waited.",
            waiting.oldest_seconds,
        )


class Programs(Collector):
    """The programs that a supervisor of this machine keeps running."""

    def collect(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "assay_program_ended",
            "How often a program ended by itself and was started again.",
            labels=["program"],
        )
        resting = GaugeMetricFamily(
            "assay_program_resting",
            "1 while a program that kept ending is not running.",
            labels=["program"],
        )
        for name, found in standing.read(settings.STATE).items():
            ended.add_metric([name], found.ended)
            resting.add_metric([name], found.resting)
        yield from (ended, resting)


def _beat(heard: Mapping[str, datetime], now: datetime) -> Metric:
    """How long ago each task of beat came to its end; one that never did, or days ago, is
    infinitely late.
    """
    lag = GaugeMetricFamily(
        "assay_beat_lag_seconds", "Seconds since a task of beat came to its end.", labels=["task"]
    )
    for tick in BEAT:
        last = heard.get(tick.task)
        lag.add_metric([tick.task], math.inf if last is None else (now - last).total_seconds())
    return lag


def _underway(found: Underway, now: datetime) -> Iterator[Metric]:
    late = 0.0 if found.due_since is None else max(0.0, (now - found.due_since).total_seconds())
    yield GaugeMetricFamily(
        "assay_outbox_unaddressed",
        "Messages that wait for beat to address them.",
        found.unaddressed,
    )
    yield GaugeMetricFamily(
        "assay_deliveries_pending",
        "Deliveries that are due, or wait for their next attempt.",
        found.pending,
    )
    yield GaugeMetricFamily(
        "assay_deliveries_late_seconds", "How long the oldest due delivery has been due.", late
    )
    yield GaugeMetricFamily(
        "assay_dead_letters", "Deliveries that were given up and wait for a person.", found.dead
    )
