"""One unit or attribute that cannot be used costs only what needs it, and the answer names it: at
every door alike.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.types import FlagType, Scope
from experiments.sdk import AssayClient
from experiments.selectors import serving
from tests.experiments.api.conftest import doors, own_files  # noqa: F401  # fixtures
from tests.experiments.core.serving.catalogues import document, experiment, flag

BY_USER, BY_TENANT, BY_NOTE = "by_user", "by_tenant", "by_note"
NOTE = [{"attribute": "note", "op": "ne", "value": "x"}]
FLAGS = [
    flag(BY_USER, experiment=experiment("e1")),
    flag(BY_TENANT, experiment=experiment("e2", unit_type="tenant")),
    flag(BY_NOTE, experiment=experiment("e3", targeting=NOTE)),
]
UNFIT = {
    "half a number": b"7.5",
    "beyond exactness": b"9007199254740992",
    "beyond 64 bits": b"92233720368547758080",
    "infinite": b"1e999",
    "boolean": b"true",
    "long": json.dumps("x" * 300).encode(),
    "very long": json.dumps("x" * 9000).encode(),
    "joined": b'"a\\u200db"',
    "nul": b'"a\\u0000b"',
    "half a surrogate": b'"\\ud83d"',
    "list": b'["u1"]',
}


@pytest.fixture
def post(doors, monkeypatch):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {doors.key(Scope.SERVER)}")
    state = replace(serving.current(), catalogue=catalogues.parse(document(*FLAGS)))
    monkeypatch.setattr(serving, "current", lambda: state)

    def sent(where: str, body: bytes) -> dict[str, Any]:
        answer = client.post(where, body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    return sent


def over_rest(post, tenant: bytes, note: bytes) -> dict[str, bool]:
    body = b'{"units": {"user": "u1", "tenant": %b}, "attributes": {"note": %b}}' % (tenant, note)
    found = post("/api/v1/assignments", body)
    assert bool(found.get("errors")) is (tenant in UNFIT.values() or note in UNFIT.values())
    return {item["flag"]: item["variant"] is not None for item in found["assignments"]}


def over_rest_in_a_batch(post, tenant: bytes, note: bytes) -> dict[str, bool]:
    item = b'{"units": {"user": "u1", "tenant": %b}, "attributes": {"note": %b}}' % (tenant, note)
    found = post("/api/v1/assignments", b'{"batch": [{"unit": "u9"}, %b]}' % item)
    assert {error["index"] for error in found["errors"]} <= {1}
    assert found["results"][0][0]["variant"] is not None
    return {item["flag"]: item["variant"] is not None for item in found["results"][1]}


def over_ofrep(post, tenant: bytes, note: bytes) -> dict[str, bool]:
    found = post(
        "/ofrep/v1/evaluate/flags",
        b'{"context": {"targetingKey": "u1", "tenantId": %b, "note": %b}}' % (tenant, note),
    )
    return {item["key"]: item["variant"] != "default" for item in found["flags"]}


def over_growthbook(post, tenant: bytes, note: bytes) -> dict[str, bool]:
    key = (
        post.__closure__[0].cell_contents._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    )
    found = post(
        f"/api/eval/{key}",
        b'{"attributes": {"id": "u1", "tenantId": %b, "note": %b}}' % (tenant, note),
    )
    return {name: "rules" in feature for name, feature in found["features"].items()}


def over_explain(post, tenant: bytes, note: bytes) -> dict[str, bool]:
    found = post(
        "/api/v1/explain",
        b'{"units": {"user": "u1", "tenant": %b}, "attributes": {"note": %b}}' % (tenant, note),
    )
    return {item["flag"]: item["variant"] is not None for item in found["explanations"]}


DOORS = [over_rest, over_rest_in_a_batch, over_ofrep, over_growthbook, over_explain]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_an_unfit_unit__costs_only_the_flag_that_needs_it(post, door, unfit):
    assert door(post, unfit, b'"fine"') == {BY_USER: True, BY_TENANT: False, BY_NOTE: True}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize(
    "name", ["beyond 64 bits", "infinite", "very long", "nul", "half a surrogate"]
)
def test_an_unfit_attribute__costs_only_the_flag_that_needs_it(post, door, name):
    """The rule says that the note is not ``x``; a note that cannot be read is not taken for another
    one.
    """
    assert door(post, b'"acme"', UNFIT[name]) == {BY_USER: True, BY_TENANT: True, BY_NOTE: False}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("number", [7, 0, -7, 2**53 - 1])
def test_a_whole_number__is_its_decimal_text_at_every_door(post, door, number):
    text, whole = json.dumps(str(number)).encode(), str(number).encode()
    assert (
        door(post, whole, b'"fine"')
        == door(post, text, b'"fine"')
        == {BY_USER: True, BY_TENANT: True, BY_NOTE: True}
    )


def test_a_whole_number__falls_into_the_bucket_of_its_text(post):
    one, other = (
        post("/api/v1/assignments", b'{"units": {"tenant": %b}}' % tenant)
        for tenant in (b"4711", b'"4711"')
    )
    assert one == other and one["assignments"][1]["bucket"] is not None


@pytest.mark.parametrize("unfit", [7.5, 2**53, True, "x" * 300, "a\u200db", ["u"]])
def test_sdk__an_unfit_unit__costs_only_what_needs_it(unfit):
    body = catalogues.canonical({"environment": "production", **document(*FLAGS)})
    client = AssayClient.from_document(body)
    units = {"user": "u1", "tenant": unfit}
    assert client.variant("e1", units=units) is not None
    assert client.variant("e2", units=units) is None
    found = client.evaluate(BY_TENANT, FlagType.OBJECT, {}, units=units)
    assert (found.error, "units.tenant" in found.message) == ("INVALID_CONTEXT", True)
    assert client.track("seen", units=units)
    assert client.variant("e2", units={"tenant": 7}) == client.variant("e2", units={"tenant": "7"})
