"""How a file writes its numbers, as both imports ask and show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from analytics.core.number_marks import THOUSANDS, NumberMarks, TwoWays, ways_told


def add_number_options(parser: CommandParser) -> None:
    """``--decimal`` and ``--thousands``; without them the cells say it, or the file is refused."""
    parser.add_argument("--decimal", choices=(".", ","), help="the mark before decimals; default: what all cells agree on")
    parser.add_argument("--thousands", choices=tuple(THOUSANDS), help="the mark between thousands; default: what all cells agree on")


def told_ways(options: Mapping[str, Any]) -> tuple[NumberMarks, ...]:
    """The ways that the options leave."""
    try:
        return ways_told(options["decimal"], options["thousands"])
    except TwoWays as refusal:
        raise CommandError(str(refusal)) from refusal


def as_read(marks: NumberMarks, columns: Mapping[str, Sequence[float]]) -> str:
    """The first numbers of each column, so that a person sees how they were read."""
    shown = "; ".join(f"{name}: {', '.join(f'{value:.15g}' for value in values)}" for name, values in columns.items() if values)
    return f"numbers as read ({marks.words}): {shown}"
