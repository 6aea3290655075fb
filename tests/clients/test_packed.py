"""Clients that take gzip read long answers and documents, and still get 304 for what they have."""

from __future__ import annotations

import gzip

import pytest
from growthbook import GrowthBook
from growthbook.growthbook import feature_repo
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from experiments.http.packing import WORTH
from experiments.sdk.source import PATH, snapshot_of
from experiments.sdk.transport import Transport

LONG = {"prompt": "привет " * 150}


@pytest.fixture(scope="module")
def served(live):
    for number in range(12):
        live.flag(f"packed_{number}", type="object", default=LONG, client_visible=True)
    live.settle()
    return live


def _documents(live):
    return {
        "catalogue": ("GET", "/api/v1/catalogue", None, "server"),
        "features": ("GET", f"/api/features/{live.keys['client']}", None, None),
        "bulk": ("POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}}, "client"),
    }


@pytest.mark.parametrize("name", ["catalogue", "features", "bulk"])
def test_over_the_wire__packed_and_bare_are_one_document_and_304_either_way(served, name):
    method, path, body, key = _documents(served)[name]
    bare = served.ask(method, path, body, key=key)
    packed = served.ask(method, path, body, key=key, headers={"Accept-Encoding": "gzip"})
    assert len(bare.body) > WORTH and "content-encoding" not in bare.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == bare.body
    assert int(packed.headers["content-length"]) == len(packed.body) < len(bare.body) / 5
    assert bare.headers["etag"] == packed.headers["etag"]
    for headers in ({"Accept-Encoding": "gzip"}, {}):
        again = served.ask(
            method, path, body, key=key, headers=headers | {"If-None-Match": packed.headers["etag"]}
        )
        assert (again.status, again.body) == (304, b"")


def test_growthbook__reads_packed_features_and_gets_304(served, caplog):
    feature_repo.clear_cache()
    feature_repo._etag_cache.clear()
    book = GrowthBook(
        api_host=served.url, client_key=served.keys["client"], attributes={"id": "u1"}
    )
    book.load_features()
    assert book.get_feature_value("packed_0", None) == LONG
    with caplog.at_level("DEBUG", logger="growthbook"):
        book.load_features(force_refresh=True)
    assert any("304" in record.message for record in caplog.records)
    assert book.get_feature_value("packed_0", None) == LONG
    book.destroy()


def test_openfeature__reads_a_packed_value(served):
    provider = OFREPProvider(
        served.url, headers_factory=lambda: {"Authorization": f"Bearer {served.keys['client']}"}
    )
    api.set_provider_and_wait(provider, "packed")
    found = api.get_client("packed").get_object_details("packed_0", {}, EvaluationContext("u1"))
    assert (found.value, found.error_code) == (LONG, None)


def test_sdk__reads_a_packed_catalogue_and_gets_304(served):
    transport = Transport(served.url, served.keys["server"])
    first = transport.send("GET", PATH)
    assert first.headers["content-encoding"] == "gzip"
    found = snapshot_of(first.body, first.headers["etag"])
    assert found.catalogue.flags["packed_0"].default == LONG
    assert transport.send("GET", PATH, headers={"If-None-Match": found.etag}).status == 304
