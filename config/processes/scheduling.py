"""How Linux shares processors between the threads that answer applications. Elsewhere nothing
happens.
"""

from __future__ import annotations

import os
from contextlib import suppress


def answer_undisturbed() -> None:
    """For a process whose threads each work for a fraction of a millisecond: none of them cuts in
    on another amid its work.

    Usually a thread that wakes interrupts the one that runs. When that one holds the interpreter's
    lock, all of its process waits until it runs again. Threads started later inherit this.
    """
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
