"""Single commands just work, runstack is one process tree, and settings stand up to production."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT
from config.processes.stack import Web
from config.processes.stack import stack as stack_of
from tests.config.test_services import processes_of, state_folder


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def environment(state: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "PYTHONWARNINGS"}
    }
    return {**kept, "ASSAY_STATE": str(state), **more}


def manage(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment(state, **more),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


ASK = "from django.contrib.auth.models import User; print('users', User.objects.count())"


@dataclass(frozen=True)
class FirstCommand:
    """A state folder that was empty, and what the first command that needed a database said in
    it.
    """

    state: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first() -> Iterator[FirstCommand]:
    with state_folder() as folder:
        yield FirstCommand(folder, manage(folder, "shell", "--no-imports", "-c", ASK))


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_single_command__nothing_configured__starts_migrates_answers_and_stops(
    first: FirstCommand,
) -> None:
    assert first.done.returncode == 0, first.done.stderr
    assert first.done.stdout.split() == ["users", "0"]
    assert "migrations applied" in first.done.stderr
    assert processes_of(first.state) == []
    second = manage(first.state, "shell", "--no-imports", "-c", ASK)
    assert second.stdout.split() == ["users", "0"]
    assert "migrations applied" not in second.stderr
    assert processes_of(first.state) == []


@pytest.mark.parametrize(
    "arguments",
    [["help"], ["check"], ["runstack", "--help"], ["makemigrations", "--check", "--dry-run"]],
)
def test_command_that_needs_no_server__starts_none(state: Path, arguments: list[str]) -> None:
    done = manage(state, *arguments)
    assert done.returncode == 0, done.stderr
    assert not (state / "services").exists()


def test_failing_command__services_are_stopped_and_its_exit_code_kept(first: FirstCommand) -> None:
    ask_and_fail = f"{ASK}; raise SystemExit(7)"
    done = manage(first.state, "shell", "--no-imports", "-c", ask_and_fail)
    assert (done.stdout.split(), done.returncode) == (["users", "0"], 7)
    assert processes_of(first.state) == []


def test_runstack__port_taken__names_it_before_anything_starts(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        number = taken.getsockname()[1]
        done = manage(state, "runstack", "--port", str(number))
    assert done.returncode != 0
    assert f"Port {number} on 127.0.0.1 is taken" in done.stderr
    assert f"PORT={number + 1}" in done.stderr
    assert not (state / "services").exists()


def test_runstack__database_that_does_not_answer__is_named_without_a_traceback(
    state: Path, port: int
) -> None:
    done = manage(
        state, "runstack", "--port", str(port), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"
    )
    assert done.returncode != 0
    assert "is DATABASE_URL right?" in done.stderr and "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_of(state) == []


def test_stack__only_the_web_process_has_a_pool__what_forks_has_none() -> None:
    programs = stack_of(Web("127.0.0.1", 1, threads=5)).programs
    assert {
        name: program.environment.get("ASSAY_DB_POOL")
        for name, program in programs.items()
        if name != "services"
    } == {
        "web": "5",
        "drain": None,
        "worker": None,
        "analysis": None,
        "beat": None,
    }


def test_stack__web_alone__has_its_drainer_beside_it__and_nobody_else_has() -> None:
    web = stack_of(Web("127.0.0.1", 1), ["web"]).programs
    assert {"web", "drain"} == set(web) - {"services"}
    assert web["web"].environment["ASSAY_DRAIN_BESIDE"] == "1"
    assert "drain" not in stack_of(Web("127.0.0.1", 1), ["worker"]).programs


def test_check_deploy__production_environment__is_clean(state: Path) -> None:
    production = {
        "ASSAY_SECRET_KEY": "k7" * 40 + "!aBcDeFgHiJ",
        "ASSAY_HOSTS": "assay.example.org",
        "ASSAY_HTTPS": "1",
        "DATABASE_URL": "postgresql://assay:p%40ss@db.example.org/assay",
        "REDIS_URL": "redis://redis.example.org:6379/0",
    }
    done = manage(state, "check", "--deploy", "--fail-level", "ERROR", **production)
    assert done.returncode == 0, done.stderr
    # This database does not answer, so the check cannot say who has an account, and says so.
    assert re.findall(r"\(([a-z.]+\.[A-Z]\d+)\)", done.stderr) == ["assay.W002"]


def test_check_deploy__without_https__fails(state: Path) -> None:
    done = manage(state, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode != 0
    assert "SECURE_SSL_REDIRECT" in done.stderr


def test_wrongly_spelt_switch__is_refused_by_name(state: Path) -> None:
    done = manage(state, "check", ASSAY_DEBUG="maybe")
    assert done.returncode != 0
    assert "ASSAY_DEBUG: wanted one of 1/0" in done.stderr


def test_secret_key__made_once__stays_and_is_private(state: Path) -> None:
    told = [settings_say(state, "SECRET_KEY") for _ in range(2)]
    assert told == [(state / "secret_key").read_text()] * 2
    assert len(told[0]) > 50
    assert (state / "secret_key").stat().st_mode & 0o077 == 0


def settings_say(state: Path, name: str) -> str:
    """A setting, as a process of its own reads it."""
    look = f"from config import settings; print(settings.{name}, end='')"
    return subprocess.run(
        [sys.executable, "-c", look],
        cwd=PROJECT,
        env=environment(state),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
