"""What tests of processes need of the process they run in."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def hangup_is_heard() -> Iterator[None]:
    """Whoever runs the tests under nohup ignores SIGHUP, and every program started here would
    inherit that.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
