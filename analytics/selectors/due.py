"""What beat should look at now. Database state is the queue: nothing is due because a message says
so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from django.db.models import Exists, F, OuterRef

from analytics.models import AnalysisRun, PairScan, Scan
from experiments.core.types import Origin, Status
from experiments.models import Experiment, FailedWork, Iteration, Rollout

_NEVER = datetime.min.replace(tzinfo=UTC)


def running() -> list[int]:
    """Running experiments: analysed at every tick."""
    found = Experiment.objects.filter(
        status=Status.RUNNING, origin=Origin.LIVE, iterations__ended_at__isnull=True
    )
    return list(found.order_by("pk").values_list("pk", flat=True).distinct())


def least_recent_first(experiment_ids: Sequence[int]) -> list[int]:
    """The same experiments, the one first whose last run is longest ago, also if that run failed;
    those never analysed before all.
    """
    runs = AnalysisRun.objects.filter(experiment_id__in=experiment_ids, latest=True)
    last: dict[int, datetime] = {}
    for pk, computed_at, failed_at in runs.values_list("experiment_id", "computed_at", "failed_at"):
        last[pk] = max(last.get(pk, computed_at), computed_at, failed_at or computed_at)
    tried = FailedWork.objects.filter(task="analyse", subject__in=experiment_ids)
    for pk, failed_at in tried.values_list("subject", "failed_at"):
        last[pk] = max(last.get(pk, failed_at), failed_at)
    return sorted(experiment_ids, key=lambda pk: (last.get(pk, _NEVER), pk))


def in_dark_launch() -> list[int]:
    """Experiments in dark launch: their health is measured at every tick."""
    found = Experiment.objects.filter(
        status=Status.DARK_LAUNCH,
        iterations__dark_started_at__isnull=False,
        iterations__ended_at__isnull=True,
    )
    return list(found.order_by("pk").values_list("pk", flat=True).distinct())


def ended_without_final_run() -> list[int]:
    """Experiments whose newest iteration has ended since its last good run, or never had one: the
    frozen results are missing.
    """
    final = AnalysisRun.objects.filter(
        iteration=OuterRef("pk"), latest=True, computed_at__gte=OuterRef("ended_at")
    )
    later = Iteration.objects.filter(
        experiment=OuterRef("experiment"), number__gt=OuterRef("number")
    )
    ended = Iteration.objects.filter(ended_at__isnull=False, started_at__isnull=False).filter(
        ~Exists(final), ~Exists(later)
    )
    return list(ended.order_by(F("experiment_id")).values_list("experiment_id", flat=True))


def concurrent() -> list[Iteration]:
    """Open iterations of live experiments that run now and have a control."""
    found = Iteration.objects.filter(
        experiment__status=Status.RUNNING,
        experiment__origin=Origin.LIVE,
        ended_at__isnull=True,
        started_at__isnull=False,
    )
    return list(
        found.filter(experiment__variants__is_control=True)
        .select_related("experiment")
        .order_by("experiment_id")
    )


def to_scan(night: date) -> list[int]:
    """Running experiments not scanned this night, and those whose newest iteration ended and was
    not scanned since.
    """
    tonight = Scan.objects.filter(iteration=OuterRef("pk"), night=night)
    since = Scan.objects.filter(iteration=OuterRef("pk"), scanned_at__gte=OuterRef("ended_at"))
    later = Iteration.objects.filter(
        experiment=OuterRef("experiment"), number__gt=OuterRef("number")
    )
    begun = Iteration.objects.filter(~Exists(later), started_at__isnull=False).exclude(
        experiment__experiment_type="geo"
    )
    running = begun.filter(
        ~Exists(tonight), experiment__status=Status.RUNNING, ended_at__isnull=True
    )
    ended = begun.filter(~Exists(since), ended_at__isnull=False)
    return sorted(
        {
            *running.values_list("experiment_id", flat=True),
            *ended.values_list("experiment_id", flat=True),
        }
    )


def pairs_to_scan(night: date) -> bool:
    """Whether the pairs of this night were not asked yet."""
    return not PairScan.objects.filter(night=night).exists()


def held_back(now: datetime) -> list[int]:
    """Open rollouts of a promotion from which units are held back now."""
    found = Rollout.objects.filter(
        closed_at__isnull=True, holdback_until__gt=now, variant__is_control=False
    )
    return list(found.order_by("pk").values_list("pk", flat=True))


def old_code(now: datetime) -> list[int]:
    """Open rollouts that can be taken back no more, and whose team has not been told that the old
    code may go.
    """
    over = Rollout.objects.filter(
        closed_at__isnull=True, returnable_until__lte=now, variant__is_control=False
    )
    told = over.filter(holdback_run__reminded_at__isnull=False)
    return list(over.exclude(pk__in=told).order_by("pk").values_list("pk", flat=True))
