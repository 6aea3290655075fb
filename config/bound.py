"""Run a command that ends with whoever started it: ``python config/bound.py PARENT COMMAND …``.

Linux tells the command (SIGTERM) when its parent dies, even by kill -9; elsewhere the command just
runs. A program in between, since what a threaded process does between fork and exec can hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            sys.exit(128 + signal.SIGTERM)
    os.execvp(command[0], command)  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main()
