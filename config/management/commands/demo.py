from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.services.examples.people import PASSWORD
from config import services, stack
from config.supervisor import Program
from experiments.core.cast import CAST


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
        os.environ.setdefault("ASSAY_LOG_LEVEL", "WARNING")
        with services.lease():
            stack.prepare(migrate=True)
            if subprocess.run(stack.manage("load_examples"), check=False).returncode:
                raise CommandError("The examples could not be loaded; the lines above say why.")
            everything = stack.stack(web)
            everything.programs["traffic"] = Program(
                stack.manage("demo_traffic", "--url", web.url), everything.programs["worker"].environment
            )
            everything.greeting = greeting()
            code = everything.run()
        sys.exit(code)


def greeting() -> list[str]:
    """Who can log in, and what there is to see."""
    people = ", ".join(f"{person.username} ({person.role.value.replace('_', ' ')})" for person in CAST)
    return [
        f"Log in as one of {people}; the password is {PASSWORD}. The Act as menu changes who you are.",
        "Beat analyses the examples every half minute; within minutes of the first start it promotes matching_rerank_v1, which has won.",
        "Stopped by a guardrail: message_template. Holds its ramp: rag_top_k. Escalated for cost: llm_model_comparison.",
        "An A/A test: aa_test. A geo pilot: geo_posters. Each has its report behind the button on its page.",
    ]
