"""Setting up says what is missing; cleaning up takes only what is ours."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT
from config.processes.services import lease


def set_up(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(PROJECT / "config" / "setup.sh")],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHON": python,
            "VENV": str(tmp_path / "venv"),
            "STAMP": str(tmp_path / "venv" / "stamp"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def python_that_fails(tmp_path: Path, word: str) -> str:
    """A Python whose one-liners that mention the word fail."""
    program = tmp_path / "python"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *{word}*) exit 1 ;; esac\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


def test_setup__no_such_python__names_it(tmp_path: Path) -> None:
    done = set_up(tmp_path, "python-of-tomorrow")
    assert done.returncode == 1
    assert "there is no python-of-tomorrow. Install Python 3.11 or later" in done.stderr


def test_setup__python_too_old__says_which_is_needed(tmp_path: Path) -> None:
    done = set_up(tmp_path, python_that_fails(tmp_path, "version_info"))
    assert done.returncode == 1
    assert "is too old: 3.11 or later is needed" in done.stderr


def test_setup__venv_module_missing__says_how_to_get_it(tmp_path: Path) -> None:
    done = set_up(tmp_path, python_that_fails(tmp_path, "ensurepip"))
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_lock__holds_hashes_and_no_registry_address() -> None:
    text = (PROJECT / "requirements.lock").read_text()
    assert "make lock" in text and "--hash=sha256:" in text
    assert "://" not in text and "index-url" not in text


def test_clean__while_something_runs__refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    state = tmp_path / "state"
    with lease(state):
        done = clean(state)
        assert done.returncode == 1
        assert "something still runs" in done.stderr
        assert (state / "services").exists()
    (state / "mine.txt").write_text("not made by us")
    assert remains(state) == ["mine.txt"]


def clean(state: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; sys.path.insert(0, '.'); "
        "from config import clean; clean.CACHES = (); clean.place.PROJECT = clean.place.PROJECT / 'nowhere'; clean.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "ASSAY_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


def remains(state: Path) -> list[str]:
    done = clean(state)
    assert done.returncode == 0, done.stderr
    return [path.name for path in state.iterdir()]
