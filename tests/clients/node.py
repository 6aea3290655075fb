"""Clients written in JavaScript: installed once under the state folder, run by ``make
test-clients``; skipped, by name, without node.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config.processes.embedded import place

SCRIPTS = Path(__file__).with_name("js")
MISSING = next(
    (
        f"{name} is not installed (apt install nodejs npm)"
        for name in ("node", "npm")
        if shutil.which(name) is None
    ),
    "",
)

asks_node = [
    pytest.mark.node,
    pytest.mark.skipif(bool(MISSING), reason=MISSING or "everything is there"),
]
"""``pytestmark`` of a module whose tests run scripts."""


def ask(script: str, question: object) -> Any:
    """What a script prints as JSON when it is asked this."""
    return json.loads(run(script, json.dumps(question)))


def run(script: str, *arguments: str) -> str:
    """Run a script of ``tests/clients/js`` beside its packages; what it printed."""
    done = subprocess.run(
        ["node", installed() / script, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{script} failed:\n{done.stderr[-4000:]}"
    return done.stdout


def installed(scripts: Path = SCRIPTS, name: str = "node") -> Path:
    """A folder with the scripts and the locked packages; several processes may ask at once, and one
    installs.
    """
    folder = place.state_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256((scripts / "package-lock.json").read_bytes()).hexdigest()
        for source in scripts.glob("*.*"):
            shutil.copy(source, folder)
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (
                f"npm could not install the packages:\n{done.stderr[-4000:]}"
            )
            stamp.write_text(wanted)
    return folder
