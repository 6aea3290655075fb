"""The beat table: which task is woken how often.

Times come from the database, never from here: a tick says "look whether something is due", and the
task claims ``(task, slot)`` in a unique row, so that several beats do no harm. Intervals, not
crontabs: beat then needs no memory of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from config import env

Queue = Literal["decide", "ingest", "analyse", "reports"]
QUICK: tuple[Queue, ...] = ("decide", "ingest")
"""Wake-ups, planned starts and ends, decisions, ramps, notices: a worker of their own, which never
analyses.
"""
SLOW: tuple[Queue, ...] = ("analyse", "reports")
"""Analyses, scans and reports, one message for each experiment."""
TICK_SECONDS = env.integer("ASSAY_TICK_SECONDS", 30 if env.flag("ASSAY_DEMO", False) else 300)
"""How often beat has experiments analysed and decisions carried out."""


@dataclass(frozen=True)
class Tick:
    """One line of the beat table: the task's full name, seconds between wake-ups, its queue."""

    task: str
    seconds: int
    queue: Queue = "decide"


BEAT: tuple[Tick, ...] = (
    # experiments.tasks
    Tick("experiments.tasks.honour_planned_start_end", 10),
    Tick("experiments.tasks.publish_expired", 10),
    Tick("experiments.tasks.deliver_notifications", 10),
    # analytics.tasks
    Tick("analytics.tasks.analyse_due", TICK_SECONDS),
    Tick("analytics.tasks.decide_due", TICK_SECONDS),
    Tick("analytics.tasks.watch_promotions", TICK_SECONDS),
    Tick("analytics.tasks.write_due_reports", TICK_SECONDS),
    Tick("analytics.tasks.scan_due", TICK_SECONDS),
    Tick("analytics.tasks.trim_tail", 60, "ingest"),
    Tick("analytics.tasks.make_days_ahead", 600, "ingest"),
    Tick("analytics.tasks.count_told", 15, "reports"),
    Tick("analytics.tasks.seal_audit", 60, "ingest"),
)


def broker_url(redis_url: str) -> str:
    """Redis's address in Celery's spelling, which names sockets and their databases differently."""
    if not redis_url.startswith("unix://"):
        return redis_url
    parts = urlsplit(redis_url)
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def beat_schedule() -> dict[str, dict[str, object]]:
    """The table as Celery wants it; a tick nobody took within its interval is dropped, the next one
    is as good.
    """
    return {
        tick.task: {
            "task": tick.task,
            "schedule": float(tick.seconds),
            "options": {"queue": tick.queue, "expires": float(tick.seconds)},
        }
        for tick in BEAT
    }
