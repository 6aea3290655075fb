"""Our own doors and our SDK as ways of asking, for the comparison in ``parity``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection
from typing import Any

import msgspec

from experiments.core.types import Phase
from experiments.http.parsing import BATCH_ITEMS
from experiments.sdk import AssayClient
from tests.clients.parity import Answer, Leg, Unit
from tests.live import Live

_REPORTED = {Phase.MAIN.value, Phase.DARK.value, Phase.TWIN.value}


class _Metadata(msgspec.Struct):
    role: str = ""
    treatment: str | None = None


class _Item(msgspec.Struct):
    """What is compared of an assignment; half a gigabyte of answers is read faster for leaving out
    the rest.
    """

    flag: str
    value: Any
    variant: str | None
    metadata: _Metadata


class _Batch(msgspec.Struct):
    results: list[list[_Item]]
    errors: list[Any]


def rest(live: Live, experiments: Sequence[str]) -> Leg:
    """``POST /api/v1/assignments``, a thousand units at once."""
    decoder = msgspec.json.Decoder(_Batch)

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        for start in range(0, len(asking), BATCH_ITEMS):
            batch = [
                {"units": unit.units, "attributes": unit.attributes}
                for unit in asking[start : start + BATCH_ITEMS]
            ]
            said = live.post(
                "/api/v1/assignments", {"batch": batch, "experiments": list(experiments)}
            )
            assert said.status == 200, said.body[:500]
            found = decoder.decode(said.body)
            assert found.errors == []
            for items in found.results:
                yield {
                    item.flag: _answer(
                        item.value, item.variant, item.metadata.role, item.metadata.treatment
                    )
                    for item in items
                }

    return ask


def ofrep(live: Live) -> Leg:
    """OpenFeature's remote evaluation of all flags at once. Where it wants a user and is given
    none, the caller's default stands.
    """
    headers = {"Authorization": f"Bearer {live.keys['server']}", "Content-Type": "application/json"}

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        connection = HTTPConnection(live.host, live.port, timeout=30)
        for unit in asking:
            connection.request(
                "POST", "/ofrep/v1/evaluate/flags", json.dumps({"context": _context(unit)}), headers
            )
            with connection.getresponse() as answer:
                assert answer.status == 200
                yield {flag["key"]: _flag(flag, unit) for flag in json.load(answer)["flags"]}
        connection.close()

    return ask


def sdk(client: AssayClient, experiments: Sequence[str]) -> Leg:
    """Our SDK, which decides in this process by the catalogue that it was given or has fetched."""

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        for unit in asking:
            found: list[Any] = client.assign(
                units=unit.units, attributes=unit.attributes, experiments=experiments
            )
            yield {item["flag"]: _from_metadata(item) for item in found}

    return ask


def heard(answers: Sequence[Mapping[str, Answer]]) -> Leg:
    """What was answered before, to the same units."""
    return lambda _asking: answers


def _context(unit: Unit) -> dict[str, Any]:
    names = {"user": "targetingKey", "tenant": "tenantId", "session": "sessionId"}
    return {names[unit_type]: text for unit_type, text in unit.units.items()} | unit.attributes


def _flag(flag: Mapping[str, Any], unit: Unit) -> Answer:
    if "errorCode" in flag:
        assert flag["errorCode"] == "TARGETING_KEY_MISSING" and "user" not in unit.units, flag
        return Answer(f"{flag['key']}: default", None)
    return _from_metadata(flag)


def _from_metadata(item: Mapping[str, Any]) -> Answer:
    return _answer(
        item["value"],
        item["variant"],
        item["metadata"].get("role", ""),
        item["metadata"].get("treatment"),
    )


def _answer(value: Any, variant: str | None, role: str, treatment: str | None) -> Answer:
    """As ``parity.core`` has it: in a shadow the arm that owns the bucket is the one reported."""
    return Answer(value, (treatment or variant) if role in _REPORTED else None)
