"""What processes use, as Linux counts it in ``/proc``."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """Processor seconds so far, those of children that have ended included, and megabytes (PSS:
    each shared page once).
    """

    seconds: float
    megabytes: float


def trees(roots: Iterable[int]) -> list[int]:
    """These processes with all that they started and that still lives."""
    children, found = _children(), list(dict.fromkeys(roots))
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in found]
    return found


def used(pid: int) -> Used:
    """Nothing of a process that has ended."""
    try:
        return Used(_seconds(pid), _megabytes(pid))
    except (FileNotFoundError, ProcessLookupError):
        return Used(0.0, 0.0)


def command(pid: int) -> str:
    """Its command line; empty when it has ended."""
    try:
        return (
            (_PROC / str(pid) / "cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _children() -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(_stat(int(folder.name))[1])].append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _stat(pid: int) -> list[str]:
    """What follows the name, which may hold anything."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _seconds(pid: int) -> float:
    return sum(int(ticks) for ticks in _stat(pid)[11:15]) / _TICKS


def _megabytes(pid: int) -> float:
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
