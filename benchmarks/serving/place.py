"""A database with experiments, keys to it, and servers on it, in a folder that is gone
afterwards.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.processes.supervisor import Program

APPLICATION = "benchmarks.serving.wsgi:application"
WORKERS = 2
MOST = 500
"""Experiments that have rows, whether served or not."""


@dataclass(frozen=True)
class Place:
    """Where everything lies, and the text of a server key."""

    state: Path
    key: str

    def publish(self, experiments: int) -> None:
        """Serve the first so many experiments, from the next poll on."""
        from benchmarks.serving import documents
        from experiments.core.serving import catalogue_parsing as catalogues
        from experiments.models import ServingDocument

        newest = ServingDocument.objects.filter(kind="catalogue").order_by("-version").first()
        version = 1 if newest is None else newest.version + 1
        body = catalogues.canonical(documents.document_of(experiments, version)).decode()
        digest = hashlib.sha256(body.encode()).hexdigest()
        ServingDocument.objects.create(
            kind="catalogue", version=version, sha256=digest, body=body, built_at=documents.NOW
        )


@dataclass(frozen=True)
class Server:
    """A running web process: its port, and the processes that answer."""

    port: int
    pid: int

    def workers(self) -> list[int]:
        children = (
            int(child)
            for tasks in Path(f"/proc/{self.pid}/task").glob("*/children")
            for child in tasks.read_text().split()
        )
        return [
            child
            for child in children
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def processor_seconds(self) -> float:
        """What its workers have used of a processor so far."""
        return (
            sum(
                _used(task)
                for pid in self.workers()
                for task in Path(f"/proc/{pid}/task").iterdir()
            )
            / 1e9
        )

    def megabytes(self) -> float:
        """What its largest worker holds in memory."""
        return max(_resident(pid) for pid in self.workers())


@contextmanager
def ground() -> Iterator[Path]:
    """Servers and empty tables of its own, in this folder. Sets Django up: nothing may have done so
    before.
    """
    state = Path(tempfile.mkdtemp(prefix="ab-"))
    state.chmod(0o755)
    os.environ.update(
        {
            "ASSAY_STATE": str(state),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ASSAY_LOG_LEVEL": "ERROR",
        }
    )
    for variable in ("DATABASE_URL", "REDIS_URL", "ASSAY_ROLE"):
        os.environ.pop(variable, None)
    import django

    django.setup()
    from config.processes import services, stack

    try:
        with services.lease():
            stack.prepare(migrate=True)
            yield state
    finally:
        shutil.rmtree(state, ignore_errors=True)


@contextmanager
def place(experiments: int = 50) -> Iterator[Place]:
    """A ground with rows, a key to it, and so many experiments served."""
    with ground() as state:
        _rows()
        made = Place(state, _key())
        made.publish(experiments)
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(place: Place, role: str, workers: int = WORKERS) -> Iterator[Server]:
    """The stack's own web process in this role, with the empty view beside its doors."""
    from config.processes import stack
    from config.roles import ProcessRole

    port = free_port()
    web = stack.Web("127.0.0.1", port, workers=workers, role=ProcessRole(role))
    programs = stack.stack(web, ["web"]).programs
    # Each stack drains what it queued itself, and does not work for another one that is being
    # measured.
    counters, spool = (
        tempfile.mkdtemp(prefix=f"{role}-", dir=place.state),
        place.state / f"spool-{role}",
    )
    own = {"PROMETHEUS_MULTIPROC_DIR": counters, "ASSAY_SPOOL": str(spool)}
    with _running(programs["web"], own) as process, _running(programs["drain"], own):
        if not stack.ready(web.url, 60):
            raise RuntimeError(f"the {role} process has not answered /readyz for a minute")
        time.sleep(2)  # the other worker may still be starting
        yield Server(port, process.pid)


@contextmanager
def _running(program: Program, own: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        APPLICATION if word == "config.web.rsgi:application" else word for word in program.command
    ]
    process = subprocess.Popen(
        command, env=os.environ | program.environment | own, stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _rows() -> None:
    """Flags, experiments, variants and iterations as their documents name them."""
    from django.contrib.auth.models import User

    from benchmarks.serving import documents
    from experiments.models import Experiment, Flag, Iteration, Policy, Variant

    now, owner, policy = (
        documents.NOW,
        User.objects.create(username="bench"),
        Policy.objects.filter(is_default=True).get(),
    )
    numbers = range(MOST)
    flags = Flag.objects.bulk_create(Flag(key=f"flag-{n}", created_at=now) for n in numbers)
    Experiment.objects.bulk_create(
        Experiment(
            pk=n + 1, key=documents.experiment_key(n), name=f"Experiment {n}", flag=flags[n], owner=owner, policy=policy,
            status="running", unit_type="user", created_at=now, updated_at=now,
        )
        for n in numbers
    )  # fmt: skip
    Variant.objects.bulk_create(
        Variant(
            pk=documents.variant_id(n, arm),
            experiment_id=n + 1,
            key=name,
            name=name.title(),
            is_control=arm == 0,
            position=arm,
            weight=500,
        )
        for n in numbers
        for arm, name in enumerate(documents.ARMS)
    )
    Iteration.objects.bulk_create(
        Iteration(
            pk=n + 1,
            experiment_id=n + 1,
            number=1,
            design={},
            design_sha256="",
            policy_rules={},
            traffic=1000,
            began_at=now,
            started_at=now,
        )
        for n in numbers
    )


def _key() -> str:
    from django.contrib.auth.models import User

    from experiments.core.clock import utc_now
    from experiments.core.types import SYSTEM, Scope
    from experiments.services.people.keys import create_key

    return create_key(
        SYSTEM, utc_now(), name="bench", scope=Scope.SERVER, owner=User.objects.get()
    )[1]


def _used(task: Path) -> int:
    """Nanoseconds that a thread has run; none when it has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int((task / "schedstat").read_text().split()[0])
    return 0


def _resident(pid: int) -> float:
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024
