"""Wake-ups of the learning side. A lost message costs one tick; a repeated one costs a look at the
claimed slot.

Wake-ups look what is due and end soon: they run beside planned starts, decisions and notices. What
reads many rows is sent on, one message for each piece, to a worker that does nothing else; so the
worker for wake-ups never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from celery import shared_task
from django.conf import settings

from analytics.core.scans.nights import night_of
from analytics.selectors import due
from analytics.selectors.ramps import ramping
from analytics.selectors.reporting.finished import without_report
from analytics.selectors.stored import mark
from analytics.services.analysis import counting, standings, unchanged
from analytics.services.analysis.decisions import decide, iterations_with_pending
from analytics.services.analysis.ramps import move_ramp
from analytics.services.ingest import days_ahead, refusals, watches
from analytics.services.writing import sealing
from experiments.core.clock import utc_now
from experiments.services.ground import due_work
from experiments.services.ground.idempotency import forget_old_answers
from experiments.services.ground.slots import claim, forget_old_slots, slot_of

TRIM_SECONDS = 60
DAYS_SECONDS = 600
COUNT_SECONDS = 15
SEAL_SECONDS = 60


@dataclass(frozen=True)
class SlowWork:
    """A kind of slow work: what it is, the queue of its messages, and who hears of a run that was
    lost.

    ``again``: from when on it is worth doing again although nothing was stored (at the latest after
    an hour).
    """

    work: Callable[[int, datetime], object]
    queue: str = "analyse"
    told: Callable[[int, datetime, str], object] | None = None
    again: Callable[[int, datetime], datetime | None] = lambda pk, now: None


def _analyse(pk: int, now: datetime) -> object:
    from analytics.services.analysis.analysis import analyse

    return analyse(pk, now=now, may_look=True)


def _note_lost(pk: int, now: datetime, why: str) -> None:
    from analytics.services.analysis.analysis import note_lost

    note_lost(pk, why, now=now)


def _after_analysis(pk: int, now: datetime) -> datetime | None:
    from analytics.selectors.moments import next_of_analysis

    return next_of_analysis(pk, now)


def _watch_dark_launch(pk: int, now: datetime) -> object:
    from analytics.services.analysis.dark_health import watch_dark_launch

    return watch_dark_launch(pk, now=now)


def _after_dark_check(pk: int, now: datetime) -> datetime | None:
    from analytics.selectors.moments import next_of_dark_launch

    return next_of_dark_launch(pk, now)


def _read_holdback(pk: int, now: datetime) -> object:
    from analytics.services.analysis.holdbacks import read

    return read(pk, now=now)


def _remind(pk: int, now: datetime) -> object:
    from analytics.services.analysis.holdbacks import remind

    return remind(pk, now=now)


def _write_report(pk: int, now: datetime) -> object:
    from analytics.services.writing.reports import write_report

    return write_report(pk, now=now)


def _scan(pk: int, now: datetime) -> object:
    from analytics.services.analysis.scanning import scan

    return scan(pk, now=now)


def _scan_pairs(_: int, now: datetime) -> object:
    from analytics.services.analysis.scanning import scan_pairs

    return scan_pairs(now=now)


SLOW: Mapping[str, SlowWork] = {
    "analyse": SlowWork(_analyse, told=_note_lost, again=_after_analysis),
    "watch_dark_launch": SlowWork(_watch_dark_launch, again=_after_dark_check),
    "read_holdback": SlowWork(_read_holdback),
    "write_report": SlowWork(_write_report, "reports"),
    "scan": SlowWork(_scan, "reports"),
    "scan_pairs": SlowWork(_scan_pairs, "reports"),
    "keep_standings": SlowWork(lambda _, now: standings.refresh(now)),
}
"""Work that reads many rows. Each piece is a message of its own, on queues that no wake-up waits
in.
"""


@shared_task(name="analytics.tasks.do_slow_work")
def do_slow_work(kind: str, subject: int) -> bool:
    """One piece of slow work. A message of an earlier tick, or one that came twice, finds its slot
    claimed.
    """
    now, slow = utc_now(), SLOW[kind]
    told = None if slow.told is None else partial(_tell, slow.told, now)
    before = mark()
    done = due_work.once(now, kind, subject, _slot(now), lambda pk: slow.work(pk, now), told=told)
    if done:
        unchanged.note(kind, subject, before, now, slow.again(subject, now))
    return done


def _tell(
    told: Callable[[int, datetime, str], object], now: datetime, subject: int, why: str
) -> None:
    told(subject, now, why)


@shared_task(name="analytics.tasks.analyse_due")
def analyse_due() -> None:
    """Have analysed what runs, checked what is in dark launch, and frozen what has ended. What
    would say the same is left out.
    """
    now = utc_now()
    _send("analyse", unchanged.due("analyse", due.least_recent_first(due.running()), now))
    _send("watch_dark_launch", unchanged.due("watch_dark_launch", due.in_dark_launch(), now))
    _send("analyse", due.least_recent_first(due.ended_without_final_run()))
    _send("keep_standings", [0] if standings.outdated(now) else [])
    if claim(now, task="forget_old_slots", slot=slot_of(now, seconds=3600)):
        forget_old_slots(now)
        forget_old_answers(now)


@shared_task(name="analytics.tasks.count_told")
def count_told() -> None:
    """Count again what was told of everything that runs; each experiment as often as counting it is
    cheap.
    """
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
    """Have every holdback read, what harms taken back, and say when the old code may go."""
    now = utc_now()
    _send("read_holdback", unchanged.due("read_holdback", due.held_back(now), now))
    for rollout_id in due.old_code(now):
        _once(now, "remind_old_code", rollout_id, lambda pk: _remind(pk, now))


@shared_task(name="analytics.tasks.write_due_reports")
def write_due_reports() -> None:
    """Have the report written of every experiment that is over and has none yet."""
    _send("write_report", without_report())


@shared_task(name="analytics.tasks.scan_due")
def scan_due() -> None:
    """Once a night: have every experiment scanned, and every pair of concurrent ones.

    The next tick makes up for a night that was missed.
    """
    night = night_of(utc_now())
    _send("scan", due.to_scan(night))
    if due.pairs_to_scan(night):
        _send("scan_pairs", [night.toordinal()])


@shared_task(name="analytics.tasks.make_days_ahead")
def make_days_ahead() -> int:
    """Have the next days' partitions before anybody writes to them. Says how many were made."""
    now = utc_now()
    if not claim(now, task="make_days_ahead", slot=slot_of(now, seconds=DAYS_SECONDS)):
        return 0
    return days_ahead.make_days_ahead(now)


