"""Working after the answers: in a thread of its own with the lowest priority, or with the usual one
when there is a hurry.

On Linux niceness belongs to a thread, and only a privileged process may lower it again. So the
thread that waits keeps its own, and each piece of work runs in a new thread that gives way or does
not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LEAST = 19
"""How much work without a hurry gives way to those that answer applications on the same processors.
"""
_AUTOGROUP = Path("/proc/self/autogroup")
Work = Callable[[], object]


def run(work: Work, *, hurry: bool) -> None:
    """Run it to its end in a thread; whatever it raises is raised here."""
    raised: list[BaseException] = []

    def in_thread() -> None:
        try:
            if not hurry:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST)
            work()
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits for the thread)
            raised.append(error)

    _set_group(0 if hurry else LEAST)
    thread = threading.Thread(target=in_thread, name="spool-drain-pass")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def _set_group(niceness: int) -> None:
    """Where Linux groups processes by session, niceness counts within a session alone; that of a
    whole one is its leader's to set.

    Anybody may set it to 0 and more, ten times a second.
    """
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _AUTOGROUP.write_text(str(niceness))
