from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import services, stack


class Command(BaseCommand):
    help = "Load the example experiments, run everything, and send live traffic to it, until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        web = stack.Web(options["host"], options["port"])
        stack.refuse_taken_port(web)
        os.environ["ASSAY_DEMO"] = "1"
        with services.lease() as lease:
            stack.prepare(migrate=True)
            if subprocess.run(stack.manage("load_examples"), check=False).returncode:
                raise CommandError("The examples could not be loaded; the lines above say why.")
            stack.keep_alive(lease)
            everything = stack.stack(web)
            everything.commands["traffic"] = stack.manage("demo_traffic", "--url", web.url)
            code = everything.run()
        sys.exit(code)
