"""Sums that keep the spread of values far from 0 (a Unix time, a counter reading).

A question is asked once with plain sums. Where these cannot hold the spread, it is asked a second
time, and every group's values are then counted from the least of them. Values that are all equal
need no second pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement
from operator import and_
from typing import Any

import ibis
from ibis.expr.types import Table, Value

from analytics.core.ground.moments import UnitMoments

WASHED_OUT = 1e-6
"""A spread below this share of the squares is asked for again: plain sums over 10⁷ rows lose up to
10⁻⁹ of them.
"""

Row = Mapping[str, Any]
"""What a database answers. Any: columns have the types of their table."""
Run = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Origins:
    """What each group's values are counted from: by the group's values of ``keys``, then by
    variable.
    """

    keys: tuple[str, ...]
    of: Mapping[tuple[Any, ...], Mapping[str, float]]

    def subtracted(self, table: Table, names: Sequence[str]) -> Table:
        """The table with the variables less their group's origin."""
        return table.mutate(**{name: table[name] - self._column(table, name) for name in names})

    def _column(self, table: Table, name: str) -> Value:
        if not self.keys:
            return ibis.literal(self.of[()][name])
        cases = [
            (self._is(table, group), ibis.literal(float(of[name]))) for group, of in self.of.items()
        ]
        return ibis.cases(*cases, else_=ibis.literal(0.0))

    def _is(self, table: Table, group: tuple[Any, ...]) -> Value:
        return reduce(
            and_, (table[key] == ibis.literal(v) for key, v in zip(self.keys, group, strict=True))
        )


def product_name(one: str, two: str) -> str:
    """The column that holds Σ one·two."""
    return f"sum_{one}_{two}"


def totalled(
    table: Table,
    keys: Sequence[str],
    names: Sequence[str],
    origins: Origins | None,
    beside: Callable[[Table], Mapping[str, Value]] = lambda _: {},
) -> Table:
    """Per group: how many have values, Σ of each variable and of each product of two, and each
    one's extremes.
    """
    rows = table if origins is None else origins.subtracted(table, names)
    sums: dict[str, Value] = {"answered": rows[names[0]].count()}
    for name in names:
        column = rows[name]
        sums |= {
            f"sum_{name}": column.sum(),
            f"least_{name}": column.min(),
            f"most_{name}": column.max(),
        }
    for one, two in combinations_with_replacement(names, 2):
        sums[product_name(one, two)] = (rows[one] * rows[two]).sum()
    grouped = rows.group_by(*keys) if keys else rows
    return grouped.aggregate(**sums, **beside(rows))


def asked(
    run: Run, first: str, again: Callable[[Origins], str], keys: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of a question about totals; ``again`` is its text with origins, where those are
    needed.
    """
    rows = run(first)
    origins = origins_for(rows, keys, names)
    if origins is None:
        return rows
    return [row | {"origins": origins.of.get(_group(row, keys))} for row in run(again(origins))]


def origins_for(rows: Iterable[Row], keys: Sequence[str], names: Sequence[str]) -> Origins | None:
    """The least value of each variable whose plain sums lose its spread, 0 for the others; None
    where no sum does.
    """
    of = {
        _group(row, keys): {
            name: row[f"least_{name}"] if _washed_out(row, name) else 0.0 for name in names
        }
        for row in rows
        if row["answered"]
    }
    needed = any(origin for group in of.values() for origin in group.values())
    return Origins(tuple(keys), of) if needed else None


def moments_of(row: Row, names: Sequence[str], units: int | None = None) -> UnitMoments:
    """Moments of one group; ``units``: how many there are in all, of which the silent ones count as
    0.
    """
    answered = int(row.get("answered") or 0)
    found = _answered(row, names, answered)
    silent = 0 if units is None else units - answered
    zeros = (
        UnitMoments(silent, tuple(names), (0.0,) * len(names), (0.0,) * len(found.products))
        if silent > 0
        else None
    )
    return found if zeros is None else found + zeros


def extremes(row: Row, name: str) -> list[float]:
    """[least, most] of a variable; nothing where nobody answered."""
    if not row.get("answered"):
        return []
    origin = _origin(row, name)
    return [origin + float(row[f"least_{name}"]), origin + float(row[f"most_{name}"])]


def _answered(row: Row, names: Sequence[str], n: int) -> UnitMoments:
    """A variable whose values are all equal is counted from that value: its spread is 0, whatever
    rounding left.
    """
    if not n:
        return UnitMoments(
            0, tuple(names), (0.0,) * len(names), (0.0,) * (len(names) * (len(names) + 1) // 2)
        )
    constant = {name for name in names if row[f"least_{name}"] == row[f"most_{name}"]}
    origins = [
        _origin(row, name) + (float(row[f"least_{name}"]) if name in constant else 0.0)
        for name in names
    ]
    sums = [0.0 if name in constant else float(row[f"sum_{name}"]) for name in names]
    pairs = combinations_with_replacement(names, 2)
    products = [0.0 if constant & set(pair) else float(row[product_name(*pair)]) for pair in pairs]
    return UnitMoments.about(n, names, origins, sums, products)


def _origin(row: Row, name: str) -> float:
    return float((row.get("origins") or {}).get(name, 0.0))


def _group(row: Row, keys: Sequence[str]) -> tuple[Hashable, ...]:
    return tuple(row[key] for key in keys)


def _washed_out(row: Row, name: str) -> bool:
    if row[f"least_{name}"] == row[f"most_{name}"]:
        return False
    total, squares = float(row[f"sum_{name}"]), float(row[product_name(name, name)])
    return bool(squares - total * (total / row["answered"]) < WASHED_OUT * squares)
