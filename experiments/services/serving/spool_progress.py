"""How far a file of the spool has been stored, so that a killed drainer's successor goes on from
there.

The number of bytes lies in a small file beside the spooled one. It is written after the commit: a
kill between the two stores one batch again, which counts nothing twice. It only saves work, so a
disk that refuses it stops nobody.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SUFFIX = ".done"
_DIGITS = 20


def stored_bytes(path: Path) -> int:
    """Bytes from the beginning that are committed; 0 where nothing says so, or what is said is not
    the end of a line.
    """
    try:
        done = int(_beside(path).read_bytes())
        return done if _ends_a_line(path, done) else 0
    except (OSError, ValueError):
        return 0


def keep(path: Path, done: int) -> None:
    """Write down that so many bytes are committed, in one write that a kill cannot tear."""
    with suppress(OSError):
        fd = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, b"%0*d\n" % (_DIGITS, done), 0)
        finally:
            os.close(fd)


def finish(path: Path) -> None:
    """Remove a file that is stored to its end. The number goes first: left alone it would lie there
    for ever.
    """
    _beside(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _ends_a_line(path: Path, done: int) -> bool:
    if done <= 0:
        return False
    with path.open("rb") as file:
        file.seek(done - 1)
        return file.read(1) == b"\n"
