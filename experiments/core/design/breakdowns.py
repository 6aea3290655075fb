"""Breakdowns: by which covariates, frozen at first exposure, results are read; declared with their
values before launch.

They decide nothing and nobody signs them; a segment found after looking is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON

MOST = 5
MOST_VALUES = 20
LONGEST = 64


@dataclass(frozen=True)
class Breakdown:
    """A covariate's name and the values of it that are compared, in their order."""

    name: str
    values: tuple[str, ...]

    def as_json(self) -> dict[str, JSON]:
        return {"name": self.name, "values": list(self.values)}


def parse_breakdowns(document: JSON) -> tuple[Breakdown, ...]:
    """Breakdowns from their JSON, a list of ``{name, values}``; refuses anything else, naming the
    place. Nothing: none.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise InvalidInput(
            'breakdowns: expected a list like [{"name": "language", "values": ["de", "en"]}]',
            "breakdowns",
        )
    if len(document) > MOST:
        raise InvalidInput(
            f"breakdowns: {len(document)} covariates; expected at most {MOST}", "breakdowns"
        )
    found = tuple(_breakdown(entry, f"breakdowns[{index}]") for index, entry in enumerate(document))
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"breakdowns: {twice} is declared twice", "breakdowns")
    return found


def _breakdown(entry: JSON, path: str) -> Breakdown:
    if not isinstance(entry, dict) or set(entry) != {"name", "values"}:
        raise InvalidInput(
            f"{path}: expected exactly name and values, found {str(entry)[:80]}", path
        )
    values = entry["values"]
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_VALUES:
        raise InvalidInput(
            f"{path}.values: expected a list of 2 to {MOST_VALUES} values, found {str(values)[:80]}",
            f"{path}.values",
        )
    words = tuple(_word(value, f"{path}.values[{place}]") for place, value in enumerate(values))
    if len(set(words)) < len(words):
        raise InvalidInput(
            f"{path}.values: a value is declared twice in {', '.join(words)[:80]}", f"{path}.values"
        )
    return Breakdown(_word(entry["name"], f"{path}.name"), words)


def _word(value: JSON, path: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= LONGEST or "\x00" in value:
        raise InvalidInput(
            f"{path}: expected 1 to {LONGEST} characters, found {str(value)[:80]!r}", path
        )
    return value.strip()
