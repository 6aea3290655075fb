"""The exposure spool: one append per request with queued exposures, to a file that belongs to this
process.

A file carries its writer's lock for as long as it may be written to. Whoever drains takes a file
only when its lock is free: its writer has turned to a new file, or is dead. So a killed process
loses nothing that it had appended, and the answer that caused an exposure waits for no database.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings

from experiments.core.errors import AssayError
from experiments.core.serving.exposure import QueuedExposure, to_line
from experiments.metrics import EXPOSURES_DROPPED
from experiments.services.ground.turns import TurnKind, turn

log = structlog.get_logger(__name__)

DurableSink = Callable[[Sequence[QueuedExposure], datetime], None]
ROTATE_BYTES = 16_000_000
"""A file that has grown to this is left for a new one even when nobody drains."""
SUFFIX = ".jsonl"
_SINCE = "since"
"""Marks, in a file's name, the time from which lines that were put back into the spool have waited.
"""
_COMPLAIN_SECONDS = 10.0
_RECKON_SECONDS = 1.0
"""While the spool is full, its size is looked at again this often."""

_lock = threading.Lock()
_sink: DurableSink | None = None


@dataclass
class _Open:
    """The file this process now writes to."""

    fd: int
    path: Path
    size: int = 0


_open: _Open | None = None
_full_until = 0.0
_complained_at = -_COMPLAIN_SECONDS


@dataclass(frozen=True)
class SpoolBacklog:
    """What lies in the spool: files, their bytes, and the seconds that the oldest exposure has
    waited (0 when there is none).
    """

    files: int = 0
    bytes: int = 0
    oldest_seconds: float = 0.0


def append(exposure: QueuedExposure) -> bool:
    """Queue an exposure. False when it had to be dropped, which is counted and never raised."""
    return append_lines([to_line(exposure)])


def append_lines(lines: Sequence[bytes]) -> bool:
    """Queue exposures written as lines, all in one write; False when they had to be dropped."""
    with _lock:
        try:
            _write(b"".join(lines))
        except OSError as error:
            EXPOSURES_DROPPED.inc(len(lines))
            _complain(error)
            return False
    return True


def put_back(lines: Sequence[bytes], since: float) -> bool:
    """Queue lines again that could not be stored yet; they have waited since then (seconds since
    1970).

    The file's place in the order stays that of a new file, so lines that cannot be stored hold up
    nobody. Its name also has the earlier time, so ``lying`` says how long they have really waited.
    """
    with _lock:
        try:
            _write(b"".join(lines))
            _remember(since)
        except OSError as error:
            _complain(error)
            return False
    return True


def _remember(since_then: float) -> None:
    """Write the time into the name of the file that is open now, unless it already has an earlier
    one.
    """
    if _open is None or since(_open.path) <= since_then:
        return
    name = _open.path.name.removesuffix(SUFFIX).split(f"-{_SINCE}")[0]
    _open.path = _open.path.rename(_open.path.with_name(f"{name}-{_SINCE}{since_then:.6f}{SUFFIX}"))


def _complain(error: OSError) -> None:
    """Once in a while: a log of every drop would fill the next disk."""
    global _complained_at
    if time.monotonic() - _complained_at >= _COMPLAIN_SECONDS:
        _complained_at = time.monotonic()
        log.warning("exposure_dropped", error=str(error), spool=str(settings.SPOOL))


def set_durable_sink(sink: DurableSink | None) -> None:
    """Wire what records exposures at once; config does, since analytics lies above this."""
    global _sink
    _sink = sink


def record_durably(exposures: Sequence[QueuedExposure], now: datetime) -> None:
    """Record exposures before returning; raises when they could not be committed."""
    if _sink is None:
        raise AssayError(
            "durable exposures: no sink is wired in this process; use exposure=queued",
            code="not_available",
        )
    with turn(TurnKind.STORE):
        _sink(exposures, now)


def release() -> Path | None:
    """Leave the present file, if it holds anything, to whoever drains; says which it was."""
    with _lock:
        return _leave()


def waiting() -> list[Path]:
    """The spool's files, oldest first; those still being written to are among them."""
    try:
        return sorted(folder().glob("*" + SUFFIX))
    except OSError:
        return []


