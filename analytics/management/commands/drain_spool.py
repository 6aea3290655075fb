from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from analytics.services.ingest import drain, giving_way


class Command(BaseCommand):
    help = "Store queued exposures, after the answers, until it is stopped. `runstack` runs it beside its web processes."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, lambda *_: stop.set())
        drain.drain_until(stop, lambda work, hurry: giving_way.run(work, hurry=hurry))