@shared_task(name="analytics.tasks.trim_tail")
def trim_tail() -> int:
    """Keep what the live tail shows small. Says how many rows went."""
    now = utc_now()
    if not claim(now, task="trim_tail", slot=slot_of(now, seconds=TRIM_SECONDS)):
        return 0
    return refusals.trim(now) + watches.trim(now)


def _send(kind: str, subjects: Iterable[int]) -> None:
    """One message each, in this order. Those that nobody took within the tick are dropped; the next
    tick sends them again.
    """
    for subject in subjects:
        do_slow_work.apply_async(
            args=[kind, subject], queue=SLOW[kind].queue, expires=settings.ANALYSE_SECONDS
        )


def _once(now: datetime, task: str, pk: int, what: Callable[[int], object]) -> None:
    """One worker does it per tick."""
    due_work.once(now, task, pk, _slot(now), what)


def _slot(now: datetime) -> str:
    return slot_of(now, seconds=settings.ANALYSE_SECONDS)


@shared_task(name="analytics.tasks.seal_audit")
def seal_audit() -> int:
    """Seal the audit rows that were committed since the last tick. Says how many."""
    now = utc_now()
    if not claim(now, task="seal_audit", slot=slot_of(now, seconds=SEAL_SECONDS)):
        return 0
    return sealing.seal(now)
