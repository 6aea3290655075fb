"""What a process is for: ``ASSAY_ROLE`` selects its applications, its middleware and its addresses.

``serve`` answers applications and nothing else: one middleware, no sessions, no admin, and nothing
that needs numpy, so that it starts fast, stays small and spends its time on decisions. ``manage``
and ``all`` have every door; ``manage`` says that others serve the traffic, and still answers what
strays to it.

The web process sends no tasks, so it has no Celery. The processes beside it load what their job
needs: a supervisor no models, the drainer what a serving process has, a worker no pages and no
doors. Beat has no applications at all (``config/processes/beat.py``).
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

VARIABLE = "ASSAY_ROLE"


class ProcessRole(StrEnum):
    SERVE = "serve"
    MANAGE = "manage"
    ALL = "all"


class Job(StrEnum):
    """What a process loads Django's applications for."""

    EVERYTHING = "everything"
    ANSWER = "answer"
    SERVE = "serve"
    WORK = "work"
    SUPERVISE = "supervise"


JOB = "ASSAY_JOB"
"""How the stack tells a web process or a worker what it is."""
COMMANDS = {"demo": Job.SUPERVISE, "runstack": Job.SUPERVISE, "drain_spool": Job.SERVE}
"""Commands that run for as long as the installation does; all others may need everything."""
SUPERVISING_APPS = ["config"]
SERVING_APPS = [
    "config",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "django_prometheus",
    "pgtrigger",
    "experiments",
    "analytics",
]
SERVING_MIDDLEWARE = ["config.web.serving_middleware.ServingMiddleware"]
SERVING_URLS = "config.web.serve_urls"

OPTIONAL = ("requests", "yaml", "pygments", "markdown", "rich", "charset_normalizer")
"""What libraries import when it is there and can do without: schemas' clients, coloured pages,
coloured logs, old files. 17 MB.
"""


WORKING_APPS = [*SERVING_APPS, "django_structlog"]


def leave_out(*, always: bool = False) -> None:
    """In a process with one job, let nothing find the optional modules; before anything could
    have.
    """
    mine = job(chosen(os.environ.get(VARIABLE, ProcessRole.ALL)))
    if always or mine is not Job.EVERYTHING:
        absent = set(OPTIONAL) - (
            {"yaml"} if mine is Job.ANSWER else set()
        )  # the schema is written in it
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: as if it were not installed


def chosen(word: str) -> ProcessRole:
    """The role of this name."""
    try:
        return ProcessRole(word.strip().lower())
    except ValueError:
        raise ImproperlyConfigured(
            f"{VARIABLE}: wanted one of {', '.join(ProcessRole)}; found {word!r}"
        ) from None


def job(role: ProcessRole) -> Job:
    """What this process is for; a command may need every application, whatever the web process is
    for.
    """
    program, *arguments = sys.argv
    if Path(program).name == "manage.py":
        return COMMANDS.get(arguments[0], Job.EVERYTHING) if arguments else Job.EVERYTHING
    if os.environ.get(JOB) == Job.WORK:
        return Job.WORK
    if role is ProcessRole.SERVE:
        return Job.SERVE
    return Job.ANSWER if os.environ.get(JOB) == Job.ANSWER else Job.EVERYTHING
