"""``manage.py report KEY``: print an experiment's report; of one that is over it is kept, and
``--check`` makes it anew and compares.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.selectors.reporting.report_facts import is_final
from analytics.selectors.reporting.reports import (
    FORMATS,
    body_of,
    latest_run,
    report_of,
    stored_for,
)
from analytics.services.writing.reports import write_report, written_again
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.models import Experiment
from experiments.selectors.experiments import resolve


class Command(BaseCommand):
    help = "Print an experiment's report. That of an experiment that is over is kept; another time it is the same to the last byte."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Key, name, id or UUID of the experiment.")
        parser.add_argument("--format", choices=FORMATS, default="md")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Make the kept report again from its facts and compare the bytes.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            experiment = resolve(options["key"])
            if options["check"]:
                self._check(experiment)
                return
            run = latest_run(experiment)
            if run is not None and is_final(run):
                write_report(experiment.pk, now=utc_now())
            body = body_of(report_of(experiment), options["format"])
        except AssayError as refusal:
            raise CommandError(str(refusal)) from refusal
        if isinstance(body, bytes):
            sys.stdout.buffer.write(body)
        else:
            self.stdout.write(body, ending="")

    def _check(self, experiment: Experiment) -> None:
        run = latest_run(experiment)
        row = None if run is None else stored_for(run)
        if row is None:
            raise CommandError(f"{experiment.key}: no report is kept yet")
        again = written_again(row)
        if again.sha256 != row.sha256:
            raise CommandError(
                f"{experiment.key}: made again the report differs: {again.sha256} instead of {row.sha256}"
            )
        self.stdout.write(f"{experiment.key}: the same to the last byte, {row.sha256}")
