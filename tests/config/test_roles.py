"""A process that serves applications has their doors, one middleware, and none of what it does not
need.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import roles, urls
from config.processes.embedded.place import PROJECT
from config.processes.stack import Web
from config.processes.stack import stack as stack_of
from config.roles import Job, ProcessRole
from config.web import serve_urls
from tests.live import Live

NUMBERS = {"numpy", "scipy", "statsmodels", "pandas", "ibis", "duckdb"}
NEEDLESS = NUMBERS | {
    "celery",
    "unfold",
    "drf_spectacular.openapi",
    "experiments.admin",
    "requests",
    "rich",
    "yaml",
}
LOOK = """
import json, sys
from config.web.wsgi import application
from django.conf import settings
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
seen = {address: client.get(address).status_code for address in ("/livez", "/metrics", "/admin/", "/api/v1/experiments", "/api/v1/events")}
seen["/api/v1/assignments"] = client.post("/api/v1/assignments", {"unit": "u1"}, content_type="application/json").status_code
headers = dict(client.get("/livez").headers)
loaded = {"middleware": settings.MIDDLEWARE, "apps": settings.INSTALLED_APPS}
modules = sorted(name for name, module in sys.modules.items() if module)
print(json.dumps({"headers": headers, "modules": modules, "seen": seen} | loaded))
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a ``serve`` process that has answered at its doors holds; its database is nowhere."""
    state = tmp_path_factory.mktemp("serve")
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    environment = (
        os.environ
        | nowhere
        | {
            "ASSAY_ROLE": "serve",
            "ASSAY_STATE": str(state),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
    )
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_serve__holds_neither_numbers_libraries_nor_an_admin(process: dict[str, list[str]]) -> None:
    assert NEEDLESS & set(process["modules"]) == set()
    assert "django.contrib.admin" not in process["apps"]


def test_serve__has_one_middleware(process: dict[str, list[str]]) -> None:
    assert len(process["middleware"]) == 1


def test_serve__answers__have_their_length_and_are_nothing_but_data(
    process: dict[str, dict[str, str]],
) -> None:
    headers = process["headers"]
    assert headers["Content-Length"] == "3"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_serve__answers_at_applications_doors_and_at_no_others(
    process: dict[str, dict[str, int]],
) -> None:
    assert process["seen"] == {
        "/livez": 200,
        "/metrics": 200,
        "/admin/": 404,
        "/api/v1/experiments": 404,
        "/api/v1/events": 401,
        "/api/v1/assignments": 401,
    }


def test_every_other_role__has_the_serving_doors_too() -> None:
    assert urls.urlpatterns[: len(serve_urls.urlpatterns)] == serve_urls.urlpatterns


def test_unknown_role__is_refused_by_name() -> None:
    with pytest.raises(
        ImproperlyConfigured, match="ASSAY_ROLE: wanted one of serve, manage, all; found 'server'"
    ):
        roles.chosen("server")


def test_command__of_a_serving_deployment__has_every_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["/srv/assay/manage.py", "migrate"])
    assert roles.job(ProcessRole.SERVE) is Job.EVERYTHING
    monkeypatch.setattr(sys, "argv", ["/srv/assay/.venv/lib/granian/__main__.py"])
    assert roles.job(ProcessRole.SERVE) is Job.SERVE


def test_stack__the_role_is_the_web_processs_alone() -> None:
    programs = stack_of(Web("127.0.0.1", 1, role=ProcessRole.SERVE)).programs
    found = {
        name: program.environment.get("ASSAY_ROLE")
        for name, program in programs.items()
        if name != "services"
    }
    others = ("drain", "worker", "analysis", "beat")
    assert found == {"web": ProcessRole.SERVE} | dict.fromkeys(others, ProcessRole.ALL)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has this policy")
def test_web__every_thread_of_a_worker__interrupts_no_other(live: Live) -> None:
    found = subprocess.run(
        ["pgrep", "-f", f"granian.*--port {live.port}"], capture_output=True, text=True, check=True
    ).stdout.split()
    workers = [
        pid
        for pid in found
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] in found
    ]
    threads = [int(entry.name) for pid in workers for entry in Path(f"/proc/{pid}/task").iterdir()]
    assert len(threads) > len(workers) > 0
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
