"""PostgreSQL and Redis for whoever has none: started by the first user, stopped by the last one to
leave.

Every process that uses them holds a shared lock on the state folder's lease file for as long as it
does. Leaving means giving it up and trying for an exclusive one: who gets it was the last, and
stops the servers. The kernel drops a killed process's lock, so nobody's death keeps them running
for ever. ``DATABASE_URL`` and ``REDIS_URL`` each replace one of them.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.processes.embedded import place as places
from config.processes.embedded import postgres, process, redis_server
from config.processes.embedded.place import Place
from config.processes.embedded.process import ServiceError

__all__ = ["Lease", "ServiceError", "embedded", "lease"]


class Lease:
    """One process's use of the embedded servers, from ``acquire`` to ``release`` (or to its
    death).
    """

    def __init__(self, state: Path | None = None) -> None:
        self.place: Place = places.find(state or places.state_folder())
        self.wanted = [
            server
            for server, variable in ((postgres, "DATABASE_URL"), (redis_server, "REDIS_URL"))
            if not os.environ.get(variable)
        ]
        self._held: int | None = None
        self._owner = 0

    def acquire(self) -> None:
        """Start what is not running and keep it running while this process lives."""
        if not self.wanted or self._held is not None:
            return
        with self._alone():
            held = self._open("services.lease")
            fcntl.flock(held, fcntl.LOCK_SH)
            try:
                self._start()
            except BaseException:  # Ctrl-C too: what was started for nobody must not stay
                self._leave(held)
                raise
        self._held, self._owner = held, os.getpid()
        atexit.register(self.release)

    def revive(self) -> list[str]:
        """Start again what has died meanwhile; what that was."""
        died = [
            server
            for server in self.wanted
            if self._held is not None and not server.speaks(self.place)
        ]
        if died:
            with self._alone():
                if self._held is not None:  # another thread may have left while we waited
                    self._start()
        return [server.NAME for server in died]

    def release(self) -> None:
        """Leave; the last one out stops the servers. A forked child leaves nothing: its parent
        still holds the lease.
        """
        if self._held is None or self._owner != os.getpid():
            return
        held, self._held = self._held, None
        with _undisturbed(), self._alone():
            self._leave(held)

    def _leave(self, held: int) -> None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self._stop()
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)  # also for forked children, who share this lock
            os.close(held)

    def _start(self) -> None:
        _own_home(self.place)
        for server in self.wanted:
            server.start(self.place)

    def _stop(self) -> None:
        for server in (redis_server, postgres):
            server.stop_server(self.place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops."""
        lock = self._open("services.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(
                lock, fcntl.LOCK_UN
            )  # closing is not enough when a child was forked meanwhile
            os.close(lock)

    def _open(self, name: str) -> int:
        state = self.place.state
        try:
            state.mkdir(parents=True, exist_ok=True)
            return os.open(state / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceError(
                f"{state}: {error.strerror}. Point ASSAY_STATE to a folder that this user may write."
            ) from None


@contextmanager
def lease(state: Path | None = None) -> Iterator[Lease]:
    """The embedded servers for the length of a block."""
    held = Lease(state)
    held.acquire()
    try:
        yield held
    finally:
        held.release()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C waits until the servers are down; it would leave them running otherwise."""
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def embedded() -> bool:
    """Whether the database is one of ours, which we may migrate unasked."""
    return not os.environ.get("DATABASE_URL")


def _own_home(place: Place) -> None:
    """The servers' folder; when it had to go elsewhere, a link in the state folder says where."""
    place.state.mkdir(parents=True, exist_ok=True)
    process.own_folder(place.home, place.user)
    if place.relocated:
        link = place.state / "services"
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(place.home)
