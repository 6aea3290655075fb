"""Every change is a line of the log that names the experiment, who did it and what; the worker's
changes too.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from config.processes.stack import _worker
from experiments.core.types import SYSTEM
from experiments.services.ground import audit
from tests.analytics.stores.observed import world

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@pytest.mark.django_db
def test_change__committed__is_a_line_with_experiment_actor_and_action(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    w = world("lead_prompt")
    with caplog.at_level(logging.INFO), django_capture_on_commit_callbacks(execute=True):
        audit.record(SYSTEM, NOW, action="promote", obj=w.experiment, reason="ask for u-17")
        assert not [
            record
            for record in caplog.records
            if record.name == "experiments.services.ground.audit"
        ], "not before the commit"
    [record] = [
        record for record in caplog.records if record.name == "experiments.services.ground.audit"
    ]
    said: Any = record.msg
    assert (said["event"], said["experiment"], said["actor"], said["action"]) == (
        "changed",
        "lead_prompt",
        "assay",
        "promote",
    )
    assert "u-17" not in str(said)


WORKER = """
import logging, sys, django
django.setup()
from config.celery import app
app.log.setup_logging_subsystem(loglevel=sys.argv[1])
import structlog
structlog.get_logger("experiments.services.ground.audit").info("changed", experiment="lead_prompt")
logging.getLogger("celery.worker.strategy").info("Task received")
"""


def test_worker__logs_changes__and_not_each_task() -> None:
    command = _worker("worker", ("decide",), 1)
    level = command[command.index("--loglevel") + 1]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, level],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [line["experiment"] for line in lines if line["event"] == "changed"] == ["lead_prompt"]
    assert "Task received" not in done.stderr
