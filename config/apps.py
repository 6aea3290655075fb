from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from config.roles import Job


class ConfigConfig(AppConfig):
    """The composition root as an app, so that Django finds its commands."""

    name = "config"

    def ready(self) -> None:
        if settings.JOB in (Job.EVERYTHING, Job.WORK):
            from config import celery  # noqa: F401  # becomes the current application, which shared tasks send through
        if settings.JOB in (Job.EVERYTHING, Job.ANSWER):
            from config import checks  # noqa: F401  # it registers itself
            from config.web import openapi  # noqa: F401  # as above
