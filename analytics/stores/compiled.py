"""SQL that is compiled once for each kind of question, and filled with an experiment's own values
each time it is asked.

Compiling took nine tenths of the processor time of an analysis, and the text differs between two
experiments only in ids and moments. So a question is compiled with stand-ins for these: ids that no
row has, and moments in years that nobody lives in, each far enough from the next that what is added
to it (a window, a day of grace) says whose it is. The filled text is the one that compiling the
question itself would give, but for line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeAlias

import ibis
from ibis.expr.types import Table

from analytics.stores.base import OtherIteration, Population
from analytics.stores.forms import Question

KEPT = 1024
"""Compiled questions in a process: some 20 experiments with metrics of their own; about 10 kB each.
"""
MOST_PAUSES = 100
"""Long pauses that have stand-ins; a question with more of them is compiled for itself."""
FIRST_YEAR, YEARS = 3000, 20
_EXPERIMENT, _ITERATION, _OTHER = 7_100_000_000_001, 7_100_000_000_002, 7_100_000_000_003
_VARIANTS, _LIMITS = 7_200_000_000_000, 7_300_000_000.5
_LITERAL = re.compile(
    r"CAST\('(?P<moment>\d{4}-[^']+)' AS TIMESTAMPTZ\)"
    r"|MAKE_DATE\((?P<date>\d{4}, \d+, \d+)\)"
    r"|(?<![\w.])(?P<number>7[123]\d{8,11}(?:\.5)?)(?![\w.])"
)

Asked: TypeAlias = Population | Question
Limits: TypeAlias = Mapping[int, float]


@dataclass(frozen=True)
class Values:
    """What a question has in place of the stand-ins: moments by their place, ids and limits by
    their stand-in.
    """

    moments: Sequence[datetime]
    numbers: Mapping[str, str]


Slot: TypeAlias = Callable[[Values], str]


def statement(
    form: Callable[..., Table], asked: Asked, *rest: Hashable, limits: Limits | None = None
) -> str:
    """The SQL of ``form(asked, *rest)``; with ``limits`` (variant → value) as its last argument
    where there are some.

    ``rest`` is part of the key under which the text is kept: a metric, a covariate, a number of
    days.
    """
    people = asked if isinstance(asked, Population) else asked.population
    if len(people.blackouts) > MOST_PAUSES:
        more = () if limits is None else (limits,)
        return compiled(form(asked, *rest, *more))
    shape, values = _stand_ins(people, limits or {})
    shaped = shape if isinstance(asked, Population) else replace(asked, population=shape)
    return "".join(
        part if isinstance(part, str) else part(values)
        for part in _template(form, shaped, rest, None if limits is None else len(limits))
    )


def compiled(expression: Table) -> str:
    """An expression as PostgreSQL's text, with its values as literals."""
    return str(ibis.to_sql(expression, dialect="postgres"))


def _stand_ins(people: Population, limits: Limits) -> tuple[Population, Values]:
    """The same kind of population with stand-ins, and what they stand for."""
    pauses = tuple((_moment(3 + 2 * i), _moment(4 + 2 * i)) for i in range(len(people.blackouts)))
    shape = replace(
        people,
        experiment_id=_EXPERIMENT,
        iteration_id=_ITERATION,
        cut=_moment(0),
        exposed_from=None if people.exposed_from is None else _moment(1),
        rows_from=None if people.rows_from is None else _moment(2),
        blackouts=pauses,
        split=OtherIteration(_OTHER) if isinstance(people.split, OtherIteration) else people.split,
    )
    numbers = {
        str(_EXPERIMENT): str(people.experiment_id),
        str(_ITERATION): str(people.iteration_id),
    }
    if isinstance(people.split, OtherIteration):
        numbers[str(_OTHER)] = str(people.split.iteration_id)
    for i, (variant, limit) in enumerate(sorted(limits.items())):
        numbers |= {str(_VARIANTS + i): str(variant), repr(_LIMITS + i): repr(float(limit))}
    told = [people.cut, people.exposed_from or people.cut, people.rows_from or people.cut]
    return shape, Values(
        [*told, *(moment for pause in people.blackouts for moment in pause)], numbers
    )


def _moment(place: int) -> datetime:
    return datetime(FIRST_YEAR + YEARS * place, 7, 1, tzinfo=UTC)


@lru_cache(maxsize=KEPT)
def _template(
    form: Callable[..., Table], shaped: Asked, rest: tuple[Hashable, ...], limits: int | None
) -> tuple[str | Slot, ...]:
    """The compiled text in parts: as it is, and slots for what differs between experiments."""
    more = () if limits is None else ({_VARIANTS + i: _LIMITS + i for i in range(limits)},)
    text, parts, at = compiled(form(shaped, *rest, *more)), list[str | Slot](), 0
    for found in _LITERAL.finditer(text):
        slot = _slot(found)
        if slot is not None:
            parts += [text[at : found.start()], slot]
            at = found.end()
    return (*parts, text[at:])


def _slot(found: re.Match[str]) -> Slot | None:
    """What stands for the literal; None: it is one of the form's own."""
    if found["number"]:
        number = found["number"]
        return lambda values: values.numbers.get(number, number)
    if found["moment"]:
        return _moment_slot(datetime.fromisoformat(found["moment"]))
    return _date_slot(date(*map(int, found["date"].split(", "))))


def _moment_slot(literal: datetime) -> Slot | None:
    place = _place(literal.year)
    if place is None:
        return None
    after = literal - _moment(place)
    return lambda values: (
        f"CAST('{(values.moments[place] + after).astimezone(UTC).isoformat()}' AS TIMESTAMPTZ)"
    )


def _date_slot(literal: date) -> Slot | None:
    place = _place(literal.year)
    if place is None:
        return None
    after = literal - _moment(place).date()

    def filled(values: Values) -> str:
        day = values.moments[place].date() + after
        return f"MAKE_DATE({day.year}, {day.month}, {day.day})"

    return filled


def _place(year: int) -> int | None:
    """Which stand-in a year belongs to."""
    place = (year - FIRST_YEAR + YEARS // 2) // YEARS
    return place if year >= FIRST_YEAR - YEARS // 2 else None
