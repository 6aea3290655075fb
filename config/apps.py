from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app, so that Django finds its commands."""

    name = "config"

    def ready(self) -> None:
        # Celery's application becomes the current one, which shared tasks send through; the schema's extensions register themselves.
        from config import celery, openapi  # noqa: F401
