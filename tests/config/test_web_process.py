"""A web process says that it started, so that the log shows when granian has replaced one that
died.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from config.processes.embedded.place import PROJECT

START = """
import asyncio, os
from config.web import rsgi
print(f"mine {os.getpid()}", flush=True)
rsgi.application.__rsgi_init__(asyncio.new_event_loop())
"""
"""In a process of its own: a web process begins to read the catalogue as soon as it is imported."""


def test_web_process__started_or_replaced__is_a_line_with_its_pid(tmp_path: Path) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    environment = os.environ | nowhere | {"ASSAY_ROLE": "serve", "ASSAY_STATE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    [pid] = re.findall(r"^mine (\d+)$", said, re.MULTILINE)
    [line] = [line for line in said.splitlines() if "web_process_started" in line]
    assert re.search(rf"\b{pid}\b", line)
