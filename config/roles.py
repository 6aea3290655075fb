"""What a process is for: ``ASSAY_ROLE`` selects its applications, its middleware and its addresses.

``serve`` answers applications and nothing else: one middleware, no sessions, no admin, and nothing that
needs numpy, so that it starts fast, stays small and spends its time on decisions. ``manage`` and ``all``
have every door; ``manage`` says that others serve the traffic, and still answers what strays to it.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

VARIABLE = "ASSAY_ROLE"


class Role(StrEnum):
    SERVE = "serve"
    MANAGE = "manage"
    ALL = "all"


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
SERVING_MIDDLEWARE = ["config.serving_middleware.ServingMiddleware"]
SERVING_URLS = "config.serve_urls"

OPTIONAL = ("requests", "yaml", "pygments", "markdown", "rich")
"""What libraries import when it is there and can do without: schemas' clients, coloured pages, coloured logs. 15 MB."""


def leave_out() -> None:
    """In a process that only serves, let nothing find the optional modules; before anything could have."""
    if serves_only(chosen(os.environ.get(VARIABLE, Role.ALL))):
        sys.modules.update(dict.fromkeys(OPTIONAL))  # type: ignore[arg-type]  # None: as if it were not installed


def chosen(word: str) -> Role:
    """The role of this name."""
    try:
        return Role(word.strip().lower())
    except ValueError:
        raise ImproperlyConfigured(f"{VARIABLE}: wanted one of {', '.join(Role)}; found {word!r}") from None


def serves_only(role: Role) -> bool:
    """Whether this process can do without everything else; commands need every application, whatever the web process is for."""
    return role is Role.SERVE and Path(sys.argv[0]).name != "manage.py"
