"""Names of arms as files write them: "control", "Control " and "CONTROL" are one arm, and a notice
says so.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from analytics.core.intake.table_faults import BadTable

SHOWN = 5
"""Other spellings of an arm that a notice shows."""


def folded(name: str) -> str:
    """What two spellings of one name have in common: letters without case, single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def plain(name: str) -> str:
    """A name without the white space around it and with single spaces inside."""
    return " ".join(name.split())


@dataclass
class ArmNames:
    """Gives each spelling the arm's name: the one in ``told``, else the first in the file."""

    told: Iterable[str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    others: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for name in self.told or ():
            other = self.names.setdefault(folded(name), name)
            if other != name:
                raise BadTable(
                    f"{other!r} and {name!r} are read as one name, since only case or white space differ"
                )

    def named(self, text: str) -> str | None:
        """The arm of this cell; None where arms were told and this is none of them."""
        key = folded(text)
        if self.told is not None and key not in self.names:
            return None
        name = self.names.setdefault(key, plain(text))
        if text != name:
            self.others[name, text] += 1
        return name

    def notices(self) -> tuple[str, ...]:
        """One line for each arm that the file writes in several ways."""
        found: dict[str, list[str]] = {}
        for (name, text), rows in self.others.most_common():
            found.setdefault(name, []).append(
                f"{text!r} ({rows:,} {'row' if rows == 1 else 'rows'})"
            )
        return tuple(
            f"{name!r} is also written {', '.join(texts[:SHOWN])}: read as one name"
            for name, texts in sorted(found.items())
        )
