"""Everything that runs, as one process tree in the foreground: web, worker, beat, and what keeps
embedded servers up.
"""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError

from config.celery_settings import QUICK, SLOW
from config.database import VARIABLE as WAITS
from config.processes import services, standing
from config.processes.supervisor import Program, Supervisor
from config.roles import JOB, VARIABLE, Job, ProcessRole

_SECONDS_TO_READY = 60
CONNECTIONS = "4096"
"""That a web process keeps at once, slow ones included; they cost memory, no thread."""


@dataclass(frozen=True)
class Web:
    """Where the web process listens, with how many threads, and what for."""

    host: str
    port: int
    workers: int = 1
    threads: int = 8
    role: ProcessRole = ProcessRole.ALL
    hands: int = 2
    """Processes of each of the two workers."""

    @property
    def url(self) -> str:
        shown = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"


@dataclass
class Stack:
    """Named programs, and what to tell whoever started them once the web process answers."""

    web: Web
    programs: dict[str, Program] = field(default_factory=dict)
    greeting: Sequence[str] = ()

    def run(self) -> int:
        """Run until somebody asks to stop, or all of them keep failing; the exit code."""
        with standing.written(settings.STATE) as tell:
            supervisor = Supervisor(self.programs, tell=tell)
            if "web" in self.programs:
                threading.Thread(target=self._announce, args=[supervisor], daemon=True).start()
            return supervisor.run()

    def _announce(self, supervisor: Supervisor) -> None:
        if ready(self.web.url, _SECONDS_TO_READY):
            place = "/api/v1/" if self.web.role is ProcessRole.SERVE else "/admin/"
            for line in (
                f"Assay is ready: {self.web.url}{place}   (Ctrl-C stops it)",
                *self.greeting,
            ):
                supervisor.say(line)
        else:
            supervisor.say(
                f"{self.web.url}/readyz has not answered 200 for {_SECONDS_TO_READY} s; see the lines above."
            )


def refuse_taken_port(web: Web) -> None:
    """Name a port that somebody has, before anything is started."""
    if error := taken(web):
        raise CommandError(_port_message(web, error))


def taken(web: Web) -> OSError | None:
    """Why nobody can listen there; None where somebody can."""
    try:
        family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((web.host, web.port))
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _port_message(web: Web, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = web.port + 1
        return f"Port {web.port} on {web.host} is taken. Choose another one: make demo PORT={other}, or manage.py runstack --port {other}."
    return f"Cannot listen on {web.host}:{web.port}: {error.strerror or error}."


def prepare(*, migrate: bool) -> None:
    """Have database, folders and static files prepared by a process of its own, which loads more
    than a supervisor needs.
    """
    if code := subprocess.run(
        manage("prepare_stack", *(["--migrate"] if migrate else [])), check=False
    ).returncode:
        raise SystemExit(code)  # it has said why


GIVES_BACK = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "1000000"}
"""For processes that work now and then: the memory of the last work goes back to the system. glibc
reads these; without them it learns from large arrays to keep up to 64 MB. The web process is left
out: it would fetch it again at once."""


def stack(web: Web, only: Sequence[str] = ()) -> Stack:
    """Web, the two workers and beat, or only those named; with web its drainer, with embedded
    servers also what brings those back.
    """
    environment = _environment()
    of_worker = GIVES_BACK | {WAITS: "worker", JOB: Job.WORK}
    everything = {
        "web": Program(_web(web), environment | _of_web(web)),
        "drain": Program(manage("drain_spool"), environment | GIVES_BACK | {WAITS: "drain"}),
        "worker": Program(_worker("worker", QUICK, web.hands), environment | of_worker),
        "analysis": Program(_worker("analysis", SLOW, web.hands), environment | of_worker),
        "beat": Program(_beat(), environment | GIVES_BACK | {WAITS: "beat"}),
    }
    wanted = {*only, "drain"} if "web" in only else {*only}
    chosen = {name: program for name, program in everything.items() if not only or name in wanted}
    if services.Lease().wanted:
        chosen["services"] = Program(
            [sys.executable, "-m", "config.processes.keep_services"], environment
        )
    return Stack(web=web, programs=chosen)


def manage(*arguments: str) -> list[str]:
    """A command line for one of our own commands."""
    return [sys.executable, str(settings.PROJECT / "manage.py"), *arguments]


def ready(url: str, seconds: float) -> bool:
    """Whether /readyz answers 200 before the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _web(web: Web) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "rsgi",
            "--host",
            web.host,
            "--port",
            str(web.port),
        ),
        *("--workers", str(web.workers), "--loop", "asyncio", "--no-ws", "--log-level", "error"),
        *("--backlog", CONNECTIONS, "--backpressure", CONNECTIONS),
        *("--workers-kill-timeout", "4", "--respawn-failed-workers", "config.web.rsgi:application"),
    ]


def _of_web(web: Web) -> dict[str, str]:
    """The pool is the web process's: a worker forks, and a pool's connections do not survive that.

    Left alone, each of its threads would keep freed memory of its own (``MALLOC_ARENA_MAX``).
    """
    waits = "serve" if web.role is ProcessRole.SERVE else "web"
    database = {
        "ASSAY_DB_POOL": str(web.threads),
        "ASSAY_DB_TURNS": str(max(1, web.threads // 2)),
        WAITS: waits,
    }
    return {
        **database,
        "ASSAY_THREADS": str(web.threads),
        VARIABLE: web.role,
        JOB: Job.ANSWER,
        "MALLOC_ARENA_MAX": "2",
        "ASSAY_DRAIN_BESIDE": "1",
    }


def _worker(name: str, queues: Sequence[str], hands: int) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "celery",
            "--quiet",
            "-A",
            "config.celery",
            "worker",
            "--queues",
            ",".join(queues),
        ),
        *("--hostname", f"{name}@%h", "--concurrency", str(hands)),
        *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    ]


def _beat() -> list[str]:
    return [sys.executable, "-m", "config.processes.beat"]


def _environment() -> dict[str, str]:
    return {
        "PYTHONUNBUFFERED": "1",
        # Root is how containers and fresh machines run it; messages are JSON, the danger meant is
        # pickle.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        "PYTHONPATH": str(settings.PROJECT),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        VARIABLE: ProcessRole.ALL,
        "ASSAY_STATE": str(settings.STATE),
        "ASSAY_SPOOL": str(settings.SPOOL),
        "ASSAY_CATALOGUE_DIR": str(settings.CATALOGUE_DIR),
        "ASSAY_STATIC": str(settings.STATIC_ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(_empty(settings.STATE / "prometheus")),
    }


def _empty(folder: Path) -> Path:
    """Metrics files of processes long gone would be counted again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
