"""The order of test files names files that exist, and all that ask the live installation."""

from __future__ import annotations

import re

from config.processes.embedded.place import PROJECT
from tests.scheduling import LIVE, LONG

ASKS = re.compile(r"^def [a-z]\w+\([^)]*\blive\b", re.MULTILINE)
SLOW = re.compile(r"^pytestmark = .*pytest\.mark\.(slow|browser)\b", re.MULTILINE)


def test_files__that_the_order_names__exist() -> None:
    assert [name for name in {*LIVE, *LONG} if not (PROJECT / name).is_file()] == []


def test_files__that_ask_the_live_installation__stay_together() -> None:
    texts = {
        path.relative_to(PROJECT).as_posix(): path.read_text()
        for path in (PROJECT / "tests").rglob("test_*.py")
    }
    asking = {name for name, text in texts.items() if ASKS.search(text) and not SLOW.search(text)}
    assert asking == LIVE
