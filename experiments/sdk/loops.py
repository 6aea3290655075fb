"""A background thread that does one thing again and again, and can be woken or ended."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from experiments.sdk import forks

log = logging.getLogger("assay")

_AFTER_A_FAULT = 30.0
LONGEST_PAUSE = 300.0


def jittered(seconds: float) -> float:
    """About this long; many processes that began together drift apart."""
    return seconds * random.uniform(0.8, 1.2)


def backed_off(seconds: float, failures: int) -> float:
    """Twice as long after each further failure, up to five minutes, jittered."""
    return jittered(min(LONGEST_PAUSE, seconds * 2 ** min(failures, 20)))


class Loop:
    """Calls ``step`` and sleeps for as long as it says. Started by whoever first needs it, in each
    process anew.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._name, self._step = name, step
        self._ended = False
        self._begin()
        forks.watch(self)

    def _begin(self) -> None:
        self.running = False
        self._lock = threading.Lock()
        self._wake = threading.Event()

    after_fork = _begin

    def start(self) -> None:
        """Begin, unless it runs in this process already or was ended."""
        with self._lock:
            if not self.running and not self._ended:
                self.running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def wake(self) -> None:
        """Take the next step now."""
        self._wake.set()

    def end(self) -> None:
        """No further step; one that is under way finishes by itself."""
        self._ended = True
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            try:
                pause = self._step()
            except (
                Exception
            ):  # a thread that ends would freeze the catalogue or lose events in silence
                log.exception("%s failed", self._name)
                pause = jittered(_AFTER_A_FAULT)
            self._wake.wait(pause)
            self._wake.clear()
