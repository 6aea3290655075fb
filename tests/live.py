"""A live installation for tests: granian on a port of its own, with a database, a spool and files
of its own.

``live`` is one for the whole session of a worker; ``installation`` makes another one, of another
role or with other settings. Tests speak to it over HTTP as applications do, so they share its rows:
give experiments and units names of the test's own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.processes.services import Lease
from tests import databases
from tests.places import ROOT

POLL_MARGIN = 1.5
"""Seconds within which every web process has asked for something newer."""
# Keys of every scope for production, and of the serving scopes for test; printed as the last line.
# The first one to ask also collects the static files of all installations.
_KEYS = """
import fcntl, json, django
django.setup()
from django.conf import settings
from django.contrib.auth.models import Group, User
from config.web import static_files
from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.services.people.keys import create_key
with open(f"{settings.STATIC_ROOT}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    static_files.collect()
owner, _ = User.objects.get_or_create(username="olga")
owner.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
kinds = [(scope, Environment.PRODUCTION) for scope in Scope] + [(s, Environment.TEST) for s in (Scope.SERVER, Scope.CLIENT)]
name = lambda scope, environment: scope.value if environment is Environment.PRODUCTION else f"test {scope.value}"
make = lambda s, e: create_key(SYSTEM, utc_now(), name=name(s, e), scope=s, environment=e, owner=owner)[1]
print(json.dumps({name(*kind): make(*kind) for kind in kinds}))
"""


@dataclass(frozen=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Live:
    """A running installation. ``keys`` by scope (``server``, ``client``, …), for the test
    environment ``test server``, ``test client``.
    """

    host: str
    port: int
    state: Path
    environment: Mapping[str, str]
    database_url: str
    process: subprocess.Popen[bytes] | None = None
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "server",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; ``body`` is sent as it is when bytes, else as JSON. ``key`` names one of
        ``keys``, or is a key's text.
        """
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {self.keys.get(key, key)}"
        data = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def post(self, path: str, body: object = None, **named: Any) -> Answer:
        return self.ask("POST", path, {} if body is None else body, **named)

    def get(self, path: str, **named: Any) -> Answer:
        return self.ask("GET", path, **named)

    def manage(self, method: str, path: str, body: object = None) -> Any:
        """A request with the management key that must succeed; its JSON."""
        answer = self.ask(method, path, {} if body is None else body, key="management")
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer.json()

    def flag(self, key: str, **fields: Any) -> Any:
        """Issue a flag; served once ``settle`` has returned."""
        return self.manage("POST", "/api/v1/flags", {"key": key} | fields)

    def experiment(self, name: str, *, start: bool = True, **fields: Any) -> Any:
        """An experiment with two even arms (or the ``variants`` given), started; served once
        ``settle`` has returned.
        """
        halves = [
            {"name": "control", "traffic_allocation": 50},
            {"name": "treatment", "traffic_allocation": 50},
        ]
        made = self.manage(
            "POST",
            "/api/v1/experiments",
            {"name": name, "variants": halves, "traffic_allocation": 1.0} | fields,
        )
        return self.manage("POST", f"/api/v1/experiments/{name}/start") if start else made

    def settle(self, seconds: float = 15) -> None:
        """Wait until every web process serves what the tables hold."""
        version = (
            self.sql("SELECT max(version) FROM serving_documents WHERE kind = 'catalogue'")[0][0]
            or 0
        )
        self.until_served(lambda served: served >= version, seconds)

    def until_served(self, wanted: Callable[[int], bool], seconds: float = 15) -> None:
        """Wait until every web process serves a catalogue whose version is wanted."""
        end = time.monotonic() + seconds
        while not wanted(
            served := int(
                self.post("/api/v1/assignments", {"unit": "u"}).headers.get("x-assay-catalogue", 0)
            )
        ):
            assert time.monotonic() < end, (
                f"after {seconds} s the catalogue served is still {served}"
            )
            time.sleep(0.05)
        if int(self.environment.get("LIVE_WORKERS", "1")) > 1:
            time.sleep(POLL_MARGIN)

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the installation's database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute(query, parameters or None)
            return found.fetchall() if found.description else []

    def python(self, program: str, *arguments: str) -> str:
        """Run a program with the installation's settings; what it printed."""
        command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log(self) -> str:
        """What its processes printed."""
        return (self.state / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the web process (again) and wait until it answers."""
        web = [
            sys.executable,
            "-W",
            "ignore",
            "manage.py",
            "runstack",
            "--only",
            "web",
            "--port",
            str(self.port),
        ]
        web += [
            word
            for name in self.environment.get("LIVE_ALSO", "").split()
            for word in ("--only", name)
        ]
        bound = [
            sys.executable,
            "config/bound.py",
            str(os.getpid()),
            *web,
            "--workers",
            self.environment.get("LIVE_WORKERS", "1"),
        ]
        with (self.state / "log").open("ab") as log:
            self.process = subprocess.Popen(
                bound,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < end, (
                f"the live server does not answer:\n{self.log()}"
            )
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the web process; the database and all files stay."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)  # a busy machine
            self.process = None

    def _answers(self) -> bool:
        try:
            return self.get("/livez", key=None).status == 200
        except OSError:
            return False


@contextmanager
def installation(
    services: Lease, base_url: str, redis_url: str, *, workers: int = 1, **environment: str
) -> Iterator[Live]:
    """An installation of its own on the session's PostgreSQL and Redis servers; ``environment``
    adds settings (``ASSAY_ROLE="serve"``).

    Its processes use the application's role where there are two roles; ``Live.database_url`` names
    the owner.
    """
    state = Path(tempfile.mkdtemp(prefix="lv-", dir="/tmp"))
    name = f"live_{os.getpid()}_{state.name[3:].lower()}"
    databases.copy_of_migrated(name)
    database_url = databases.named(databases.owner_url(), name)
    own = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ASSAY_STATE": str(state),
        "ASSAY_SPOOL": str(state / "spool"),
        "ASSAY_CATALOGUE_DIR": str(state / "catalogue"),
        "ASSAY_STATIC": str(_static()),
        "DATABASE_URL": databases.named(base_url, name),
        "DATABASE_OWNER_URL": database_url,
        "REDIS_URL": redis_url,
        "LIVE_WORKERS": str(workers),
    }
    live = Live("127.0.0.1", _free_port(), state, own | environment, database_url)
    try:
        live.keys = json.loads(live.python(_KEYS).splitlines()[-1])
        live.start()
        yield live
    finally:
        live.stop()
        databases.drop(name)
        shutil.rmtree(state, ignore_errors=True)


def _static() -> Path:
    """The static files of all installations, collected where the database is migrated."""
    from django.conf import settings

    return Path(settings.STATE) / "static-of-tests"


@pytest.fixture(scope="session")
def live(services: Lease, redis_url: str) -> Iterator[Live]:
    """One installation for all tests of this worker that ask for it."""
    from django.conf import settings

    with installation(services, settings.DATABASE_URL, redis_url) as running:
        yield running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
