"""Runs and holdbacks that came to their end, and what is still to be written about them."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from analytics.models import AnalysisRun, ExperimentReport, HoldbackRun
from experiments.core.types import Status
from experiments.models import Iteration

ENDED = (Status.COMPLETED, Status.ARCHIVED)


def good_runs() -> QuerySet[AnalysisRun]:
    """Latest runs that came to something: of an iteration whose every run failed there is only the
    failure.
    """
    return (
        AnalysisRun.objects.filter(latest=True)
        .exclude(totals={}, results={})
        .select_related("iteration", "experiment__owner")
    )


def ended_holdbacks() -> QuerySet[HoldbackRun]:
    """Readings that are the last of their rollout."""
    return HoldbackRun.objects.exclude(result={}).filter(
        Q(reverted_at__isnull=False) | Q(reminded_at__isnull=False)
    )


def without_report() -> list[int]:
    """Experiments that are over, whose last run is final and has no report, or none since its
    holdback said what lasts.
    """
    later = Iteration.objects.filter(
        experiment=OuterRef("experiment"),
        number__gt=OuterRef("iteration__number"),
        started_at__isnull=False,
    )
    final = good_runs().filter(
        experiment__status__in=ENDED, computed_at__gte=F("iteration__ended_at")
    )
    written_ones = ExperimentReport.objects.filter(run=OuterRef("pk"))
    lasting = Exists(ended_holdbacks().filter(rollout__iteration=OuterRef("iteration"))) & ~Exists(
        written_ones.filter(after=True)
    )
    final = final.filter(~Exists(later)).filter(~Exists(written_ones) | lasting)
    return list(final.order_by("experiment_id").values_list("experiment_id", flat=True))
