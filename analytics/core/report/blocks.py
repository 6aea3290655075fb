"""What a report is made of, whatever it is written as: headings, words, lists, tables, drawings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone = Literal["plain", "lead", "quote", "caution", "bad"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 (the title) to 4."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; ``quote`` is a person's own text, ``caution`` and ``bad`` must not be missed."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under ``columns``; ``numbers`` are the positions of columns that hold
    figures.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference and its interval, in the metric's units; ``tone`` good, bad or nothing."""

    label: str
    value: float
    low: float | None
    high: float | None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """Differences from control around zero; ``margin`` is where harm begins, ``share`` says they
    are shares.
    """

    title: str
    share: bool
    estimates: tuple[Estimate, ...]
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class LookPoint:
    """One look: information time 0 to 1, z, and the boundary for |z| (None: nothing could be
    spent).
    """

    t: float
    z: float
    boundary: float | None


@dataclass(frozen=True, slots=True)
class LooksChart:
    """The path of z over information time, arm by arm, against the boundary."""

    title: str
    paths: tuple[tuple[str, tuple[LookPoint, ...]], ...]


Block: TypeAlias = Heading | Words | Items | Table | IntervalChart | LooksChart
