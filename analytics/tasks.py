"""Wake-ups of the learning side. A lost message costs one tick; a repeated one costs a look at the claimed slot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from celery import shared_task
from django.conf import settings

from analytics.core.scans import night_of
from analytics.selectors import due, reports
from analytics.selectors.ramps import ramping
from analytics.services import counting, holdbacks, refusals, watches
from analytics.services.analysis import analyse
from analytics.services.dark_health import watch_dark_launch
from analytics.services.decisions import decide, iterations_with_pending
from analytics.services.ramps import move_ramp
from analytics.services.reports import write_report
from analytics.services.scanning import scan, scan_pairs
from experiments.core.clock import utc_now
from experiments.services import work
from experiments.services.answers import forget_old_answers
from experiments.services.slots import claim, forget_old_slots, slot_of

TRIM_SECONDS = 60
COUNT_SECONDS = 15


@shared_task(name="analytics.tasks.analyse_due")
def analyse_due() -> None:
    """Analyse what runs, check what is in dark launch, and freeze what has ended."""
    now = utc_now()
    for experiment_id in due.running():
        _once(now, "analyse", experiment_id, lambda pk: analyse(pk, now=now, may_look=True))
    for experiment_id in due.in_dark_launch():
        _once(now, "watch_dark_launch", experiment_id, lambda pk: watch_dark_launch(pk, now=now))
    for experiment_id in due.ended_without_final_run():
        _once(now, "analyse", experiment_id, lambda pk: analyse(pk, now=now))
    if claim(now, task="forget_old_slots", slot=slot_of(now, seconds=3600)):
        forget_old_slots(now)
        forget_old_answers(now)


@shared_task(name="analytics.tasks.count_told")
def count_told() -> None:
    """Count again what was told of everything that runs; each experiment as often as counting it is cheap."""
    now = utc_now()
    if claim(now, task="count_told", slot=slot_of(now, seconds=COUNT_SECONDS)):
        counting.count_all(now)


@shared_task(name="analytics.tasks.decide_due")
def decide_due() -> None:
    """Carry out decisions that stand, then move the ramps of what goes on."""
    now = utc_now()
    for iteration_id in iterations_with_pending():
        _once(now, "decide", iteration_id, lambda pk: decide(pk, now=now))
    for experiment_id in ramping():
        _once(now, "move_ramp", experiment_id, lambda pk: move_ramp(pk, now=now))


@shared_task(name="analytics.tasks.watch_promotions")
def watch_promotions() -> None:
    """Read every holdback, take back what harms, and say when the old code may go."""
    now = utc_now()
    for rollout_id in due.held_back(now):
        _once(now, "read_holdback", rollout_id, lambda pk: holdbacks.read(pk, now=now))
    for rollout_id in due.old_code(now):
        _once(now, "remind_old_code", rollout_id, lambda pk: holdbacks.remind(pk, now=now))


@shared_task(name="analytics.tasks.write_due_reports")
def write_due_reports() -> None:
    """Write the report of every experiment that is over and has none yet."""
    now = utc_now()
    for experiment_id in reports.due():
        _once(now, "write_report", experiment_id, lambda pk: write_report(pk, now=now))


@shared_task(name="analytics.tasks.scan_due")
def scan_due() -> None:
    """Once a night: scan every experiment, and ask every pair of concurrent ones. The next tick makes up for a night that was missed."""
    now = utc_now()
    night = night_of(now)
    for experiment_id in due.to_scan(night):
        _once(now, "scan", experiment_id, lambda pk: scan(pk, now=now))
    if due.pairs_to_scan(night):
        _once(now, "scan_pairs", night.toordinal(), lambda _: scan_pairs(now=now))


@shared_task(name="analytics.tasks.trim_tail")
def trim_tail() -> int:
    """Keep what the live tail shows small. Says how many rows went."""
    now = utc_now()
    if not claim(now, task="trim_tail", slot=slot_of(now, seconds=TRIM_SECONDS)):
        return 0
    return refusals.trim(now) + watches.trim(now)


def _once(now: datetime, task: str, pk: int, what: Callable[[int], object]) -> None:
    """One worker does it per tick."""
    work.once(now, task, pk, slot_of(now, seconds=settings.ANALYSE_SECONDS), what)
