from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.processes import services, stack
from config.processes.supervisor import Program
from experiments.selectors.cast import CAST, PASSWORD

RECOMMENDER_BESIDE = 82
"""The recommender's port is this much above the web port: 8082, as its guide prints it."""

HANDS = 1
"""Processes of each worker: one person looks at a demo, and memory is what a laptop is short of."""


class Command(BaseCommand):
    help = (
        "Load the example experiments, run everything, and send live traffic to it, until Ctrl-C."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--no-traffic", action="store_true", help="send nothing: everything runs and waits"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        web = stack.Web(options["host"], options["port"], hands=HANDS)
        stack.refuse_taken_port(web)
        os.environ["ASSAY_DEMO"] = "1"
        os.environ.setdefault("ASSAY_LOG_LEVEL", "WARNING")
        with services.lease():
            stack.prepare(migrate=True)
            if subprocess.run(stack.manage("load_examples"), check=False).returncode:
                raise CommandError("The examples could not be loaded; the lines above say why.")
            everything = stack.stack(web)
            recommender = stack.Web("127.0.0.1", web.port + RECOMMENDER_BESIDE)
            free = not stack.taken(recommender)
            if free:
                everything.programs["recommender"] = _recommender(
                    recommender, web, _environment(everything)
                )
            if not options["no_traffic"]:
                asks = ["--recommender", recommender.url] if free else []
                everything.programs["traffic"] = _traffic(web, asks, _environment(everything))
            everything.greeting = [*greeting(), _about(recommender, free)]
            code = everything.run()
        sys.exit(code)


def _traffic(web: stack.Web, asks: Sequence[str], environment: Mapping[str, str]) -> Program:
    """Users of the examples' applications, who ask and send what happened."""
    return Program(stack.manage("demo_traffic", "--url", web.url, *asks), environment)


def _recommender(recommender: stack.Web, web: stack.Web, environment: Mapping[str, str]) -> Program:
    """The example service as an application of its own, with a key of its own."""
    return Program(
        stack.manage("demo_recommender", "--port", str(recommender.port), "--url", web.url),
        environment,
    )


def _environment(everything: stack.Stack) -> Mapping[str, str]:
    """What all programs are given."""
    return everything.programs["drain"].environment


def _about(recommender: stack.Web, free: bool) -> str:
    if free:
        return f"A recommender that asks Assay answers at {recommender.url}/api/v1/recommendations (docs/quick-starts.md)."
    return f"The example recommender is left out: port {recommender.port} is taken."


def greeting() -> list[str]:
    """Who can log in, and what there is to see."""
    people = ", ".join(
        f"{person.username} ({person.role.value.replace('_', ' ')})" for person in CAST
    )
    return [
        f"Log in as one of {people}; the password is {PASSWORD}. The Act as menu changes who you are.",
        "Beat analyses the examples every half minute; within minutes of the first start it promotes matching_rerank_v1, which has won.",
        "The other three of the plan run: ai_coach_personalization, spam_guard_v2 (its messages drift), dispute_router_ml.",
        "Stopped by a guardrail: message_template. Holds its ramp: rag_top_k. Escalated for cost: llm_model_comparison.",
        "Ready for a person to promote: followup_timing. In its dark launch: spam_guard_v3. Stopped by its offline score: ai_coach_tone.",
        "An A/A test: aa_test. A geo pilot: geo_posters. Each has its report behind the button on its page.",
    ]
