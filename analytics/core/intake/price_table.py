"""Prices of models from a CSV file: ``model,valid_from,price_in,price_out``, money per million
tokens.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

COLUMNS = ("model", "valid_from", "price_in", "price_out")
LONGEST = 200
DEAREST = Decimal(100_000)
"""Per million tokens; above it a price was meant per thousand, or in cents."""
DECIMALS = 6


@dataclass(frozen=True)
class Price:
    """A model's price from a UTC date until its next one, per million tokens in and out."""

    model: str
    valid_from: date
    price_in: Decimal
    price_out: Decimal


class BadPrices(Exception):
    """Texts that are no prices: a sentence for each."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def parse_prices(text: str) -> tuple[Price, ...]:
    """Every line of a file; refuses it whole, naming each bad line, so that no half of it is
    loaded.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if tuple(name.strip() for name in reader.fieldnames or ()) != COLUMNS:
        raise BadPrices(
            f"expected the columns {','.join(COLUMNS)}, found {','.join(reader.fieldnames or ())[:200] or 'none'}"
        )
    reader.fieldnames = list(COLUMNS)
    found: list[Price] = []
    bad: list[str] = []
    for row in reader:
        try:
            found.append(read_price({name: row.get(name) or "" for name in COLUMNS}))
        except BadPrices as refusal:
            bad.append(f"line {reader.line_num}: {refusal}")
    keys = [(price.model, price.valid_from) for price in found]
    bad += sorted(
        {
            f"{model} from {day} stands there twice"
            for model, day in keys
            if keys.count((model, day)) > 1
        }
    )
    if bad:
        raise BadPrices(*bad)
    return tuple(found)


def read_price(row: Mapping[str, str]) -> Price:
    """One price from its texts; refuses what cannot be one."""
    model, day, price_in, price_out = (row[name].strip() for name in COLUMNS)
    if not 1 <= len(model) <= LONGEST or "\x00" in model:
        raise BadPrices(f"model: expected 1 to {LONGEST} characters, found {model[:80]!r}")
    try:
        valid_from = date.fromisoformat(day)
    except ValueError:
        raise BadPrices(
            f"valid_from: expected a date like 2026-03-01, found {day[:40]!r}"
        ) from None
    return Price(model, valid_from, _money(price_in, "price_in"), _money(price_out, "price_out"))


def _money(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadPrices(
            f"{name}: expected money per million tokens like 2.50, found {text[:40]!r}"
        ) from None
    if not value.is_finite() or not 0 <= value <= DEAREST or value != round(value, DECIMALS):
        raise BadPrices(
            f"{name}: expected 0 to {DEAREST:,} with at most {DECIMALS} decimals, found {text[:40]}"
        )
    return value
