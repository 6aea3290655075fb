"""The demo a minute after its start, on an installation that is loaded once for all stories of this
page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from analytics.management.commands.demo_traffic import KeptConnection, visit
from analytics.services.examples.plans import AI_COACH, DISPUTES, MATCHING, SPAM_GUARD
from config.processes.embedded.place import PROJECT
from config.processes.services import Lease
from tests.live import Live, installation
from tests.stories import quick_starts
from tests.stories.monitoring import panels, says, scraping

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
PLAN = (MATCHING, AI_COACH, SPAM_GUARD, DISPUTES)
"""The four experiments of the plan for AI features."""
LOADED = """
import django
django.setup()
from analytics.services.examples import load
from experiments.core.clock import utc_now
load(utc_now(), progress=lambda line: None)
"""
BEAT = """
import django
django.setup()
from config.celery import app
app.conf.task_always_eager = True
from analytics import tasks
tasks.analyse_due()
tasks.decide_due()
tasks.analyse_due()
tasks.count_told()
"""
"""What beat wakes up: experiments are analysed and decided, and what has ended is analysed for
good.
"""
COUNTED = """
import django
django.setup()
from analytics.services.analysis.counting import count_all
from experiments.core.clock import utc_now
count_all(utc_now())
"""
"""The same of outcomes; a scrape itself counts only what is counted quickly."""
SILENT = {(MATCHING.key, "ai: Cost by kind of outcome")}
"""Panels that may have nothing to show, and say so: after its promotion an experiment counts no
further outcomes.
"""
ALLOWED = 120
"""Seconds; twenty are enough on a quiet machine."""


@pytest.fixture(scope="module")
def demo(services: Lease, redis_url: str) -> Iterator[Live]:
    """The demo's installation, with the keys that docs/quick-starts.md makes."""
    with installation(services, settings.DATABASE_URL, redis_url, ASSAY_DEMO="1") as running:
        running.python(LOADED)
        running.python(BEAT)
        server, tools = (
            key_of(running, "my-app", "server"),
            key_of(running, "my-tools", "management", "--owner", "olivia"),
        )
        running.settle()
        yield replace(running, keys={**running.keys, "server": server, "management": tools})


def key_of(live: Live, name: str, scope: str, *more: str) -> str:
    """A key as the page has people make it: the command's last line."""
    command = [sys.executable, "manage.py", "create_key", name, "--scope", scope, *more]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, **live.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1].strip()


def test_guide__printed_code__works_on_the_demo(demo: Live) -> None:
    quick_starts.guide(demo)


def test_leads__printed_code_and_calls__promote_what_is_ready_in_the_demo(demo: Live) -> None:
    assert '"ok":true' in quick_starts.leads(demo)
    assert demo.sql("SELECT status FROM experiments WHERE key = 'followup_timing'") == [
        ("completed",)
    ]


def test_engine__printed_calls__work_on_the_demo(demo: Live) -> None:
    quick_starts.engine(demo)


def test_crm__printed_calls__work_on_the_demo(demo: Live) -> None:
    quick_starts.crm(demo)


def test_panels__each_of_the_plans_four_experiments__have_something_to_show_or_say_why_not(
    demo: Live, tmp_path: Path
) -> None:
    # Given the plan's four experiments, of which beat has promoted one
    statuses = dict(
        demo.sql(
            "SELECT key, status FROM experiments WHERE key = ANY(%s)",
            [example.key for example in PLAN],
        )
    )
    assert statuses == {MATCHING.key: "completed"} | dict.fromkeys(
        [AI_COACH.key, SPAM_GUARD.key, DISPUTES.key], "running"
    )
    random = np.random.default_rng(13)
    asked = [(example.key, panel) for example in PLAN for panel in panels()]
    empty = {(key, panel.title) for key, panel in asked}
    # When people come and Prometheus scrapes for a while
    end = time.monotonic() + ALLOWED
    with (
        scraping(demo, tmp_path) as prometheus,
        closing(KeptConnection(demo.url, demo.keys["server"])) as door,
    ):
        while empty - SILENT:
            assert time.monotonic() < end, sorted(empty - SILENT)
            for _ in range(60):
                visit(door, random, PLAN)
            demo.python(COUNTED)
            try:
                empty = {
                    (key, panel.title)
                    for key, panel in asked
                    if not says(prometheus, panel.of(key))
                }
            except urllib.error.URLError:
                continue  # it is still starting
    # Then no panel of any of them is empty but those that say why
    said = {panel.title: panel.says_when_empty for panel in panels()}
    assert all(said[title] for _, title in empty), empty
