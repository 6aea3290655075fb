"""What is wrong with a file: faults of one kind are one line, with their number and three
examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from experiments.core.figures import counted

MOST_KINDS: Final = 20
"""Kinds of faults that are named before the rest is only counted."""
EXAMPLES: Final = 3
"""Examples of each kind."""


class BadTable(Exception):
    """The file cannot be imported; ``faults`` say where and why."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([message, *faults]))
        self.faults = tuple(faults)


@dataclass
class _Kind:
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def sentence(self, what: str) -> str:
        if self.count == 1:
            [(line, detail)] = self.examples
            return f"line {line}: {what}" + (f" ({detail})" if detail else "")
        shown = ", ".join(
            f"line {line}" + (f" ({detail})" if detail else "") for line, detail in self.examples
        )
        return f"{self.count:,} rows: {what}; for example {shown}"


@dataclass
class Faults:
    """Collects what is wrong, so that a person sees every kind of fault at once."""

    kinds: dict[str, _Kind] = field(default_factory=dict)
    count: int = 0

    def add(self, line: int, what: str, detail: str = "") -> None:
        """One fault: ``what`` is the same for all of its kind, ``detail`` belongs to this row."""
        self.count += 1
        kind = self.kinds.setdefault(what, _Kind())
        kind.count += 1
        if len(kind.examples) < EXAMPLES:
            kind.examples.append((line, detail))

    def settle(self) -> None:
        """Raises ``BadTable`` when there is any fault; the kind that most rows have comes first."""
        if not self.count:
            return
        kinds = sorted(self.kinds.items(), key=lambda one: -one[1].count)
        named = [kind.sentence(what) for what, kind in kinds[:MOST_KINDS]]
        left = sum(kind.count for _, kind in kinds[MOST_KINDS:])
        rest = [f"… and {left:,} faults of {len(kinds) - MOST_KINDS} other kinds"] if left else []
        raise BadTable(
            f"{counted(self.count, 'fault')} in the rows; nothing was imported:", [*named, *rest]
        )
