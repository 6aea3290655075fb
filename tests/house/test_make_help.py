"""``make help`` shows every command."""

from __future__ import annotations

import re
import subprocess

from config.processes.embedded.place import PROJECT


def test_help__shows_every_command() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(
        ["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"make ([a-z0-9-]+)\s", shown)) == set(phony[1].split())
