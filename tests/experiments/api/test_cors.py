"""Pages of other origins: every door that a client key may use answers a browser's question, with
any header it asks for.
"""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from experiments.core.types import Scope
from tests.experiments.api.test_every_door import ALL, PLAIN, _address

TRACING = (
    "traceparent",
    "tracestate",
    "sentry-trace",
    "baggage",
    "x-datadog-trace-id",
    "if-none-match",
)


def _for_clients(pattern) -> bool:
    scopes = PLAIN[pattern.name][0] if pattern.name in PLAIN else pattern.callback.view_class.scopes
    return Scope.CLIENT in scopes


def _where(route, pattern) -> str:
    return PLAIN[pattern.name][2]("key")[0] if pattern.name in PLAIN else _address(route)


OPEN_TO_PAGES = [
    (_where(route, pattern), pattern) for route, pattern in ALL if _for_clients(pattern)
]
CLOSED = [
    (_where(route, pattern), pattern)
    for route, pattern in ALL
    if not _for_clients(pattern) and pattern.name not in PLAIN
]


def _names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


@pytest.fixture
def browser() -> APIClient:
    return APIClient(raise_request_exception=False, headers={"Origin": "https://shop.example"})


def test_doors__of_client_keys__are_all_there() -> None:
    assert {
        "assignments",
        "exposures",
        "ofrep-one",
        "ofrep-all",
        "growthbook-features",
        "growthbook-eval",
        "growthbook-track",
        "growthbook-events",
        "segment-page",
    } == {pattern.name for _, pattern in OPEN_TO_PAGES}


@pytest.mark.parametrize(
    ("address", "pattern"), OPEN_TO_PAGES, ids=[pattern.name for _, pattern in OPEN_TO_PAGES]
)
def test_door__of_client_keys__answers_preflights_and_lets_pages_read_refusals(
    address, pattern, browser, db
) -> None:
    method = "GET" if pattern.name == "growthbook-features" else "POST"
    asked = ", ".join(("authorization", "content-type", *TRACING))
    answer = browser.options(
        address,
        headers={"Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked},
    )
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert _names(asked) | {"x-api-key"} <= _names(answer["Access-Control-Allow-Headers"])
    assert method in answer["Access-Control-Allow-Methods"]
    refused = browser.generic(method, address, "{", content_type="application/json")
    assert refused.status_code >= 400 and refused["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("address", "pattern"), CLOSED, ids=[pattern.name for _, pattern in CLOSED]
)
def test_door__of_other_keys__answers_no_page(address, pattern, browser, db) -> None:
    for answer in (browser.options(address), browser.post(address, {}, format="json")):
        assert "Access-Control-Allow-Origin" not in answer


def test_preflight__odd_names__are_not_repeated(browser) -> None:
    answer = browser.options(
        "/api/v1/assignments", headers={"Access-Control-Request-Headers": 'a"<b>;'}
    )
    assert "<b>" not in answer["Access-Control-Allow-Headers"]


def test_assignments__success__is_readable_by_pages(doors) -> None:
    doors.publish()
    answer = doors.client(Scope.CLIENT).post("/api/v1/assignments", {"unit": "u1"}, format="json")
    assert answer.status_code == 200 and answer["Access-Control-Allow-Origin"] == "*"
    assert "X-Assay-Catalogue" in answer["Access-Control-Expose-Headers"]
