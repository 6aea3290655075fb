"""A gate before a server: while it is shut, nobody gets through and whoever was inside is thrown
out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Gate:
    """Passes bytes between a TCP port of its own and what ``reach`` connects to."""

    reach: Callable[[], socket.socket]
    port: int = 0
    passing: threading.Event = field(default_factory=threading.Event)
    """Cleared, it lets everybody in and says nothing to them: a server that hangs."""
    _listener: socket.socket | None = None
    _inside: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Let them in."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self.passing.set()
        threading.Thread(target=self._welcome, args=[listener], daemon=True).start()

    def shut(self) -> None:
        """Refuse everybody, at once."""
        self.passing.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            for one in self._inside:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._inside.clear()

    def _welcome(self, listener: socket.socket) -> None:
        while True:
            try:
                guest, _ = listener.accept()
            except OSError:
                return
            host = self.reach()
            with self._lock:
                self._inside |= {guest, host}
            threading.Thread(target=self._lead, args=[guest, host], daemon=True).start()

    def _lead(self, guest: socket.socket, host: socket.socket) -> None:
        back = threading.Thread(target=_carry, args=[host, guest, self.passing], daemon=True)
        back.start()
        _carry(guest, host, self.passing)
        back.join()
        with self._lock:
            self._inside -= {guest, host}
        guest.close()
        host.close()


def _carry(source: socket.socket, sink: socket.socket, passing: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            passing.wait()
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def to_unix(path: str) -> Callable[[], socket.socket]:
    """Reach a server on a unix socket."""

    def reach() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made

    return reach
