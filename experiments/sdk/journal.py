"""Files of what was told and has not arrived yet: each item is in one before the call that told it
returns.

A process writes files of its own and holds a lock on each; when it dies, however it dies, the locks
are free and any other process of the application takes the files over. A file is removed when all
its items have arrived. Nothing is forced onto the disk itself (``fsync``): a process that is killed
loses nothing, a machine that loses its power may. Nothing here raises: without the files, items are
kept in memory alone.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: items are written when the client is closed
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("assay")

_FULL = 4 * 1024 * 1024
"""Bytes after which a process begins another file."""
_MOST_BYTES = 256 * 1024 * 1024
_MOST_FILES = 10_000
"""Of all processes together: a server that stays away must not fill the disk."""
_MOST_OPEN = 64
"""Files of other processes that are taken over at the same time."""


@dataclass(eq=False)
class JournalFile:
    """One file and how many of its items have not arrived."""

    path: Path
    descriptor: int
    waiting: int = 0
    size: int = 0


@dataclass(frozen=True)
class Adopted:
    """The items of a file whose process has ended."""

    segment: JournalFile
    items: tuple[tuple[str, bytes], ...]


class Journal:
    """The files of one server and key in one folder. The caller lets one thread at a time in,
    except into ``adopt``.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self._folder, self._mark = folder, mark
        self._current: JournalFile | None = None
        self._open: set[JournalFile] = set()
        self._failing = False

    def write(self, kind: str, item: bytes, *, last: bool = False) -> JournalFile | None:
        """Put an item on disk; ``None``: it is in memory alone, which is logged once. ``last``: the
        process ends now.
        """
        if fcntl is None and not last:
            return None
        try:
            segment = self._writable()
            _append(segment, kind.encode() + b" " + item + b"\n")
        except OSError as error:
            if not self._failing:
                log.warning(
                    "%s cannot be written, so items wait in memory only: %r", self._folder, error
                )
            self._failing = True
            return None
        self._failing = False
        segment.waiting += 1
        return segment

    def settle(self, segment: JournalFile) -> None:
        """One of its items has arrived or was given up; the last of them empties the file or
        removes it.
        """
        segment.waiting -= 1
        if segment.waiting > 0:
            return
        if segment is self._current and segment.size < _FULL:
            _empty(segment)
        else:
            self._remove(segment)

    def adopt(self) -> Iterator[Adopted]:
        """The files of processes that have ended, a bounded number of them at a time."""
        for path in self._files():
            if len(self._open) >= _MOST_OPEN:
                return
            found = self._taken_over(path)
            if found is not None:
                yield found

    def close(self) -> None:
        """Let go of all files; those that hold items are the next process's."""
        for segment in list(self._open):
            if segment.waiting > 0:
                self._let_go(segment)
            else:
                self._remove(segment)

    def after_fork(self) -> None:
        """The files are the parent's, and so are their locks, which closing a copy of a descriptor
        leaves alone.
        """
        for segment in list(self._open):
            self._let_go(segment)
        self._failing = False

    # ---------------------------------------------------------------- files

    def _writable(self) -> JournalFile:
        if self._current is None or self._current.size >= _FULL:
            self._current = self._created()
            self._open.add(self._current)
        return self._current

    def _created(self) -> JournalFile:
        """A new file, locked before any other process can see its name."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_room()
        name = uuid.uuid4().hex
        beside, path = (
            self._folder / f".told-{name}",
            self._folder / f"unsent-{self._mark}-{name}.jsonl",
        )
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        try:
            _lock(descriptor)
            beside.rename(path)
        except OSError:
            os.close(descriptor)
            beside.unlink(missing_ok=True)
            raise
        return JournalFile(path, descriptor)

    def _check_room(self) -> None:
        files = self._files()
        held = sum(path.stat().st_size for path in files if path.exists())
        if len(files) >= _MOST_FILES or held >= _MOST_BYTES:
            raise OSError(f"{len(files):,} files of {held:,} bytes wait in it already")

    def _taken_over(self, path: Path) -> Adopted | None:
        """The file, unless its process lives or another one has it."""
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDWR)
            _lock(descriptor)
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise FileNotFoundError(path)
            items = tuple(_items(path.read_bytes()))
        except OSError as error:
            if not isinstance(error, FileNotFoundError | BlockingIOError):
                log.warning("%s cannot be taken over: %r", path, error)
            if descriptor is not None:
                os.close(descriptor)
            return None
        segment = JournalFile(path, descriptor, waiting=len(items))
        self._open.add(segment)
        if not items:
            self._remove(segment)
            return None
        return Adopted(segment, items)

    def _remove(self, segment: JournalFile) -> None:
        segment.path.unlink(missing_ok=True)
        self._let_go(segment)

    def _let_go(self, segment: JournalFile) -> None:
        self._open.discard(segment)
        if segment is self._current:
            self._current = None
        os.close(segment.descriptor)

    def _files(self) -> list[Path]:
        try:
            return sorted(self._folder.glob(f"unsent-{self._mark}-*.jsonl"))
        except OSError:
            return []


def _lock(descriptor: int) -> None:
    """Raises ``BlockingIOError`` while another process holds the file."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _append(segment: JournalFile, line: bytes) -> None:
    """The whole line or nothing of it, on a full disk too."""
    if os.write(segment.descriptor, line) != len(line):
        os.ftruncate(segment.descriptor, segment.size)
        raise OSError("there is no room for the whole item")
    segment.size += len(line)


def _empty(segment: JournalFile) -> None:
    try:
        os.ftruncate(segment.descriptor, 0)
        segment.size = 0
    except OSError as error:  # what it holds is sent once more by the next process, and counts once
        log.warning("%s cannot be emptied: %r", segment.path, error)


def _items(text: bytes) -> Iterator[tuple[str, bytes]]:
    for line in text.splitlines():
        kind, _, item = line.partition(b" ")
        yield kind.decode("ascii", "replace"), item
