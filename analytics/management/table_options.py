"""How a file is read, as both imports ask for it and show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from analytics.core.intake.cell_moments import MomentReader, moment_reader
from analytics.core.intake.number_marks import THOUSANDS, NumberMarks, TwoWays, ways_told

FORM = "how dates are written, such as %%d.%%m.%%Y or unix; default: ISO 8601 (2026-01-31)"

ZONE = "the zone of dates and of moments without one, such as Europe/Berlin"


def add_table_options(parser: CommandParser) -> None:
    """``--decimal``, ``--thousands``, ``--date-format``, ``--time-zone`` and ``--duplicates``;
    without them the cells say it, or the file is refused."""
    parser.add_argument(
        "--decimal",
        choices=(".", ","),
        help="the mark before decimals; default: what all cells agree on",
    )
    parser.add_argument(
        "--thousands",
        choices=tuple(THOUSANDS),
        help="the mark between thousands; default: what all cells agree on",
    )
    parser.add_argument("--date-format", metavar="FORM", help=FORM)
    parser.add_argument("--time-zone", metavar="NAME", help=ZONE)
    parser.add_argument(
        "--duplicates",
        choices=("refuse", "first"),
        default="refuse",
        help="rows that repeat one: a fault (default), or left out",
    )


def told_ways(options: Mapping[str, Any]) -> tuple[NumberMarks, ...]:
    """The ways to write numbers that the options leave."""
    try:
        return ways_told(options["decimal"], options["thousands"])
    except TwoWays as refusal:
        raise CommandError(str(refusal)) from refusal


def told_moments(options: Mapping[str, Any]) -> MomentReader:
    """How moments are written, by the options."""
    try:
        return moment_reader(options["time_zone"], options["date_format"])
    except ValueError as refusal:
        raise CommandError(str(refusal)) from refusal


def data_of(path: Path) -> bytes:
    """The file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error


def as_read(marks: NumberMarks, columns: Mapping[str, Sequence[float]]) -> str:
    """The first numbers of each column, so that a person sees how they were read."""
    shown = "; ".join(
        f"{name}: {', '.join(f'{value:.15g}' for value in values)}"
        for name, values in columns.items()
        if values
    )
    return f"numbers as read ({marks.words}): {shown}"
