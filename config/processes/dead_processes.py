"""Values of processes that have ended, in the folder that all processes of a machine share: none of
them may speak for the living.

A process that is killed leaves its files behind. Its counters stay, since what they counted has
happened; its gauges go. Celery's and granian's processes run no exit hooks that could do it, so
each scrape looks.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

_GAUGE = re.compile(r"gauge_live[a-z]*_(\d+)\.db\Z")
_TICKS = os.sysconf("SC_CLK_TCK")


def forget_dead(folder: str) -> None:
    """Take away the gauges of every process that has ended."""
    for file in Path(folder).iterdir():
        found = _GAUGE.match(file.name)
        if found is not None and not _wrote(int(found[1]), file):
            mark_process_dead(int(found[1]), folder)  # type: ignore[no-untyped-call]  # the library has no types here


def _wrote(pid: int, file: Path) -> bool:
    """Whether the process of this number is alive and is the one that wrote the file: numbers are
    used again.
    """
    try:
        written = file.stat().st_mtime
        # The command's name may hold spaces and brackets; the start, in ticks since boot, is the
        # 20th field after it.
        began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / _TICKS
        booted = float(
            next(
                line
                for line in Path("/proc/stat").read_text().splitlines()
                if line.startswith("btime")
            ).split()[1]
        )
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (OSError, ValueError, IndexError, StopIteration):
        return _lives(pid)
    return booted + began <= written + 2  # the boot's time is told in whole seconds


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
