"""``manage.py calibrate``: simulate experiments whose truth is known and show how often the engine
errs. Needs no database.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from analytics.core.calibration.check import CalibrationReport, CheckResult
from analytics.core.calibration.registry import CHECKS, chosen
from analytics.core.calibration.run import FULL, calibrate
from analytics.core.ground.errors import ImpossiblePlan

BAR = 30
"""Width of the progress bar."""


class Command(BaseCommand):
    help = "Hold the engine's error rates, power and coverage against their promises. Exit code 1 when one is out of range."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sims",
            type=int,
            help=f"Simulations of a check that has {FULL:,} in full; the others scale alike.",
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=1,
            help="The same seed gives the same numbers, on any number of cores.",
        )
        parser.add_argument(
            "--only",
            nargs="+",
            metavar="NAME",
            default=[],
            help="Only these checks: " + ", ".join(c.name for c in CHECKS),
        )
        parser.add_argument(
            "--quick",
            action="store_true",
            help="Fewer simulations and wider ranges: under a minute.",
        )
        parser.add_argument("--workers", type=int, help="Processes; one a core otherwise.")

    def handle(self, *args: Any, **options: Any) -> None:
        bar, began = ProgressBar(self.stderr), time.monotonic()
        try:
            report = calibrate(
                chosen(options["only"]),
                seed=options["seed"],
                sims=options["sims"],
                quick=options["quick"],
                workers=options["workers"],
                progress=bar,
            )
        except ImpossiblePlan as refusal:
            raise CommandError(str(refusal)) from refusal
        finally:
            bar.clear()
        self.stdout.write("\n".join(lines_of(report)))
        self.stdout.write(conclusion_of(report, time.monotonic() - began))
        if not report.in_range:
            sys.exit(1)


class ProgressBar:
    """One growing line on a terminal; nothing elsewhere."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out, self._shown = out, False

    def __call__(self, name: str, share: float) -> None:
        """Show how much of the work is done, and what was worked on last."""
        if self._out.isatty():
            done = round(BAR * share)
            self._write(f"\r\033[K[{'#' * done}{'.' * (BAR - done)}] {share:4.0%}  {name}")
            self._shown = True

    def clear(self) -> None:
        """Leave no trace of the bar."""
        if self._shown:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self._out.write(text, lambda plain: plain, ending="")
        self._out.flush()


def lines_of(report: CalibrationReport) -> list[str]:
    """The report as a table."""
    head = f"{'check':<22}{'target':>10}{'range':>20}{'got':>10}{'sims':>9}  {'verdict':<14}what it shows"
    return [head, *(_line(result) for result in report.results)]


def conclusion_of(report: CalibrationReport, seconds: float) -> str:
    """The last line: how many hold, under which seed, and how long it took."""
    wrong = report.out_of_range
    said = f"{len(report.results) - len(wrong)} of {len(report.results)} in range"
    named = f"; out of range: {', '.join(result.name for result in wrong)}" if wrong else ""
    return f"{said}{named} (seed {report.seed}, {seconds:.0f} s)"


def _line(result: CheckResult) -> str:
    verdict = "in range" if result.in_range else "OUT OF RANGE"
    limits = f"{number(result.low)} – {number(result.high)}"
    return f"{result.name:<22}{result.target:>10}{limits:>20}{number(result.got):>10}{result.sims:>9,}  {verdict:<14}{result.shows}"


def number(value: float) -> str:
    """Four digits after the point, five for what is rarer than one in a hundred."""
    return f"{value:.5f}" if 0 < abs(value) < 0.01 else f"{value:.4f}"
