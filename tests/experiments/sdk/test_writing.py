"""What applications say in their own types arrives as JSON numbers and text; what cannot be written
is named.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest

from experiments.sdk import Collected, LocalPlatform, use, writing
from experiments.sdk.outbox import Counts
from experiments.sdk.tracking import track_llm_call


class Opaque:
    """Something that JSON has no word for."""


@pytest.fixture(autouse=True)
def each_place_is_new():
    writing._named.clear()


WRITTEN = [
    (Decimal("19.50"), 19.5),
    (Decimal("20.00"), 20),
    (np.float32(0.5), 0.5),
    (np.int64(7), 7),
    (Fraction(1, 4), 0.25),
]
SAID = [
    *WRITTEN,
    (date(2026, 11, 30), "2026-11-30"),
    (time(8, 30), "08:30:00"),
    (datetime(2026, 11, 30, 8, tzinfo=UTC), "2026-11-30T08:00:00+00:00"),
    (datetime(2026, 11, 30, 8, tzinfo=timezone(timedelta(hours=1))), "2026-11-30T08:00:00+01:00"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (logging.getLevelNamesMapping()["INFO"], 20),
    ((1, Decimal("2.5")), [1, 2.5]),
    (MappingProxyType({"a": Decimal(1)}), {"a": 1}),
    ({date(2026, 1, 2): 1, 3: True, "none": None}, {"2026-01-02": 1, "3": True, "none": None}),
]


@pytest.mark.parametrize(("value", "expected"), WRITTEN)
def test_value__of_a_type_of_numbers__arrives_as_a_number(connect, platform, value, expected):
    client = connect()
    assert client.track("booked", "u", value=value)
    assert client.observe("revenue", value, "u")
    assert client.flush()
    assert [platform.told[kind][0]["value"] for kind in ("events", "observations")] == [
        expected,
        expected,
    ]


@pytest.mark.parametrize(("value", "expected"), SAID)
def test_payload__in_the_applications_types__arrives_as_json(connect, platform, value, expected):
    client = connect()
    assert client.track("booked", "u", payload={"it": value}, context={"deep": [{"it": value}]})
    assert client.flush()
    (event,) = platform.told["events"]
    assert (event["payload"], event["context"]) == ({"it": expected}, {"deep": [{"it": expected}]})


def test_timestamp__that_the_caller_says__is_kept(connect, platform):
    client = connect()
    client.track("booked", "u", timestamp=datetime(2026, 11, 1, 9, tzinfo=UTC))
    assert client.flush()
    assert platform.told["events"][0]["timestamp"] == "2026-11-01T09:00:00+00:00"


def test_payload__a_key_that_cannot_be_written__is_left_out_and_named_once(
    connect, platform, caplog
):
    client = connect()
    for _ in range(3):
        assert client.track(
            "booked", "u", payload={"good": 1, "bad": Opaque(), "worse": {"deep": [float("inf")]}}
        )
    assert client.flush()
    assert [event["payload"] for event in platform.told["events"]] == [{"good": 1, "worse": {}}] * 3
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 2
    assert "payload.bad: JSON has no Opaque" in warned[0]
    assert "payload.worse.deep[0]: expected a finite number" in warned[1]


@pytest.mark.parametrize(
    "value", [float("nan"), Decimal("NaN"), Decimal("Infinity"), Opaque(), {1, 2}]
)
def test_value__that_cannot_be_written__refuses_the_item_and_names_the_field(
    connect, caplog, value
):
    client = connect()
    assert not client.track("booked", "u", value=value)
    assert client.counts == Counts(rejected=1)
    assert "events: not sent: value: " in caplog.text


def test_payload__that_holds_itself__costs_only_itself(connect, platform, caplog):
    endless = {}
    endless["again"] = endless
    client = connect()
    assert client.track("booked", "u", value=1, payload={"good": 1, "endless": endless})
    assert client.flush()
    assert platform.told["events"][0]["payload"]["good"] == 1
    assert "nested more than" in caplog.text


def test_local_platform__counts_money_of_decimals():
    platform = LocalPlatform()
    platform.client.observe("revenue", Decimal("19.50"), "u", experiment="e", variant="a")
    assert isinstance(platform.told, Collected)
    assert platform.told.items[0][1]["value"] == 19.5


def test_llm_call__with_a_decimal_cost__is_told_in_millionths():
    platform = LocalPlatform()
    use(platform)
    try:
        assert track_llm_call(
            "m",
            cost=Decimal("0.0012"),
            units={"user": "u"},
            labels={"experiment": "e", "variant": "a"},
        )
    finally:
        use(None)
    assert platform.told.items[0][1]["cost_micro"] == 1200