def lying() -> SpoolBacklog:
    """How much waits, for those who watch."""
    found = [(path, size) for path in waiting() if (size := _size(path))]
    if not found:
        return SpoolBacklog()
    oldest = min(since(path) for path, _ in found)
    return SpoolBacklog(len(found), sum(size for _, size in found), max(0.0, time.time() - oldest))


def age(path: Path) -> float:
    """Seconds since it was begun, which its name has: a file that still grows is no younger for
    it.
    """
    return max(0.0, time.time() - _begun(path))


def since(path: Path) -> float:
    """When the exposure that has waited longest in this file was queued, in seconds since 1970."""
    _, marked, earlier = path.name.removesuffix(SUFFIX).rpartition(_SINCE)
    try:
        return float(earlier) if marked else _begun(path)
    except ValueError:
        return _begun(path)


def _begun(path: Path) -> float:
    try:
        return float(path.name.split("-", 1)[0])
    except ValueError:
        return time.time()


def _size(path: Path) -> int:
    """0 for a file that was drained meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def adopted(path: Path) -> Iterator[int | None]:
    """A file descriptor with the file's lock, or ``None`` when its writer lives, another drains it,
    or it is gone.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd if _take(fd) and os.fstat(fd).st_nlink else None
    finally:
        os.close(fd)


def folder() -> Path:
    """Where the files lie; made on first use, for this user alone."""
    place = Path(settings.SPOOL)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _write(line: bytes) -> None:
    if _open is not None and _open.size >= ROTATE_BYTES:
        _leave()
    target = _open or _begin()
    written = write_at_once(target.fd, line)
    if written != len(line):
        # A torn line would swallow the next one.
        os.ftruncate(target.fd, target.size)
        raise OSError(f"wrote {written} of {len(line)} bytes")
    target.size += written


_libc = ctypes.PyDLL(None, use_errno=True)
_libc.write.argtypes, _libc.write.restype = (
    (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t),
    ctypes.c_ssize_t,
)


def write_at_once(fd: int, data: bytes) -> int:
    """``os.write`` that keeps the interpreter's lock: half a microsecond into the page cache is not
    worth two changes of threads.
    """
    written: int = _libc.write(fd, data, len(data))
    if written < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return written


def _begin() -> _Open:
    """A new file, locked before anybody can find it: a drainer would otherwise take and delete it
    while empty.
    """
    global _open
    _refuse_when_full()
    name = f"{time.time():.6f}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    hidden = folder() / (name + ".new")
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        path = folder() / (name + SUFFIX)
        hidden.rename(path)
    except BaseException:
        os.close(fd)
        raise
    _open = _Open(fd=fd, path=path)
    return _open


def _refuse_when_full() -> None:
    """The spool may not eat the disk that everything else needs: after hours without PostgreSQL,
    new exposures are dropped and counted.
    """
    global _full_until
    if time.monotonic() >= _full_until:
        if lying().bytes < settings.SPOOL_MAX_BYTES:
            return
        _full_until = time.monotonic() + _RECKON_SECONDS
    raise OSError(
        errno.EDQUOT,
        f"the spool holds {settings.SPOOL_MAX_BYTES:,} bytes, which is its limit (ASSAY_SPOOL_MAX_BYTES)",
    )


def _leave() -> Path | None:
    global _open
    if _open is None or not _open.size:
        return None
    left, _open = _open, None
    os.close(left.fd)
    return left.path


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _forget_after_fork() -> None:
    """A child writes to a file of its own; the parent's stays locked by the parent."""
    global _open, _lock
    _lock = threading.Lock()
    if _open is not None:
        os.close(_open.fd)
        _open = None


os.register_at_fork(after_in_child=_forget_after_fork)
