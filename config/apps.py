from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app, so that Django finds its commands."""

    name = "config"

    def ready(self) -> None:
        from config import celery  # noqa: F401  (makes it the current app that shared tasks send through)
