"""A page of another origin in a real browser: it asks for variants and tells exposures, with the
headers that tracing adds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRACING = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "sentry-trace": "771a43a4192642f0b136d5159a501700-b72fa28504b07285-1",
    "baggage": "sentry-environment=shop",
}
FETCH = """async ([url, key, body, tracing]) => {
  const headers = {"Content-Type": "application/json", "Authorization": `Bearer ${key}`, ...tracing};
  try {
    const answer = await fetch(url, {method: "POST", headers, body: JSON.stringify(body)});
    return {status: answer.status, catalogue: answer.headers.get("X-Assay-Catalogue"), body: await answer.json()};
  } catch (error) {
    return {blocked: String(error)};
  }
}"""


class _Shop(BaseHTTPRequestHandler):
    """An application's page on a port of its own, which makes it another origin."""

    def do_GET(self) -> None:
        page = b"<!doctype html><title>Shop</title><p>Shop"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def shop(chromium: Any) -> Iterator[Any]:
    """The shop's page, open in a browser."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        context.close()
        server.shutdown()


def _ask(shop: Any, place: Live, path: str, body: object, key: str = "client") -> Any:
    return shop.evaluate(FETCH, [place.url + path, place.keys.get(key, key), body, TRACING])


def test_page_of_another_origin__gets_a_variant_and_tells_that_it_was_shown(
    shop: Any, place: Live
) -> None:
    # Given an experiment that browsers may see
    place.experiment("other_origin", client_visible=True)
    place.settle()
    # When a page asks with the headers of two tracing tools
    found = _ask(
        shop,
        place,
        "/api/v1/assignments",
        {"unit": "browser-1", "experiments": ["other_origin"], "exposure": "none"},
    )
    # Then it reads the variant, and the headers that we name
    assert found.get("status") == 200, found
    (assigned,) = found["body"]["assignments"]
    assert assigned["variant"] in {"control", "treatment"}
    assert int(found["catalogue"]) > 0
    # And when it tells that the variant was shown, that is kept
    told = {"event_id": "e-browser-1", "unit": "browser-1", "experiment": "other_origin"}
    kept = _ask(shop, place, "/api/v1/exposures", {"exposures": [told]})
    assert kept.get("status") == 200, kept
    assert kept["body"]["accepted"] == 1, kept
    rows = place.sql(
        "SELECT exposure_count FROM experiment_assignments WHERE user_id = 'browser-1'"
    )
    assert rows == [(1,)]


def test_page_of_another_origin__reads_why_it_is_refused(shop: Any, place: Live) -> None:
    found = _ask(
        shop,
        place,
        "/api/v1/assignments",
        {"unit": "browser-1"},
        key="assay_client_000000000000_" + "0" * 48,
    )
    assert found.get("status") == 401, found
    assert found["body"]["error"]["code"] == "not_authenticated"


def test_page_of_another_origin__cannot_ask_doors_of_other_keys(shop: Any, place: Live) -> None:
    assert "blocked" in _ask(shop, place, "/api/v1/experiments", {"name": "x"}, key="management")
