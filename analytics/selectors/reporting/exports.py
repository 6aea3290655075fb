"""Results as files: a table for spreadsheets, and everything as JSON. What is masked stays
masked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from analytics.core.ground.encoding import plain
from analytics.core.sheet import Cell, sheet
from analytics.selectors.results import ComparisonView, MetricArmView, MetricRow, ResultsView

HEADER = (
    "experiment", "iteration", "analysed_at", "data_up_to", "masked", "metric", "name", "role", "kind", "better_is", "unit", "window_hours",
    "arm", "control", "units", "value", "reading", "difference", "low", "high", "level", "lift", "p", "adjusted_p", "adjustment", "verdict",
    "guardrail", "notes", "cannot_say",
)  # fmt: skip
VERSION = 1
"""Of the JSON; it rises when a key changes its meaning."""
Cells = dict[str, Cell]


def results_csv(view: ResultsView) -> str:
    """A line per metric, arm and reading (fixed, sequential, CUPED); masked: one line that says why
    and has no number.
    """
    head: Cells = {
        "experiment": view.experiment,
        "iteration": view.iteration,
        "analysed_at": view.computed_at.isoformat(),
        "data_up_to": view.as_of.isoformat(),
        "masked": "yes" if view.masked else "no",
    }
    lines = iter([Cells(cannot_say=view.masked_why)]) if view.masked else _lines(view)
    return sheet(HEADER, ([(head | line).get(name) for name in HEADER] for line in lines))


def results_json(view: ResultsView) -> str:
    """The whole of what pages show, with the version of this format."""
    return (
        json.dumps({"version": VERSION, "results": plain(view)}, ensure_ascii=False, indent=1)
        + "\n"
    )


def _lines(view: ResultsView) -> Iterator[Cells]:
    controls = {arm.key for arm in view.arms if arm.is_control}
    for row in view.metrics:
        against = {one.arm: one for one in row.comparisons}
        verdicts = {one.arm: one.verdict for one in row.guardrails}
        for arm in row.arms:
            who, found = _who(row, arm, arm.arm in controls), against.get(arm.arm)
            if found is None:
                yield who
                continue
            for reading in _readings(found):
                yield who | reading | {"guardrail": verdicts.get(arm.arm)}


def _who(row: MetricRow, arm: MetricArmView, control: bool) -> Cells:
    return {
        "metric": row.key,
        "name": row.name,
        "role": row.role,
        "kind": row.kind,
        "better_is": "higher" if row.direction == "increase" else "lower",
        "unit": row.scale,
        "window_hours": row.window_hours,
        "arm": arm.arm,
        "control": "yes" if control else "no",
        "units": arm.n,
        "value": arm.mean,
    }


def _readings(one: ComparisonView) -> Iterator[Cells]:
    fixed = (
        "difference",
        "low",
        "high",
        "level",
        "lift",
        "p",
        "adjusted_p",
        "adjustment",
        "verdict",
    )
    yield {
        "reading": "fixed",
        **{name: getattr(one, name) for name in fixed},
        "notes": "; ".join(one.notes),
        "cannot_say": one.reason,
    }
    if one.always is not None:
        inside = one.always.interval
        yield {
            "reading": "sequential", "difference": one.difference, "low": inside.low, "high": inside.high, "level": inside.level,
            "p": one.always.p,
        }  # fmt: skip
    if one.cuped is not None:
        names = ("difference", "low", "high", "level", "lift", "p")
        yield {
            "reading": "cuped",
            **{name: getattr(one.cuped, name) for name in names},
            "notes": "; ".join(one.cuped.notes),
        }
