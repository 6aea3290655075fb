"""The threads of a web process: decisions have some of their own, so that nothing that waits for a
database holds them up.

Requests are given to a pool whole, body included: what a thread does with one depends on no client.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

import structlog

from config import env

log = structlog.get_logger(__name__)
Job = Callable[[], None]

DECISIONS = (
    *(
        "/api/v1/assignments",
        "/ofrep/",
        "/api/v1/experiments/get-variant",
        "/api/v1/catalogue",
        "/api/v1/explain",
    ),
    *("/api/features/", "/api/eval/", "/livez"),
)
"""What addresses of doors begin with that need no database; a test compares them with the doors."""
WATCHES = ("/metrics", "/readyz")
DURABLE = b"durable"
"""A body that holds this word may ask for an exposure that is stored before it is answered."""


class Pool:
    """So many threads that do one job after the other."""

    def __init__(self, name: str, threads: int) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def give(self, job: Job) -> None:
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # one request must not end the thread of all others
                log.exception("a request failed outside of Django")
            # An idle thread keeps no request in memory.
            del job


@dataclass(frozen=True)
class Pools:
    """Decisions, everything else, and whoever watches over the process. The database's are fewer
    than the decisions'.
    """

    decisions: Pool
    others: Pool
    watches: Pool

    @classmethod
    def of(cls, threads: int) -> Pools:
        return cls(Pool("decide", threads), Pool("answer", max(1, threads - 1)), Pool("watch", 2))

    def for_request(self, path: str, body: bytes) -> Pool:
        if path.startswith(DECISIONS):
            return self.others if DURABLE in body else self.decisions
        return self.watches if path.startswith(WATCHES) else self.others


def configured() -> Pools:
    """As many as the stack says."""
    return Pools.of(env.integer("ASSAY_THREADS", 8))
