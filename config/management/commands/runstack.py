from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.processes import services, stack
from config.roles import ProcessRole


class Command(BaseCommand):
    help = "Run web, workers and beat in the foreground (with PostgreSQL and Redis of our own when none are configured)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1, help="web processes")
        parser.add_argument("--threads", type=int, default=8, help="threads of each web process")
        parser.add_argument(
            "--hands", type=int, default=2, help="processes of each of the two workers"
        )
        parser.add_argument(
            "--role",
            type=ProcessRole,
            choices=list(ProcessRole),
            default=settings.ROLE,
            help="what the web processes are for",
        )
        parser.add_argument(
            "--only",
            action="append",
            choices=["web", "worker", "analysis", "beat"],
            default=[],
            help="only this (may be repeated)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        web = stack.Web(
            options["host"],
            options["port"],
            options["workers"],
            options["threads"],
            options["role"],
            options["hands"],
        )
        if not options["only"] or "web" in options["only"]:
            stack.refuse_taken_port(web)
        with services.lease():
            stack.prepare(migrate=False)
            code = stack.stack(web, options["only"]).run()
        sys.exit(code)
