"""A ramp's steps as lines of text: what the form shows, and the reading of what people typed."""

from __future__ import annotations

import re
from typing import Any

from experiments.admin.fields import read_thousandths
from experiments.core.errors import InvalidInput
from experiments.core.figures import counted
from experiments.core.life.ramping import RampStep, parse_ramp, percent

_LINE = re.compile(
    r"(?P<share>[\d.,]+)\s*%(?:[\s,]*(?P<hours>\d{1,6})\s*h(?:ours?)?)?(?:[\s,]*(?P<units>\d{1,10})\s*units?)?",
    re.ASCII,
)
HELP = "One step a line: its share, then what going on from it waits for. The last is the share above. Empty: all of it at once."
PLACEHOLDER = "1 %, 24 h, 500 units"


def read_ramp(text: str) -> list[dict[str, Any]]:
    """``5 %, 48 h, 1000 units`` a line, as steps; whether they rise to the planned share is the
    design's rule.
    """
    return [_read(line) for line in filter(None, map(str.strip, text.splitlines()))]


def _read(line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidInput(
            f"Ramp: “{line[:80]}” does not read as share, hours, units ({PLACEHOLDER}).", "ramp"
        )
    share = read_thousandths(match["share"], "ramp", "Ramp: share") or 0
    return {"share": share, "hours": int(match["hours"] or 0), "units": int(match["units"] or 0)}


def written_ramp(document: Any) -> str:
    """Steps as the lines that ``read_ramp`` reads."""
    return "\n".join(_written(step) for step in parse_ramp(document))


def _written(step: RampStep) -> str:
    hours = f", {step.hours} h" if step.hours else ""
    return percent(step.share) + hours + (f", {counted(step.units, 'unit')}" if step.units else "")
