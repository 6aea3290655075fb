"""``runstack`` is one tree of processes: however it ends, nothing of it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT
from config.processes.embedded.process import wait_for
from config.processes.stack import ready
from tests.config.test_command_line import environment, port  # noqa: F401  (port is a fixture)
from tests.config.test_services import processes_of, state_folder


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """One folder for all: a stack also starts where the one before it was killed."""
    with state_folder() as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_runstack__asked_to_stop_or_killed__leaves_no_process(
    state: Path, port: int, how: signal.Signals
) -> None:
    with (state / "out").open("w+") as out:
        stack = subprocess.Popen(
            [sys.executable, "manage.py", "runstack", "--port", str(port)],
            cwd=PROJECT,
            env=environment(state),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            assert ready(f"http://127.0.0.1:{port}", 60), (state / "out").read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/") as page:
                assert page.status == 200
            assert {"granian", "worker", "beat"} <= set(named_after(state))
        finally:
            stack.send_signal(how)
            try:
                stack.wait(30)
            finally:
                stack.kill()  # a stack that did not hear must not outlive the test
    assert wait_for(lambda: not named_after(state) and not processes_of(state), 15), named_after(
        state
    ) + processes_of(state)
    assert stack.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 0)


def named_after(state: Path) -> list[str]:
    """What of web, worker and beat runs with this state folder in its environment."""
    mark = f"ASSAY_STATE={state}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                words = (word.removeprefix("config.processes.") for word in line)
                found += [word for word in words if word in {"granian", "worker", "beat"}]
        except OSError:
            continue
    return found
