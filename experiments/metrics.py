"""What Prometheus is told by serving and planning. Labels come from rows or fixed words, never from
users.
"""

from __future__ import annotations

import atexit
import collections
import threading
from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from experiments.core.serving.evaluation import Served

EXPOSURES_DROPPED = Counter(
    "assay_exposures_dropped_total",
    "Exposures that could not be written to the spool; nobody will count them.",
)
CLIENT_ROWS_DROPPED = Counter(
    "assay_client_rows_dropped_total",
    "Exposures of client keys above their caps, which were not stored.",
)
EXPOSURES_REJECTED = Counter(
    "assay_exposures_rejected_total",
    "Spooled exposures that could not be stored; kept in rejected.txt.",
)

VARIANTS_ASSIGNED = Counter(
    "experiment_variant_assigned_total",
    "Answers that gave a unit a variant, and exposures that applications reported.",
    ["experiment", "variant"],
)
ASSIGNMENT_ANSWERS = Counter(
    "assay_assignments_total",
    "Answers of the doors that assign, by the step that decided.",
    ["reason"],
)
_WEB = ["process"]
"""Only a web process tells these. A gauge without labels is a 0 of every process that imports it,
workers and beat included.
"""
CATALOGUE_VERSION = Gauge(
    "assay_catalogue_version",
    "Version of the catalogue being served.",
    _WEB,
    multiprocess_mode="livemin",
)
CATALOGUE_STALE = Gauge(
    "assay_catalogue_stale",
    "1 while the newest catalogue cannot be asked for.",
    _WEB,
    multiprocess_mode="livemax",
)


def tell_catalogue(version: int, *, stale: bool) -> None:
    """Say what this web process serves."""
    CATALOGUE_VERSION.labels("web").set(version)
    CATALOGUE_STALE.labels("web").set(stale)


_MANY = 20_000
"""So many are told in about a millisecond, for which others wait."""
_heard: list[Served] = []
_telling = threading.Lock()


def count_answers(answers: Iterable[Served]) -> None:
    """Count answers by the step that decided, and by the variant that they gave.

    They are only noted here, since telling Prometheus of one costs more than deciding it; whoever
    polls for a newer catalogue, or is scraped, tells them (``tell_answers``). A killed process
    takes a second's worth along.
    """
    _heard.extend(answers)
    if len(_heard) > _MANY:
        tell_answers()


def tell_answers() -> None:
    """Let Prometheus know of all answers noted so far."""
    with _telling:
        taken = _heard[: len(_heard)]
        del _heard[: len(taken)]
    # By identity, since comparing answers costs more than counting them.
    times_of, told = collections.Counter(map(id, taken)), set[int]()
    for served in taken:
        if len(told) == len(times_of):
            break
        if id(served) not in told:
            told.add(id(served))
            _tell(served, times_of[id(served)])


def _tell(served: Served, times: int) -> None:
    ASSIGNMENT_ANSWERS.labels(served.reason.value).inc(times)
    if served.variant is not None and served.experiment is not None:
        VARIANTS_ASSIGNED.labels(served.experiment, served.variant).inc(times)


atexit.register(tell_answers)
