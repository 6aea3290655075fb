"""How a file writes its numbers: which mark begins the decimals, and which, if any, stands between
thousands.

A file has one way for all its number columns. It is found from the cells: a way fits when it reads
every cell. Ways that read all cells alike are one way. Where two that fit read some cell
differently (1.250 is 1.25 or 1,250), nothing is guessed: the refusal gives both readings and the
options that decide. Every pattern is linear in the cell's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from analytics.core.intake.magnitudes import fits

SPACES: Final = "\u00a0\u202f\u2009"
"""Spaces of typesetters, read as a plain one."""
THOUSANDS: Final = {"none": "", ".": ".", ",": ",", "space": " ", "'": "'"}
"""What a person may say of the mark between thousands, and the mark."""
WHOLE = re.compile(r"[+-]?[0-9]+")
LONGEST = 60
"""Longer cells are no numbers."""


@dataclass(frozen=True, slots=True)
class NumberMarks:
    """One way to write numbers."""

    decimal: str = "."
    thousands: str = ""
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole = (
            "[0-9]*"
            if not self.thousands
            else rf"(?:[1-9][0-9]{{0,2}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|[0-9]*)"
        )
        object.__setattr__(
            self,
            "pattern",
            re.compile(rf"[+-]?{whole}(?:{re.escape(self.decimal)}[0-9]*)?(?:[eE][+-]?[0-9]+)?"),
        )

    def read(self, text: str) -> float | None:
        """A finite number; None for anything else."""
        plain = text.strip().replace("’", "'")
        if len(plain) > LONGEST:
            return None
        for space in SPACES:
            plain = plain.replace(space, " ")
        if not self.pattern.fullmatch(plain):
            return None
        if self.thousands:
            plain = plain.replace(self.thousands, "")
        try:
            number = float(plain.replace(self.decimal, "."))
        except ValueError:
            return None
        return number if fits(number) else None

    @property
    def options(self) -> str:
        """The options that say this way."""
        said = next(word for word, mark in THOUSANDS.items() if mark == self.thousands)
        return f'--decimal "{self.decimal}" --thousands "{said}"'

    @property
    def words(self) -> str:
        """For people: decimal comma, a point between thousands."""
        names = {".": "point", ",": "comma", " ": "space", "'": "apostrophe"}
        between = (
            f"a {names[self.thousands]} between thousands"
            if self.thousands
            else "no mark between thousands"
        )
        return f"decimal {names[self.decimal]}, {between}"


WAYS: Final = tuple(
    NumberMarks(decimal, thousands)
    for decimal in (".", ",")
    for thousands in ("", "," if decimal == "." else ".", " ", "'")
)
"""All ways that are known; earlier ones first where several read everything alike."""


class TwoWays(Exception):
    """A column can be read in two ways, or columns need different ones."""


def ways_told(decimal: str | None, thousands: str | None) -> tuple[NumberMarks, ...]:
    """The ways that are left after what a person said; refuses one mark for both."""
    mark = None if thousands is None else THOUSANDS[thousands]
    if decimal is not None and mark == decimal:
        raise TwoWays(f"--decimal and --thousands are both {decimal!r}; they are different marks")
    return tuple(
        way for way in WAYS if decimal in (None, way.decimal) and mark in (None, way.thousands)
    )


@dataclass
class _Column:
    """What one column leaves of the ways, and for two ways the first cell that they read
    differently.
    """

    ways: list[NumberMarks]
    may_be_text: bool = False
    all_ways: tuple[NumberMarks, ...] = field(init=False)
    differ: dict[tuple[NumberMarks, NumberMarks], tuple[int, str]] = field(default_factory=dict)
    last: tuple[int, str] = (0, "")

    def __post_init__(self) -> None:
        self.all_ways = tuple(self.ways)

    def take(self, line: int, text: str) -> None:
        readings = [(way, way.read(text)) for way in self.ways]
        kept = [(way, number) for way, number in readings if number is not None]
        if (
            not kept
            and not self.may_be_text
            and all(way.read(text) is None for way in self.all_ways)
        ):
            return  # no number in any way: a fault of this cell, which says nothing of the others
        if len(kept) < len(readings):
            self.ways, self.last = [way for way, _ in kept], (line, text)
        for place, (one, first) in enumerate(kept):
            for other, second in kept[place + 1 :]:
                if first != second:
                    self.differ.setdefault((one, other), (line, text))


class MarkFinder:
    """Takes cells of number columns and says how the file writes its numbers.

    ``optional`` columns may hold texts: one that no way reads as a whole takes no part.
    """

    def __init__(
        self,
        columns: Iterable[str],
        optional: Iterable[str] = (),
        ways: Sequence[NumberMarks] = WAYS,
    ) -> None:
        self._ways = tuple(ways)
        self._columns = {name: _Column(list(ways)) for name in columns}
        self._columns |= {name: _Column(list(ways), may_be_text=True) for name in optional}

    def take(self, column: str, line: int, text: str) -> None:
        """One cell that is not empty; digits alone mean the same in every way."""
        if not WHOLE.fullmatch(text):
            self._columns[column].take(line, text)

    def found(self) -> NumberMarks:
        """The file's way; ``TwoWays`` says why there is none. Cells that no way reads are left to
        the reader, which knows their lines.
        """
        read = {name: column for name, column in self._columns.items() if column.ways}
        shared = [way for way in self._ways if all(way in column.ways for column in read.values())]
        if not shared:
            raise TwoWays(self._against_each_other(read))
        for name, column in read.items():
            for other in shared[1:]:
                if (shared[0], other) in column.differ:
                    raise TwoWays(_both(name, shared[0], other, *column.differ[shared[0], other]))
        return shared[0]

    def _against_each_other(self, read: Mapping[str, _Column]) -> str:
        left, names = list(self._ways), list(read)
        for name in names:
            still = [way for way in left if way in read[name].ways]
            if not still:
                before = next(n for n in names if left[0] not in read[name].ways and n != name)
                line, text = read[name].last
                there, here = left[0].words, read[name].ways[0].words
                return (
                    f"one file has one decimal mark: column {before!r} is read with a {there},"
                    f" column {name!r} (line {line}: {text!r}) with a {here}; write both the same way, or give --decimal and --thousands"
                )
            left = still
        return "the columns need different decimal marks"


def _both(column: str, one: NumberMarks, other: NumberMarks, line: int, text: str) -> str:
    return (
        f"column {column!r} can be read in two ways: {text!r} on line {line} is {one.read(text):.15g} ({one.options})"
        f" or {other.read(text):.15g} ({other.options}); choose with --decimal or --thousands"
    )
