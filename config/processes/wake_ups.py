"""Beat's scheduler: a table in memory, and no traceback per tick while Redis is away."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import Scheduler, SchedulingError

log = structlog.get_logger(__name__)


class StaticScheduler(Scheduler):
    """Ticks of the beat table, kept in memory; so there is no schedule file to lose, corrupt or
    leave behind.
    """

    unsent = False

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:  # Any: as Celery passes them
        """Send a wake-up. While Redis is away this fails at each tick; one line says when that
        begins, and one when it ends.
        """
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not self.unsent:
                log.warning(
                    "wake_ups_not_sent",
                    task=entry.name,
                    reason=str(error),
                    note="beat tries again at every tick",
                )
            self.unsent = True
            return
        if self.unsent:
            log.warning("wake_ups_sent_again", task=entry.name)
        self.unsent = False
