"""What the whole demo uses while nobody asks it for anything: processor seconds a minute, and
memory.

``python -m benchmarks.bench_idle [--settle 240] [--minutes 2]``. The demo runs without traffic in a
folder of its own, with its databases. The first analyses, decisions and reports after the start do
not count. Exit code 1 when a floor is missed. Every process counts, and of those that ended in
between what they used before. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Used, command, trees, used
from benchmarks.serving.floors import Floor, table
from benchmarks.serving.place import free_port

SECONDS_A_MINUTE, MEGABYTES = 2.0, 650.0
READY = b"Assay is ready"
SECONDS_TO_LOAD = 600
PROGRAMS = {
    "postgres": "PostgreSQL", "redis-server": "Redis", "granian": "web", "drain": "drain", "--hostname worker": "worker",
    "--hostname analysis": "analysis", "beat": "beat", "keep_services": "services", "recommender": "recommender",
}  # fmt: skip
"""What a program's command line has, and what we call it; all else is the supervisor."""


@dataclass(frozen=True)
class Demo:
    """The first process of each tree: the supervisor, PostgreSQL, Redis."""

    roots: list[int]

    def used(self) -> dict[int, tuple[str, Used]]:
        """By process: its program, and what it has used."""
        return {pid: (_program(command(pid)), used(pid)) for pid in trees(self.roots)}


def main() -> int:
    """Print the table; 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settle", type=float, default=240, help="seconds before measuring begins")
    parser.add_argument("--minutes", type=float, default=2, help="how long to measure")
    asked = parser.parse_args()
    with demo() as running:
        time.sleep(asked.settle)
        before = running.used()
        time.sleep(60 * asked.minutes)
        after = running.used()
    print(_by_program(before, after, asked.minutes))
    floors = [
        Floor("processor a minute", _seconds(after) / asked.minutes - _seconds(before) / asked.minutes, SECONDS_A_MINUTE,
              least=False, form="{:.2f} s"),
        Floor("memory of all processes", sum(one.megabytes for _, one in after.values()), MEGABYTES, least=False, form="{:.0f} MB"),
    ]  # fmt: skip
    print(table(floors))
    return int(not all(floor.met for floor in floors))


@contextmanager
def demo() -> Iterator[Demo]:
    """The demo without traffic, from the moment that it answers."""
    state = Path(tempfile.mkdtemp(prefix="ab-"))
    state.chmod(0o755)
    unset = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "ASSAY_ROLE")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "ASSAY_STATE": str(state)
    }
    arguments = [sys.executable, "manage.py", "demo", "--no-traffic", "--port", str(free_port())]
    with (state / "output").open("wb") as output:
        process = subprocess.Popen(
            arguments, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, state / "output")
        yield Demo([process.pid, *_servers(state)])
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(state, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + SECONDS_TO_LOAD
    while READY not in output.read_bytes():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(
                f"the demo has not started:\n{output.read_text(errors='replace')[-2000:]}"
            )
        time.sleep(1)


def _servers(state: Path) -> list[int]:
    """The embedded servers belong to no program: they outlive whoever started them."""
    from config.processes.embedded.place import find

    home = find(state).home
    files = (home / "postgres" / "postmaster.pid", home / "redis" / "redis.pid")
    return [int(file.read_text().split()[0]) for file in files]


def _program(line: str) -> str:
    return next((name for word, name in PROGRAMS.items() if word in line), "supervisor")


def _seconds(found: Mapping[int, tuple[str, Used]]) -> float:
    return sum(one.seconds for _, one in found.values())


def _by_program(
    before: Mapping[int, tuple[str, Used]], after: Mapping[int, tuple[str, Used]], minutes: float
) -> str:
    """One line a program."""
    processes: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    megabytes: dict[str, float] = defaultdict(float)
    for pid, (name, now) in after.items():
        processes[name] += 1
        seconds[name] += (
            now.seconds - (before[pid][1].seconds if pid in before else 0.0)
        ) / minutes
        megabytes[name] += now.megabytes
    head = f"{'program':<14}{'processes':>10}{'seconds a minute':>18}{'MB':>8}"
    lines = [
        f"{name:<14}{processes[name]:>10}{seconds[name]:>18.2f}{megabytes[name]:>8.0f}"
        for name in sorted(processes)
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    sys.exit(main())
