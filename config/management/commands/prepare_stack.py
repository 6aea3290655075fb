from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.processes import preparing


class Command(BaseCommand):
    help = "Make ready what `demo` and `runstack` need; they run it themselves before they start anything."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--migrate", action="store_true", help="migrate the database, whoever owns it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        preparing.prepare(migrate=options["migrate"])
