"""What tests of processes need of the process they run in."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def hangup_is_heard() -> Iterator[None]:
    """Whoever runs the tests under nohup ignores SIGHUP, and every program started here would inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def scrapes_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's rows are in its own transaction, which no background thread sees."""
    monkeypatch.setattr("config.exposition.stored.start", lambda job: job())
