"""Brings embedded servers back when they die: ``python -m config.processes.keep_services``, until
SIGTERM.

It holds a lease of its own. When the supervisor is killed outright, this is who leaves last and
stops the servers.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

from config.processes import services
from config.processes.embedded.process import wait_for

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_DIE = 0.5


def main() -> None:
    supervisor = os.getppid()
    signal.signal(signal.SIGTERM, _leave)
    with services.lease() as lease:
        try:
            while True:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                look_after(lease)
        finally:
            # A killed process of several threads dies piecemeal, and its lock goes with the last of
            # them.
            wait_for(lambda: os.getppid() != supervisor, _SECONDS_TO_DIE)


def look_after(lease: services.Lease) -> None:
    """One look; a server that cannot be had is named, and tried again at the next one."""
    try:
        if back := lease.revive():
            print(
                f"{' and '.join(back)} had died and {'is' if len(back) == 1 else 'are'} back.",
                flush=True,
            )
    except services.ServiceError as error:
        print(error, file=sys.stderr, flush=True)


def _leave(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Linux says it once for each of the threads
    raise SystemExit(0)


if __name__ == "__main__":
    main()
