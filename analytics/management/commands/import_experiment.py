"""Bring in an experiment that was randomised elsewhere, from a CSV with one row per unit.

    manage.py import_experiment cookie_cats.csv --key cookie_cats --unit userid --variant version \\
        --metric retention_7=retention_7:proportion --metric rounds=sum_gamerounds:mean

    manage.py import_experiment orders.csv --key basket --variant arm --cluster shop --unit order \\
        --timestamp at --time-zone Europe/Berlin --date-format "%d.%m.%Y %H:%M" --skip-empty \\
        --metric margin=profit/revenue:ratio --metric p95=seconds:quantile:.95:decrease

The first metric becomes the primary one. Without --unit every row is a unit of its own, named by
its number. Without --timestamp and --start everybody was exposed at yesterday's midnight (UTC).
With --cluster the randomised unit is the cluster, and its rows are the values that it has.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.intake.cell_moments import MomentReader
from analytics.core.intake.import_columns import Columns
from analytics.core.intake.import_table import FileReading, ImportTable, read_table
from analytics.core.intake.table_faults import BadTable
from analytics.management.metric_words import WANTED, metrics_of, weights_of
from analytics.management.table_options import (
    add_table_options,
    as_read,
    data_of,
    told_moments,
    told_ways,
)
from analytics.services.importing.imports import import_experiment
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import Actor, ActorKind
from experiments.core.units import check_unit_id

SHOWN = 3
"""Values of a column that are shown as they were read."""


class Command(BaseCommand):
    help = "Bring in an experiment randomised elsewhere, from a CSV with one row per unit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument("--key", required=True, help="the experiment's key here")
        parser.add_argument("--variant", required=True, metavar="COL")
        parser.add_argument(
            "--unit",
            metavar="COL",
            help="the unit's id; without it each row is a unit, named by its number",
        )
        parser.add_argument(
            "--unit-type", default="user", metavar="TYPE", help="what was randomised; default: user"
        )
        parser.add_argument(
            "--cluster",
            metavar="COL",
            help="rows that were randomised as one, such as a shop's; errors are cluster-robust",
        )
        parser.add_argument(
            "--control",
            metavar="NAME",
            help="default: control or baseline, else the first variant in the file",
        )
        parser.add_argument(
            "--weight",
            action="extend",
            nargs="+",
            default=[],
            metavar="NAME=W",
            help="share of a variant; default: equal",
        )
        parser.add_argument(
            "--covariate",
            action="extend",
            nargs="+",
            default=[],
            metavar="COL",
            help="known before exposure; CUPED takes the first that is a number",
        )
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--timestamp", metavar="COL", help="when the unit was exposed: a date or a moment"
        )
        when.add_argument(
            "--start", metavar="DATE", help="when all units were exposed; default: yesterday"
        )
        parser.add_argument(
            "--metric",
            action="extend",
            nargs="+",
            required=True,
            metavar="NAME=COL:KIND",
            help=WANTED,
        )
        parser.add_argument(
            "--skip-empty",
            action="store_true",
            help="leave out empty values and covariates, and test whether arms differ in them",
        )
        add_table_options(parser)
        parser.add_argument(
            "--owner", metavar="USERNAME", help="whose experiment it is; default: the user import"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        path, columns = Path(options["file"]), columns_of(options)
        weights = weights_of(options["weight"])
        table = self.read(path, columns, reading_of(options, weights))
        self.stdout.write(f"{path.name}: {_counted(table)}, variants {', '.join(table.variants)}")
        for notice in table.notices:
            self.stdout.write(f"notice: {notice}")
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
                self.stdout.write(
                    f"metric {name} is called {key} here, since its name means something else already or cannot be a key"
                )
        for warning in done.warnings:
            self.stdout.write(f"warning: {warning}")
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{done.key}: imported in {seconds:.1f} s; next: manage.py analyze {done.key}"
        )

    def read(self, path: Path, columns: Columns, reading: FileReading) -> ImportTable:
        data = data_of(path)
        try:
            return read_table(data, columns, reading)
        except BadTable as error:
            raise CommandError(f"{path.name}: {error}") from error

    def progress(self, done: int, total: int) -> None:
        end = "\n" if done == total or not sys.stdout.isatty() else "\r"
        self.stdout.write(
            f"  values of {done:,} of {total:,} rows stored ({done / total:.0%})", ending=end
        )
        self.stdout.flush()


def first_values(table: ImportTable, columns: Columns) -> dict[str, list[float]]:
    """The first values of every metric's columns."""
    found: dict[str, list[float]] = {}
    for place, metric in enumerate(columns.metrics):
        known = [
            numbers
            for row in table.rows[: 10 * SHOWN]
            if (numbers := row.values[place]) is not None
        ]
        for part, column in enumerate(metric.columns):
            found[column] = [numbers[part] for numbers in known[:SHOWN]]
    return found


def _counted(table: ImportTable) -> str:
    if table.clustered:
        return f"{len(table.rows):,} rows of {len(table.units):,} clusters"
    return f"{len(table.units):,} units"


def reading_of(options: dict[str, Any], weights: dict[str, float] | None) -> FileReading:
    """How the options say that the file is read."""
    moments = told_moments(options)
    return FileReading(
        start=start_of(options["start"], MomentReader(moments.zone)),
        moments=moments,
        arms=None if weights is None else tuple(weights),
        unit_fault=unit_fault,
        ways=told_ways(options),
        skip_empty=options["skip_empty"],
        keep_first=options["duplicates"] == "first",
    )


def columns_of(options: dict[str, Any]) -> Columns:
    return Columns(
        variant=options["variant"],
        metrics=metrics_of(options["metric"]),
        unit=options["unit"],
        timestamp=options["timestamp"],
        covariates=tuple(options["covariate"]),
        cluster=options["cluster"],
    )


def start_of(text: str | None, moments: MomentReader) -> datetime:
    if text is None:
        return utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    try:
        return moments.read(text)
    except ValueError as error:
        raise CommandError(f"--start {text!r}: {error}") from None


def unit_fault(unit: str) -> str | None:
    problem = check_unit_id(unit)
    return problem.message if problem else None


def importer(username: str | None) -> Actor:
    """Who imports: the named user, else one that nobody can log in as. The command line acts as the
    machine.
    """
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
