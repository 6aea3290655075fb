"""How the programs of this machine do: every supervisor writes it into a file, whoever is scraped
reads the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from config.processes.embedded.process import runs
from config.processes.supervisor import ProgramState, Tell

FOLDER = "programs"


@contextmanager
def written(state: Path) -> Iterator[Tell]:
    """What writes the file of this process's supervisor, for the length of a block. A full disk
    stops no program.
    """
    path = state / FOLDER / f"{os.getpid()}.json"

    def tell(programs: Mapping[str, ProgramState]) -> None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            draft.write_text(
                json.dumps({name: [one.ended, one.resting] for name, one in programs.items()})
            )
            draft.replace(path)

    try:
        yield tell
    finally:
        path.unlink(missing_ok=True)


def read(state: Path) -> dict[str, ProgramState]:
    """By program, over all supervisors that live; files that a killed one left are taken away."""
    found: dict[str, ProgramState] = {}
    for path in sorted((state / FOLDER).glob("*.json")):
        if not (path.stem.isdigit() and runs(int(path.stem), "")):
            path.unlink(missing_ok=True)
            continue
        with suppress(OSError, ValueError):
            for name, (ended, resting) in json.loads(path.read_text()).items():
                before = found.get(name, ProgramState(0, False))
                found[name] = ProgramState(before.ended + ended, before.resting or resting)
    return found
