"""What Prometheus is told by serving and planning. Labels come from rows or fixed words, never from users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import Counter, Gauge

from experiments.core.evaluation import Served

EXPOSURES_DROPPED = Counter("assay_exposures_dropped_total", "Exposures that could not be written to the spool; nobody will count them.")
EXPOSURES_REJECTED = Counter("assay_exposures_rejected_total", "Spooled exposures that could not be stored; kept in rejected.txt.")

VARIANTS_ASSIGNED = Counter("experiment_variant_assigned_total", "Answers that gave a unit a variant.", ["experiment", "variant"])
ASSIGNMENT_ANSWERS = Counter("assay_assignments_total", "Answers of the doors that assign, by the step that decided.", ["reason"])
CATALOGUE_VERSION = Gauge("assay_catalogue_version", "Version of the catalogue being served.", multiprocess_mode="livemin")
CATALOGUE_STALE = Gauge("assay_catalogue_stale", "1 while the newest catalogue cannot be asked for.", multiprocess_mode="livemax")


def count_answers(answers: Iterable[Served]) -> None:
    """Count answers by the step that decided, and by the variant that they gave."""
    for served in answers:
        _answered(served.reason.value)()
        if served.variant is not None and served.experiment is not None:
            _assigned(served.experiment, served.variant)()


@cache
def _answered(reason: str) -> Callable[[], None]:
    """Found once: looking a label up costs as much as a decision."""
    return ASSIGNMENT_ANSWERS.labels(reason).inc


@cache
def _assigned(experiment: str, variant: str) -> Callable[[], None]:
    return VARIANTS_ASSIGNED.labels(experiment, variant).inc
