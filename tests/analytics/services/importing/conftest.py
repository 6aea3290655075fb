"""Files as data scientists have them, brought in by the command that they type."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

Import = Callable[..., str]


@pytest.fixture
def bring(tmp_path) -> Import:
    """Imports a text as ``trial`` and gives what the command printed; options as typed."""

    def run(text: str | bytes, *words: str, key: str = "trial", variant: str = "arm") -> str:
        path: Path = tmp_path / "trial.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        out = StringIO()
        call_command(
            "import_experiment", str(path), "--key", key, "--variant", variant, *words, stdout=out
        )
        return out.getvalue()

    return run


def analysed(key: str = "trial") -> str:
    """What ``analyze`` prints."""
    out = StringIO()
    call_command("analyze", key, stdout=out)
    return out.getvalue()
