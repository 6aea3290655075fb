"""Bring in an experiment that was randomised elsewhere, from a CSV with one row per unit.

    manage.py import_experiment cookie_cats.csv --key cookie_cats --unit userid --variant version \\
        --metric retention_7=retention_7:proportion --metric rounds=sum_gamerounds:mean

The first metric becomes the primary one. Without --unit every row is a unit of its own, named by
its number. Without --timestamp and --start everybody was exposed at yesterday's midnight (UTC).
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.import_table import BadTable, Columns, ImportTable, Kind, MetricColumn, parse_moment, read_table
from analytics.core.number_marks import NumberMarks
from analytics.management.number_options import add_number_options, as_read, told_ways
from analytics.services.imports import import_experiment
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import Actor, ActorKind
from experiments.core.units import check_unit_id

SHOWN = 3
"""Values of a column that are shown as they were read."""
KINDS: dict[str, Kind] = {"proportion": "proportion", "mean": "mean", "count": "count"}


class Command(BaseCommand):
    help = "Bring in an experiment randomised elsewhere, from a CSV with one row per unit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument("--key", required=True, help="the experiment's key here")
        parser.add_argument("--variant", required=True, metavar="COL")
        parser.add_argument("--unit", metavar="COL", help="the unit's id; without it each row is a unit, named by its number")
        parser.add_argument("--unit-type", default="user", metavar="TYPE")
        parser.add_argument("--control", metavar="NAME", help="default: control or baseline, else the first variant in the file")
        parser.add_argument("--weight", action="extend", nargs="+", default=[], metavar="NAME=W", help="share of a variant; default: equal")
        parser.add_argument(
            "--covariate",
            action="extend",
            nargs="+",
            default=[],
            metavar="COL",
            help="known before exposure; CUPED takes the first that is a number",
        )
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--timestamp", metavar="COL", help="when the unit was exposed: a date, or a moment with a zone")
        when.add_argument("--start", metavar="DATE", help="when all units were exposed; default: yesterday")
        parser.add_argument(
            "--metric", action="extend", nargs="+", required=True, metavar="NAME=COL:KIND", help=f"KIND is {', '.join(KINDS)}"
        )
        add_number_options(parser)
        parser.add_argument("--owner", metavar="USERNAME", help="whose experiment it is; default: the user import")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        path, columns = Path(options["file"]), columns_of(options)
        weights = weights_of(options["weight"])
        table = self.read(path, columns, options["start"], weights, told_ways(options))
        self.stdout.write(f"{path.name}: {len(table.rows):,} units, variants {', '.join(table.variants)}")
        self.stdout.write(as_read(table.marks, first_values(table, columns)))
        try:
            done = import_experiment(
                importer(options["owner"]),
                utc_now(),
                key=options["key"],
                table=table,
                columns=columns.metrics,
                unit_type=options["unit_type"],
                control=options["control"],
                weights=weights,
                source=path.name,
                progress=self.progress,
            )
        except AssayError as error:
            raise CommandError(f"nothing was imported: {error}") from error
        for name, key in done.metric_keys.items():
            if name != key:
                self.stdout.write(f"metric {name} is called {key} here, since its name means something else already or cannot be a key")
        seconds = time.monotonic() - began
        self.stdout.write(f"{done.key}: imported in {seconds:.1f} s; next: manage.py analyze {done.key}")

    def read(
        self, path: Path, columns: Columns, start: str | None, weights: dict[str, float] | None, ways: tuple[NumberMarks, ...]
    ) -> ImportTable:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return read_table(data, columns, start=start_of(start), variants=weights, unit_fault=unit_fault, ways=ways)
        except BadTable as error:
            raise CommandError(f"{path.name}: {error}") from error

    def progress(self, done: int, total: int) -> None:
        end = "\n" if done == total or not sys.stdout.isatty() else "\r"
        self.stdout.write(f"  {done:,} of {total:,} units stored ({done / total:.0%})", ending=end)
        self.stdout.flush()


def first_values(table: ImportTable, columns: Columns) -> dict[str, list[float]]:
    """The first values of every metric's column."""
    return {metric.column: [row.values[place] for row in table.rows[:SHOWN]] for place, metric in enumerate(columns.metrics)}


def columns_of(options: dict[str, Any]) -> Columns:
    metrics = tuple(metric_of(text) for text in options["metric"])
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise CommandError("--metric: two metrics have the same name")
    covariates = tuple(options["covariate"])
    return Columns(options["variant"], metrics, options["unit"], options["timestamp"], covariates)


def metric_of(text: str) -> MetricColumn:
    name, found, rest = text.partition("=")
    column, colon, tail = rest.rpartition(":")
    less_is_better = tail == "decrease"
    if tail in ("increase", "decrease"):
        column, colon, tail = column.rpartition(":")
    if not (found and colon and name and column) or tail not in KINDS:
        wanted = f"NAME=COL:KIND, KIND one of {', '.join(KINDS)}, and then perhaps :decrease when less is better"
        raise CommandError(f"--metric {text!r}: expected {wanted}")
    return MetricColumn(name, column, KINDS[tail], "decrease" if less_is_better else "increase")


def weights_of(texts: list[str]) -> dict[str, float] | None:
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise CommandError(f"--weight {text!r}: expected NAME=W, W a number") from None
        if not name:
            raise CommandError(f"--weight {text!r}: expected NAME=W")
    return weights or None


def start_of(text: str | None) -> datetime:
    if text is None:
        return utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    try:
        return parse_moment(text)
    except ValueError as error:
        raise CommandError(f"--start: {error}") from None


def unit_fault(unit: str) -> str | None:
    problem = check_unit_id(unit)
    return problem.message if problem else None


def importer(username: str | None) -> Actor:
    """Who imports: the named user, else one that nobody can log in as. The command line acts as the machine."""
    users = get_user_model().objects
    if username is not None:
        named = users.filter(username=username).first()
        if named is None:
            raise CommandError(f"--owner: there is no user {username!r}")
        return _acting_for(named.pk)
    user, made = users.get_or_create(username="import", defaults={"is_active": False})
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return _acting_for(user.pk)


def _acting_for(user_id: int) -> Actor:
    return Actor(kind=ActorKind.MACHINE, label="import_experiment", user_id=user_id)
