"""Beat with a memory of nothing: the table is fixed, what is due stands in the database."""

from __future__ import annotations

from celery.beat import Scheduler


class StaticScheduler(Scheduler):
    """Ticks of the beat table, kept in memory; so there is no schedule file to lose, corrupt or leave behind."""

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)
