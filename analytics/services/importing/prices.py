"""Model prices, written: one price or a whole file, in one transaction, with a line in the
changelog for each that changes something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction

from analytics.core.intake.price_table import BadPrices, Price, parse_prices, read_price
from analytics.models import ModelPrice
from experiments.core.errors import InvalidInput, Problem
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor
from experiments.services.ground import audit


def load_prices(actor: Actor, now: datetime, *, text: str, reason: str = "") -> int:
    """Write every price of a CSV file (``model,valid_from,price_in,price_out``); a bad line refuses
    the whole file.
    """
    try:
        prices = parse_prices(text)
    except BadPrices as refusal:
        bad = [Problem("invalid", line, "file") for line in refusal.reasons]
        raise InvalidInput("prices: nothing was loaded", "file", problems=bad) from None
    return set_prices(actor, now, prices=prices, reason=reason)


def set_price(actor: Actor, now: datetime, *, row: Mapping[str, str], reason: str = "") -> int:
    """Write one price from its texts."""
    try:
        price = read_price(row)
    except BadPrices as refusal:
        raise InvalidInput(str(refusal), str(refusal).partition(":")[0]) from None
    return set_prices(actor, now, prices=[price], reason=reason)


def set_prices(actor: Actor, now: datetime, *, prices: Sequence[Price], reason: str = "") -> int:
    """Write every price; says how many are new or corrected. One that stands already is left alone.

    Costs are priced when they are read: a correction changes what is computed from now on, never
    what was stored.
    """
    check(actor, Action.MANAGE_METRICS, member=False, subject="model prices")
    with transaction.atomic():
        return sum(_set(actor, now, price, reason) for price in prices)


def _set(actor: Actor, now: datetime, price: Price, reason: str) -> bool:
    made = {
        "price_in": price.price_in,
        "price_out": price.price_out,
        "set_by_id": actor.user_id,
        "set_at": now,
    }
    row, created = ModelPrice.objects.select_for_update().get_or_create(
        model=price.model, valid_from=price.valid_from, defaults=made
    )
    if not created and (row.price_in, row.price_out) == (price.price_in, price.price_out):
        return False
    before: JSON = None if created else _shown(row.price_in, row.price_out)
    if not created:
        ModelPrice.objects.filter(pk=row.pk).update(**made)
    after = _shown(price.price_in, price.price_out)
    audit.record(
        actor, now, action="model_price_set", obj=row, reason=reason, before=before, after=after
    )
    return True


def _shown(price_in: object, price_out: object) -> JSON:
    return {"price_in": str(price_in), "price_out": str(price_out)}
