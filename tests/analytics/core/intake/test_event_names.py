"""Names of events keep the letters of every script, and what only describes an event never costs
it.
"""

from __future__ import annotations

import unicodedata

import pytest

from analytics.core.intake.event_types import event_type, from_words
from analytics.core.intake.ingest_items import (
    NOTES,
    EventItem,
    ItemError,
    ObservationItem,
    parse_event,
    parse_items,
)
from analytics.core.intake.item_fields import Bad
from analytics.core.intake.segment_items import read_track


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Order Completed", "order_completed"),
        ("order_completed", "order_completed"),
        ("Checkout.Started", "Checkout.Started"),
        ("Заказ 1", "заказ_1"),
        ("Отказ 1", "отказ_1"),
        ("注文 完了", "注文_完了"),
        ("注文キャンセル", "注文キャンセル"),
        ("ऑर्डर पूरा हुआ", "ऑर्डर_पूरा_हुआ"),
        ("สั่งซื้อแล้ว", "สั่งซื้อแล้ว"),
        ("طلب جديد", "طلب_جديد"),
        ("Commande « payée »", "commande_payée"),
        (unicodedata.normalize("NFD", "Größe geändert"), "größe_geändert"),
        ("🎉 Party", "party"),
        ("🎉", ""),
    ],
)
def test_from_words__keeps_the_letters_of_every_script(name, expected):
    assert from_words(name) == expected
    assert not expected or event_type(expected) == expected


@pytest.mark.parametrize("name", ["", "two words", "a\u200bb", "x" * 81, "🎉"])
def test_event_type__that_is_none__is_refused(name):
    with pytest.raises(Bad):
        event_type(name)


def track(event="Paid", **properties):
    message = {
        "type": "track",
        "event": event,
        "messageId": "m",
        "userId": "u",
        "properties": properties,
    }
    (read,) = parse_items([message], read_track)
    return read


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"revenue": "19.50"}, "value"),
        ({"value": "many"}, "value"),
        ({"value": float("inf")}, "value"),
        ({"language": "English (United States)"}, "language"),
        ({"latency_ms": "12 ms"}, "latency_ms"),
        ({"cost_micro": 1.5}, "cost_micro"),
        ({"embedding_stats": [1, 2]}, "embedding_stats"),
        ({"request_id": "r" * 200}, "request_id"),
        ({"request_id": 17}, "request_id"),
    ],
)
def test_segment__optional_property_that_does_not_fit__stays_in_the_payload_with_a_note(
    properties, field
):
    found = track(coupon="x", **properties)
    assert isinstance(found, EventItem)
    assert getattr(found, field) is None
    assert found.payload.items() >= {"coupon": "x", **properties}.items()
    assert found.payload[NOTES][0].startswith(f"{field}: ")


def test_segment__optional_properties_that_fit__are_lifted_and_leave_no_note():
    found = track(revenue=19.5, language="en", latency_ms=12)
    assert (found.value, found.language, found.latency_ms) == (19.5, "en", 12)
    assert found.payload == {"revenue": 19.5}


@pytest.mark.parametrize("foreign", [{"a": 1}, ["x"], "x" * 300, 1.5])
def test_segment__experiment_that_can_be_no_name__costs_nothing(foreign):
    found = track(experiment_id=foreign)
    assert isinstance(found, EventItem)
    assert (found.experiment, found.stamp) == (None, {"experiment_id": foreign})
    measured = track(metric="csat", value=4, experiment_id=foreign)
    assert isinstance(measured, ObservationItem)


def test_segment__what_must_be_there__is_refused():
    assert isinstance(track("🎉"), ItemError)
    assert isinstance(track(metric="csat", value="good"), ItemError)


def event(**fields):
    (read,) = parse_items(
        [{"event_id": "e", "user_id": "u", "event_type": "paid", **fields}], parse_event
    )
    return read


@pytest.mark.parametrize(
    "fields",
    [{"language": "English (United States)"}, {"request_id": "r" * 200}, {"embedding_stats": 3}],
)
def test_events__what_only_describes__stays_in_the_payload_with_a_note(fields):
    found = event(payload={"a": 1}, **fields)
    assert isinstance(found, EventItem)
    assert found.payload.items() >= {"a": 1, **fields}.items()
    assert NOTES in found.payload


@pytest.mark.parametrize("fields", [{"value": "19.50"}, {"cost_micro": 1.5}, {"latency_ms": -1}])
def test_events__numbers_that_metrics_read__are_refused_by_name(fields):
    found = event(**fields)
    assert isinstance(found, ItemError)
    assert found.field == next(iter(fields))


def test_events__types_of_every_script__are_taken():
    assert event(event_type="заказ_1").event_type == "заказ_1"
