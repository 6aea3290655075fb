from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    """The composition root as an app, so that Django finds its commands."""

    name = "config"

    def ready(self) -> None:
        if not settings.SERVES_ONLY:
            # Celery's application becomes the current one, which shared tasks send through; the schema's extensions register themselves.
            from config import celery, checks, openapi  # noqa: F401
