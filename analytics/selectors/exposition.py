"""What is known of everything that runs, as plain numbers for a scrape: the stored counts and the
newest analyses, no statistics.

An experiment that ended keeps its last numbers for some days, so that a dashboard does not go blank
at the moment when most people look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from analytics.models import AnalysisRun, OutcomeCount, Scan
from experiments.core.types import MetricRole, Origin, Status
from experiments.models import Iteration

SCRAPED = (Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED)
KEPT = timedelta(days=7)
"""So long the numbers of an experiment stay after its end: a bounded set, older ones are looked up
where they are reported.
"""


@dataclass(frozen=True)
class ArmNumbers:
    """One arm so far: everybody exposed, and the units among them to whom each outcome happened.

    ``rate`` is the primary metric's outcome over the units; None without such a metric, without
    units, or while results are masked.
    """

    experiment: str
    variant: str
    is_control: bool
    units: int
    rate: float | None
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class MaturedArm:
    """One arm of one planned metric in the newest analysis: the units whose window is over, and the
    metric's value over them.
    """

    experiment: str
    variant: str
    metric: str
    role: str
    units: int
    value: float | None


@dataclass(frozen=True)
class HealthFinding:
    """What speaks against believing an experiment's numbers, by the newest analysis."""

    experiment: str
    code: str
    weight: str
    masks: bool


def shown(now: datetime) -> QuerySet[Iteration]:
    """The open iteration of each experiment that serves, and the last one of each that ended
    lately.
    """
    serving = Q(ended_at__isnull=True, experiment__status__in=[s.value for s in SCRAPED])
    ended = Q(
        ended_at__gt=now - KEPT,
        experiment__status=Status.COMPLETED.value,
        experiment__origin=Origin.LIVE.value,
    )
    later = Iteration.objects.filter(
        experiment=OuterRef("experiment"), number__gt=OuterRef("number")
    )
    return Iteration.objects.filter(serving | (ended & ~Exists(later)))


def arm_numbers(now: datetime) -> list[ArmNumbers]:
    """Every arm of every experiment that serves now, or ended lately, and has been counted."""
    rows = OutcomeCount.objects.filter(iteration__in=shown(now))
    found = rows.order_by("iteration_id").values_list(
        "iteration_id", "iteration__experiment__key", "primary", "arms"
    )
    masked = set(_newest_runs(now).filter(masked=True).values_list("iteration_id", flat=True))
    return [
        numbers_of(key, primary, arm, masked=iteration in masked)
        for iteration, key, primary, arms in found
        for arm in arms
    ]


def numbers_of(
    experiment: str, primary: str, arm: Mapping[str, Any], *, masked: bool
) -> ArmNumbers:
    """Any: JSON of a stored count. Masked results have units and nothing else."""
    happened = (
        None if masked or not primary or not arm["units"] else arm["outcomes"].get(primary, 0)
    )
    rate = None if happened is None else happened / arm["units"]
    return ArmNumbers(
        experiment,
        arm["key"],
        arm["is_control"],
        arm["units"],
        rate,
        {} if masked else arm["outcomes"],
    )


def matured_arms(now: datetime) -> list[MaturedArm]:
    """Every arm of every planned metric, of the units whose window is over; nothing while results
    are masked.
    """
    found = (
        _newest_runs(now)
        .filter(masked=False)
        .order_by("experiment_id")
        .values_list("experiment__key", "results__metrics")
    )
    return [
        arm for key, metrics in found for metric in metrics or [] for arm in _matured(key, metric)
    ]


def _matured(experiment: str, metric: Mapping[str, Any]) -> Iterator[MaturedArm]:
    for arm in metric["arms"]:
        yield MaturedArm(
            experiment,
            arm["arm"],
            metric["key"],
            MetricRole(metric["role"]).value,
            arm["n"],
            arm["mean"],
        )


def health_findings() -> list[HealthFinding]:
    """Each code of each experiment that serves once, with its gravest weight: nobody is called for
    what has ended.
    """
    found: dict[tuple[str, str], HealthFinding] = {}
    for key, findings in (
        _runs().order_by("experiment_id").values_list("experiment__key", "health__findings")
    ):
        for one in findings or []:
            found.setdefault(
                (key, one["code"]),
                HealthFinding(key, one["code"], one["weight"], bool(one.get("masks"))),
            )
    return [*found.values(), *_drifted()]


def _drifted() -> list[HealthFinding]:
    """Inputs that drifted, by each experiment's newest nightly scan."""
    rows = Scan.objects.filter(
        iteration__experiment__status__in=[s.value for s in SCRAPED],
        iteration__ended_at__isnull=True,
    )
    newest = rows.order_by("iteration_id", "-night").distinct("iteration_id")
    found: dict[str, HealthFinding] = {}
    for key, findings in newest.values_list("iteration__experiment__key", "result__findings"):
        for one in findings or []:
            if one["code"] == "drift":
                found.setdefault(key, HealthFinding(key, "drift", one["severity"], masks=False))
    return list(found.values())


def _newest_runs(now: datetime) -> QuerySet[AnalysisRun]:
    return AnalysisRun.objects.filter(latest=True, iteration__in=shown(now))


def _runs() -> Any:  # Any: django-stubs has no name for a query set before values are asked for
    return AnalysisRun.objects.filter(
        latest=True,
        experiment__status__in=[s.value for s in SCRAPED],
        iteration__ended_at__isnull=True,
    )
