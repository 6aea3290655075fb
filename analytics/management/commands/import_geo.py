"""Bring in a geo pilot, from a CSV with one row per region and period.

    manage.py import_geo organ_donations.csv --key organ --region State --period Quarter --value Rate \\
        --treated California --post Q32011,Q42011,Q12012

    manage.py import_geo njmin3.csv --key minimum_wage --pair-rows --same bk,kfc,roys,wendys \\
        --treated-column nj --period d --post 1 --value fte --allow-missing --region-label store

The first names the treated regions; the second has no region column, so that the k-th row of a group
before is paired with its k-th row after. ``manage.py analyze KEY`` reads the pilot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.intake.geo_table import GeoColumns, GeoNames, GeoTable, read_geo_table
from analytics.core.intake.number_marks import NumberMarks
from analytics.core.intake.table_faults import BadTable
from analytics.management.commands.import_experiment import importer
from analytics.management.table_options import (
    add_table_options,
    as_read,
    data_of,
    told_moments,
    told_ways,
)
from analytics.services.importing.geo import import_pilot
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError

CLUSTERED = (
    "--cluster: the region is the cluster of a geo pilot, and its errors allow for what a region's periods share. Leave the option out; "
    "if larger areas were treated as a whole, add their regions up and give the area's column as --region"
)


class Command(BaseCommand):
    help = (
        "Bring in a geo pilot (regions over periods, some treated from one moment on), from a CSV."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument("--key", required=True, help="the experiment's key here")
        parser.add_argument("--value", required=True, metavar="COL", help="what was measured")
        parser.add_argument(
            "--period",
            required=True,
            metavar="COL",
            help="when; numbers and dates are ordered, else the file's order counts",
        )
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument(
            "--region", metavar="COL", help="the unit of analysis: region, city, store"
        )
        who.add_argument(
            "--pair-rows",
            action="store_true",
            help="no such column: the k-th row of a group in each period is one unit",
        )
        parser.add_argument(
            "--same",
            action="extend",
            nargs="+",
            default=[],
            metavar="COL[,COL]",
            help="may not change within a unit",
        )
        treated = parser.add_mutually_exclusive_group(required=True)
        treated.add_argument(
            "--treated", action="extend", nargs="+", metavar="NAME[,NAME]", help="treated regions"
        )
        treated.add_argument(
            "--treated-column", metavar="COL", help="1 for all rows of a treated region"
        )
        treated.add_argument(
            "--status-column", metavar="COL", help="1 for rows in which treatment was on"
        )
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--post",
            action="extend",
            nargs="+",
            metavar="PERIOD[,PERIOD]",
            help="all periods from the start on",
        )
        when.add_argument("--start-period", metavar="PERIOD", help="the first of them")
        parser.add_argument(
            "--cluster", metavar="COL", help="refused: a region is the cluster of a pilot"
        )
        parser.add_argument(
            "--order",
            action="extend",
            nargs="+",
            default=[],
            metavar="PERIOD[,PERIOD]",
            help="the order of periods",
        )
        parser.add_argument(
            "--allow-missing",
            "--skip-empty",
            action="store_true",
            help="an empty value is a cell that was not observed",
        )
        parser.add_argument(
            "--metric", metavar="NAME", help="what the values are; default: the column's name"
        )
        parser.add_argument(
            "--region-label",
            metavar="WORD",
            help="what a region is; default: the column's name, else unit",
        )
        parser.add_argument("--confidence", default="0.95", metavar="LEVEL")
        add_table_options(parser)
        parser.add_argument(
            "--owner", metavar="USERNAME", help="whose experiment it is; default: the user import"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        table = self.read(path, columns_of(options), names_of(options), told_ways(options))
        panel = table.panel
        counts = (
            f"{panel.n_treated} treated and {panel.n_control} control, {len(panel.periods)} periods"
        )
        gaps = f", {panel.missing} cells not observed" if panel.missing else ""
        self.stdout.write(f"{path.name}: {len(panel.regions)} regions, {counts}{gaps}")
        for notice in table.notices:
            self.stdout.write(f"notice: {notice}")
        self.stdout.write(as_read(table.marks, {options["value"]: table.first}))
        self.stdout.write(
            f"periods in order: {', '.join(panel.periods)[:400]}; treated from {panel.periods[int((~panel.post).sum())]} on"
        )
        try:
            done = import_pilot(
                importer(options["owner"]),
                utc_now(),
                key=options["key"],
                panel=panel,
                metric=options["metric"] or options["value"],
                region_label=options["region_label"] or options["region"] or "unit",
                confidence_level=options["confidence"],
                source=path.name,
            )
        except AssayError as error:
            raise CommandError(f"nothing was imported: {error}") from error
        self.stdout.write(
            f"{done.key}: {done.cells:,} values imported; next: manage.py analyze {done.key}"
        )

    def read(
        self, path: Path, columns: GeoColumns, names: GeoNames, ways: tuple[NumberMarks, ...]
    ) -> GeoTable:
        data = data_of(path)
        try:
            return read_geo_table(data, columns, names, ways)
        except BadTable as error:
            raise CommandError(f"{path.name}: {error}") from error


def columns_of(options: dict[str, Any]) -> GeoColumns:
    if options["pair_rows"] and options["treated_column"] is None:
        raise CommandError(
            "--pair-rows: rows are paired within groups, so --treated-column has to say which group a row is of"
        )
    if options["cluster"] is not None:
        raise CommandError(CLUSTERED)
    return GeoColumns(
        value=options["value"],
        period=options["period"],
        region=options["region"],
        treated=options["treated_column"],
        status=options["status_column"],
        same=separated(options["same"]),
    )


def names_of(options: dict[str, Any]) -> GeoNames:
    if options["order"] and (options["time_zone"] or options["date_format"]):
        raise CommandError(
            "--order says the order of the periods itself: leave out --time-zone and --date-format"
        )
    told = options["post"] is not None or options["start_period"] is not None
    if told == (options["status_column"] is not None):
        wanted = (
            "says itself when treatment began: leave out"
            if told
            else "does not say when treatment began: give"
        )
        raise CommandError(
            f"--{'status-column' if told else 'treated'} {wanted} --post or --start-period"
        )
    return GeoNames(
        treated=tuple(options["treated"] or ()),
        post=tuple(options["post"] or ()),
        start=options["start_period"],
        order=separated(options["order"]),
        gaps=options["allow_missing"],
        moments=told_moments(options),
        keep_first=options["duplicates"] == "first",
    )


def separated(texts: list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())
