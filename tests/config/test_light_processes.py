"""Which process loads which packages: what runs beside the web process holds nothing that its job
does not need.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.celery_settings import QUICK, SLOW
from config.processes import preloading
from config.processes.embedded.place import PROJECT
from config.processes.stack import Web
from config.processes.stack import stack as stack_of

ANALYSIS = frozenset(
    {
        "numpy",
        "scipy",
        "pandas",
        "statsmodels",
        "ibis",
        "sqlglot",
        "analytics.core.deciding.decision",
    }
)
PAGES = frozenset(
    {
        "unfold",
        "django.contrib.admin.sites",
        "experiments.admin",
        "analytics.admin",
        "drf_spectacular",
        "config.urls",
    }
)
OPTIONAL = frozenset({"rich", "pygments", "requests", "charset_normalizer"})
CLIENTS = frozenset({"celery", "kombu", "redis"})
MODELS = frozenset(
    {"experiments.models", "analytics.models", "django.contrib.auth.models", "rest_framework"}
)


@dataclass(frozen=True)
class Process:
    """How a process begins, up to where it would wait for work, and what it must not hold then."""

    arguments: str
    begin: str
    without: frozenset[str]
    program: str = ""


PROCESSES = {
    "supervisor of the demo": Process(
        "manage.py demo",
        "from config import roles; roles.leave_out(); import django; django.setup(); import config.management.commands.demo",
        ANALYSIS | PAGES | OPTIONAL | MODELS | CLIENTS | {"psycopg"},
    ),
    "supervisor": Process(
        "manage.py runstack",
        "from config import roles; roles.leave_out(); import django; django.setup(); import config.management.commands.runstack",
        ANALYSIS | PAGES | OPTIONAL | MODELS | CLIENTS | {"psycopg"},
    ),
    "keeper of the services": Process(
        "keep_services",
        "import config.processes.keep_services",
        ANALYSIS | PAGES | OPTIONAL | MODELS | CLIENTS | {"psycopg", "asyncio"},
    ),
    "drainer": Process(
        "manage.py drain_spool",
        "from config import roles; roles.leave_out(); import django; django.setup(); import analytics.management.commands.drain_spool",
        ANALYSIS | PAGES | OPTIONAL | {"celery", "config.schema"},
        "drain",
    ),
    "beat": Process(
        "beat",
        "import config.processes.beat, celery.apps.beat",
        ANALYSIS | PAGES | OPTIONAL | MODELS,
        "beat",
    ),
    "web": Process(
        "granian",
        "import config.web.rsgi",
        OPTIONAL
        | CLIENTS
        | {
            "scipy.stats",
            "scipy.optimize",
            "scipy.integrate",
            "ibis",
            "sqlglot",
            "pandas",
            "statsmodels",
        },
        "web",
    ),
    "worker": Process(
        "celery worker",
        "from config.celery import app; app.loader.import_default_modules()",
        PAGES | OPTIONAL | ANALYSIS,
        "worker",
    ),
}
LOOK = "\nimport json, sys\nprint(json.dumps(sorted(name for name, module in sys.modules.items() if module)))"


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_process__holds_nothing_that_its_job_does_not_need(
    process: Process, tmp_path: Path
) -> None:
    given = (
        stack_of(Web("127.0.0.1", 1)).programs[process.program].environment
        if process.program
        else {}
    )
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    environment = (
        os.environ
        | dict(given)
        | nowhere
        | {"ASSAY_STATE": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    )
    begin = f"import sys\nsys.argv = {process.arguments.split()!r}\n{process.begin}{LOOK}"
    done = subprocess.run(
        [sys.executable, "-c", begin],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert process.without & set(json.loads(done.stdout.splitlines()[-1])) == set()


def test_stack__starts_these_processes() -> None:
    programs = stack_of(Web("127.0.0.1", 1)).programs
    assert "config.processes.beat" in programs["beat"].command
    assert programs["drain"].command[-1] == "drain_spool"


@pytest.mark.parametrize(
    ("queues", "children", "loaded"),
    [(SLOW, 2, preloading.STATISTICS), (SLOW, 1, ()), (QUICK, 2, ())],
    ids=["analysing, several children", "analysing, a single child", "quick work"],
)
def test_worker__before_it_forks__loads_only_what_children_share(
    monkeypatch, queues, children, loaded
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(preloading, "import_module", seen.append)
    queued = SimpleNamespace(queues=SimpleNamespace(consume_from=dict.fromkeys(queues)))
    preloading.load_first(SimpleNamespace(concurrency=children, app=SimpleNamespace(amqp=queued)))
    assert tuple(seen) == loaded
