"""What may end a process, and the last chance that each end gives: to send what waits.

An interpreter that ends by itself runs ``atexit``. Others do not: workers of multiprocessing and
billiard run the finalizers of ``multiprocessing.util``, Celery's prefork workers only
``worker_process_shutdown``, and a signal that nobody handles ends the process at once. ``os._exit``
and SIGKILL give no chance: only what is on disk survives them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from types import FrameType
from typing import Protocol
from weakref import WeakSet

log = logging.getLogger("assay")

AT_EXIT = 5.0
"""Seconds that the end of a process may take for sending what waits."""
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ending(Protocol):
    """Something that has a last thing to do."""

    def last_words(self, timeout: float) -> None:
        """Send what waits, within the time; the process ends afterwards."""


_alive: WeakSet[Ending] = WeakSet()
_process_with_finalizer = [0]


def watch(one: Ending) -> None:
    """Give ``one`` its last chance at every kind of end of this process that offers one, ``atexit``
    apart.
    """
    _alive.add(one)
    _at_worker_exit()
    _at_celery_exit()


def catch_signals() -> None:
    """Send what waits before a signal ends this process. Handlers of the application's own are left
    alone.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            with contextlib.suppress(
                ValueError
            ):  # only the main thread may, and a forked child inherits it
                signal.signal(number, _at_signal)


def say_last_words() -> None:
    """For all that is watched here; one that fails does not keep the others from it."""
    for one in list(_alive):
        try:
            one.last_words(AT_EXIT)
        except Exception:
            log.exception("what waited at the end of the process could not be sent")


def _at_worker_exit() -> None:
    """Workers of multiprocessing and billiard clear the finalizers that they inherit, so each
    process registers anew.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _is_worker() and _process_with_finalizer != [os.getpid()]:
        _process_with_finalizer[:] = [os.getpid()]
        util.Finalize(None, say_last_words, exitpriority=10)


def _is_worker() -> bool:
    process, billiard = (
        sys.modules.get("multiprocessing.process"),
        sys.modules.get("billiard.process"),
    )
    if process is not None and process.parent_process() is not None:
        return True
    return billiard is not None and billiard.current_process().name != "MainProcess"


def _at_celery_exit() -> None:
    """A child of Celery's prefork pool leaves by ``os._exit`` after this signal."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(
            _celery_worker_ends, weak=False, dispatch_uid="assay-sdk"
        )


def _celery_worker_ends(**_about: object) -> None:
    say_last_words()


def _at_signal(number: int, _frame: FrameType | None) -> None:
    """The signal does what it would have done. A second one does it at once; one that was handed on
    by another handler does not.
    """
    ours = signal.getsignal(number) is _at_signal
    if ours:
        signal.signal(number, signal.SIG_DFL)
    say_last_words()
    if ours:
        os.kill(os.getpid(), number)
