from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as Migrate

from config.ownership import app_role, as_owner, grant


class Command(Migrate):
    """Django's own, as the owner of the tables; afterwards the application's role gets its
    rights.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        with as_owner():
            super().handle(*args, **options)
            if app_role():
                grant(app_role())
