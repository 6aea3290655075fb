"""Starting, recognising and stopping a server process that outlives whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from config.processes.embedded.place import Place, User, reaches


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class ServiceError(Exception):
    """An embedded server cannot be had; the message says what to do."""


def own_folder(path: Path, user: User | None) -> Path:
    """A folder only the server's user may enter. A stranger's folder of that name is refused, not
    used.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = user.uid if user else os.geteuid()
    facts = path.lstat()
    if path.is_symlink() or facts.st_uid not in {wanted, os.geteuid()}:
        raise ServiceError(
            f"{path} belongs to somebody else (user {facts.st_uid}). Remove it, or point ASSAY_STATE to a folder of yours."
        )
    if user:
        os.chown(path, user.uid, user.gid)
    path.chmod(0o700)
    return path


@dataclass(frozen=True)
class Bundle:
    """Programs inside installed packages: the folder the packages are in, and the folders below it
    that belong together.
    """

    base: Path
    folders: tuple[Path, ...]
    programs: frozenset[str]

    def original(self, name: str) -> Path:
        """The program as whoever installed it reaches it."""
        return self.base / self.folders[0] / "bin" / name

    def program(self, name: str, place: Place) -> Path:
        """The program where the server's user can reach it: where it is, or in a copy of the bundle
        beside the data.
        """
        original = self.original(name)
        if place.user is None or reaches(place.user, original.parent):
            return original
        return self._copy(place, place.user) / self.folders[0] / "bin" / name

    def _copy(self, place: Place, user: User) -> Path:
        """Named after the original's age, so that a new version is copied anew; side by side, as
        programs look for libraries there.
        """
        made = int((self.base / self.folders[0]).stat().st_mtime)
        copy = place.home / "programs" / f"{self.folders[0].name}-{made}"
        if not copy.exists():
            draft = copy.with_name(f"{copy.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            for folder in self.folders:
                if (self.base / folder).is_dir():
                    shutil.copytree(
                        self.base / folder, draft / folder, symlinks=True, ignore=self._not_needed
                    )
            for path in (draft.parent, draft, *draft.rglob("*")):
                os.chown(
                    path, user.uid, user.gid, follow_symlinks=False
                )  # whatever root's umask kept from others
            draft.rename(copy)
        return copy

    def _not_needed(self, folder: str, names: list[str]) -> set[str]:
        """Two thirds of the bundle are for building programs and for administering by hand."""
        if Path(folder).name == "bin":
            return set(names) - self.programs
        return {
            name
            for name in names
            if name in {"include", "pkgconfig", "__pycache__"} or name.endswith(".a")
        }


def spawn(command: Sequence[str | Path], user: User | None, log: Path) -> int:
    """Start a server in a session of its own (a terminal's Ctrl-C passes it by), output to its log;
    its process id.

    A shell in between makes it nobody's child: it outlives us, and we need not collect it when
    another process stops it.
    """
    with log.open("ab") as out:
        started = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            check=True,
            **_as(user),
        )
    return int(started.stdout)


def run(command: Sequence[str | Path], user: User | None) -> str:
    """Run a short program as the server's user; what it printed, or a refusal with its own
    words.
    """
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        check=False,
        **_as(user),
    )
    if done.returncode:
        raise ServiceError(
            f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-800:]}"
        )
    return done.stdout


def runs(pid: int | None, token: str) -> bool:
    """Whether a live process of this id shows the token on its command line (elsewhere than Linux:
    whether it lives).
    """
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if not Path("/proc/self").exists():
        return True
    try:
        return (
            token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        )  # empty once it has ended
    except OSError:
        return False


def stop(pid: int, token: str, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds for the process to go."""
    for number, seconds in signals:
        if not runs(pid, token):
            return
        os.kill(pid, number)
        if wait_for(lambda: not runs(pid, token), seconds):
            return


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask every few milliseconds until yes or until the time is up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def first_line(path: Path) -> int | None:
    """The process id in a pid file."""
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def tail(path: Path, lines: int = 12) -> str:
    """The end of a log, for the message that a start failed."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGPORT and its like would change what the server does."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _as(user: User | None) -> _Identity:
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
