from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


def install_library(
    sender: AppConfig, using: str = "default", **_: Any
) -> None:  # Any: whatever else the signal carries
    """After migrations: policies, role groups and metrics; skipped when the tables have just been
    taken away.
    """
    from experiments.core.clock import utc_now
    from experiments.models import Metric, Policy
    from experiments.services.library import shipped

    present = connections[using].introspection.table_names()
    if using == "default" and {Policy._meta.db_table, Metric._meta.db_table, "auth_group"} <= set(
        present
    ):
        shipped.install(utc_now())


class ExperimentsConfig(AppConfig):
    name = "experiments"
    verbose_name = "Assay"  # the first step of every page's path

    def ready(self) -> None:
        post_migrate.connect(
            install_library, sender=self, dispatch_uid="experiments.install_library"
        )
