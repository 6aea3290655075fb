from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from analytics.services.examples.people import server_key


class Command(BaseCommand):
    help = "Make a key and become the example recommender, as an application that knows nothing of Django. Part of `demo`."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--url", required=True, help="where Assay answers")

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ.update(ASSAY_URL=options["url"], ASSAY_KEY=server_key("demo recommender"))
        command = [sys.executable, "-m", "examples.recommender", "--port", str(options["port"])]
        os.execv(sys.executable, command)  # noqa: S606  # no shell is the point
