"""What slow work has seen."""

from __future__ import annotations

from django.db import models


class SlowWorkDone(models.Model):
    """A piece of slow work that came to its end: by ``mark`` what was stored then, and when time
    alone makes it worth doing again.

    ``confirmed_at``: since then nothing that it reads was stored or changed, so its answer is still
    the one that it would give.
    """

    kind = models.CharField(max_length=40)
    subject = models.BigIntegerField()
    mark = models.CharField(max_length=80)
    done_at = models.DateTimeField()
    again_at = models.DateTimeField()
    confirmed_at = models.DateTimeField()

    class Meta:
        db_table = "slow_work_done"
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], name="slow_work_done_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
