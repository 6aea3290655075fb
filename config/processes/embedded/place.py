"""Where the embedded servers keep their data and sockets, and as whom they run.

The answer depends on the state folder, this user and folder permissions only, so that settings know
the addresses before anything runs and every process agrees on them.

PostgreSQL refuses to run as root. As root the servers therefore run as somebody unprivileged, who
may be unable to reach the checkout (a home folder is often 0700). Nothing up the tree is opened for
them: their data then lives in a folder of its own under /var/tmp, named after the state folder.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PROJECT = Path(__file__).resolve().parents[3]
APP_ROLE = "assay_app"
_LONGEST_SOCKET = 100
"""sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included."""


@dataclass(frozen=True)
class User:
    """The unprivileged user that root hands the servers to."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Place:
    """Everything about one state folder's servers that can be known before they run."""

    state: Path
    home: Path
    sockets: Path
    user: User | None

    @property
    def database_url(self) -> str:
        """As the owner of the tables."""
        return f"postgresql://assay@{quote(str(self.sockets), safe='')}/assay"

    @property
    def app_url(self) -> str:
        """As the application's role, which cannot change what only grows."""
        return f"postgresql://{APP_ROLE}@{quote(str(self.sockets), safe='')}/assay"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}?db=0"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    @property
    def postgres_socket(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    @property
    def relocated(self) -> bool:
        return self.home != self.state / "services"


def state_folder() -> Path:
    """The project's state folder: ASSAY_STATE, else .state beside manage.py."""
    return Path(os.environ.get("ASSAY_STATE") or PROJECT / ".state").expanduser().resolve()


def find(state: Path) -> Place:
    """Where this state folder's servers live; looks, but changes nothing."""
    user = _server_user(state) if os.geteuid() == 0 else None
    home = state / "services"
    if user is not None and not reaches(user, state):
        home = Path("/var/tmp") / f"assay-{_mark(state)}"
    return Place(state=state, home=home, sockets=_sockets(home), user=user)


def reaches(user: User, path: Path) -> bool:
    """Whether this user may walk down to the path; parts that do not exist yet do not stand in the
    way.
    """
    return all(_may_enter(user, folder) for folder in [path, *path.parents] if folder.is_dir())


def _sockets(home: Path) -> Path:
    usual = home / "run"
    if len(os.fsencode(usual / ".s.PGSQL.5432.lock")) < _LONGEST_SOCKET:
        return usual
    return Path("/tmp") / f"assay-run-{os.geteuid()}-{_mark(home)}"


def _mark(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _server_user(state: Path) -> User:
    """Whoever already owns the data or the folders above it, so that root and owner may take turns;
    else postgres, else nobody.
    """
    for path in (state / "services" / "postgres", state, *state.parents):
        if path.exists():
            owner = path.stat().st_uid
            if owner != 0:
                return _by_uid(owner)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    return User("nobody", 65534, 65534)


def _by_uid(uid: int) -> User:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(str(uid), uid, uid)
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _may_enter(user: User, folder: Path) -> bool:
    facts = folder.stat()
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == user.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)
