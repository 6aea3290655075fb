"""A web process says that it started, so that the log shows when granian has replaced one that died."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from config import rsgi


def test_web_process__started_or_replaced__is_a_line_with_its_pid(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rsgi, "_allow_many_connections", lambda: None)
    monkeypatch.setattr(rsgi, "configured", lambda: None)
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.INFO):
        rsgi.Application().__rsgi_init__(loop)
    loop.close()
    [line] = [record.getMessage() for record in caplog.records if record.name == "config.rsgi"]
    assert "web_process_started" in line
    assert f"'pid': {os.getpid()}" in line
