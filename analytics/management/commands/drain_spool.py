from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from analytics.services import drain

AFTER_THE_ANSWERS = 19
"""How much this process gives way to those that answer applications on the same processors."""


class Command(BaseCommand):
    help = "Store queued exposures, until it is stopped. `runstack` runs it beside its web processes."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, lambda *_: stop.set())
        _give_way()
        drain.drain_until(stop)


def _give_way() -> None:
    os.nice(AFTER_THE_ANSWERS)
    if os.getsid(0) == os.getpid():
        # Where Linux groups processes by session, niceness counts within a session alone; that of a whole one is its leader's to lower.
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(AFTER_THE_ANSWERS))
