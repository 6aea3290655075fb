"""Remove what the commands have made: .venv, caches, and the state folder with its databases."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from config.processes.embedded import place

STATE = (
    "spool",
    "catalogue",
    "static",
    "prometheus",
    "uv",
    "node",
    "secret_key",
    "services",
    "services.lease",
    "services.lock",
)
CACHES = (
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".import_linter_cache",
    ".hypothesis",
)


def main() -> None:
    state = place.state_folder()
    try:
        used = in_use(state / "services.lease")
    except OSError as error:
        sys.exit(f"make clean: {state} is not ours to remove ({error.strerror}).")
    if used:
        sys.exit(
            f"make clean: something still runs on {state}. Stop it first (Ctrl-C where it runs)."
        )
    here = place.find(state)
    ours = [
        here.home,
        here.sockets,
        *(state / name for name in STATE),
        *(place.PROJECT / name for name in CACHES),
    ]
    for path in (*ours, *place.PROJECT.rglob("__pycache__")):
        remove(path)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()


def remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def in_use(lease: Path) -> bool:
    """Whether some process holds the services' lease."""
    if not lease.exists():
        return False
    with lease.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    main()
