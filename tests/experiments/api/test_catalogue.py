"""The catalogue's door: what a server key fetches, and what it is spared."""

from __future__ import annotations

import gzip
import json

import pytest
from django.db import OperationalError

from experiments.core.clock import utc_now
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.types import Environment, Scope
from experiments.selectors import serving
from tests import serving_cast

URL = "/api/v1/catalogue"


@pytest.fixture
def served(doors):
    serving_cast.launched("checkout")
    doors.publish()
    return doors


def test_catalogue__server_key__gets_what_this_process_serves(served):
    answer = served.client().get(URL)
    assert answer.status_code == 200
    assert answer["X-Assay-Catalogue"] == str(serving.current().version)
    assert answer["X-Assay-Stale"] == "false"
    found = answer.json()
    assert found["environment"] == "production"
    assert catalogues.parse(found).flags == serving.current().catalogue.flags


def test_catalogue__with_its_tag__is_304_until_something_changes(served):
    client = served.client()
    tag = client.get(URL)["ETag"]
    again = client.get(URL, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert client.get(URL, headers={"If-None-Match": tag.removeprefix("W/")}).status_code == 304
    serving_cast.launched("search", seed="ba9876543210")
    served.publish()
    changed = client.get(URL, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed["ETag"] != tag


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_catalogue__gzip__only_for_who_accepts_it(served, accepts, packed):
    answer = served.client().get(URL, headers={"Accept-Encoding": accepts})
    assert answer.get("Content-Encoding") == ("gzip" if packed else None)
    assert "Accept-Encoding" in answer["Vary"]
    assert "checkout" in json.dumps(
        json.loads(gzip.decompress(answer.content) if packed else answer.content)
    )


def test_catalogue__production_key__is_not_shown_previews(served):
    serving_cast.experiment("secret", status="draft")
    served.publish()
    assert "previews" in json.dumps(
        served.client(environment=Environment.TEST).get(URL).json()["flags"]
    )
    shown = {flag["key"]: flag for flag in served.client().get(URL).json()["flags"]}
    tested = {
        flag["key"]: flag
        for flag in served.client(environment=Environment.TEST).get(URL).json()["flags"]
    }
    assert shown["secret"]["previews"] == []
    assert [preview["key"] for preview in tested["secret"]["previews"]] == ["secret"]


def test_catalogue__database_away__is_the_last_one_and_says_stale(served, monkeypatch):
    client = served.client()
    before = client.get(URL)

    def refuse():
        raise OperationalError("connection refused")

    monkeypatch.setattr(serving, "_newest", refuse)
    serving.refresh(utc_now())
    after = client.get(URL)
    assert (after.status_code, after.content, after["X-Assay-Stale"]) == (
        200,
        before.content,
        "true",
    )
    assert after["ETag"] == before["ETag"]


def test_catalogue__nothing_published__asks_to_come_back(doors):
    answer = doors.client().get(URL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_catalogue")
    assert answer["Retry-After"]


@pytest.mark.parametrize("scope", [Scope.CLIENT, Scope.MANAGEMENT, Scope.INGEST, Scope.READ])
def test_catalogue__other_scopes__see_nothing(served, scope):
    assert served.client(scope).get(URL).status_code == 403
