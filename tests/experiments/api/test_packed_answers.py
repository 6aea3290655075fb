"""Documents and long answers travel gzipped to those who take it, and whoever has one already gets
304 either way.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from rest_framework.test import APIClient

from experiments.core.types import Role, Scope
from experiments.http.packing import WORTH
from experiments.selectors import growthbook, serving_published
from tests import serving_cast
from tests.experiments.api.test_ofrep import App
from tests.experiments.core.serving.catalogues import flag

GZIP = {"Accept-Encoding": "gzip, deflate"}


@pytest.fixture
def many(doors: Any) -> Any:
    """More flags than a short answer holds."""
    for number in range(30):
        serving_cast.launched(f"flag_{number}", seed=f"{number:012x}", client_visible=True)
    doors.publish()
    return doors


@pytest.fixture
def app() -> App:
    return App(*(flag(f"flag_{number}") for number in range(60)))


def _bulk(app: App, accepts: str, **headers: str) -> Any:
    return app.all({"targetingKey": "u1"}, Accept_Encoding=accepts, **headers)


def test_bulk__for_who_takes_gzip__is_the_same_answer_in_a_fifth(app: App) -> None:
    bare, small = _bulk(app, ""), _bulk(app, "gzip")
    assert len(bare.content) > WORTH
    assert (small["Content-Encoding"], small["Vary"], bare["Vary"]) == (
        "gzip",
        "Accept-Encoding",
        "Accept-Encoding",
    )
    assert "Content-Encoding" not in bare
    assert gzip.decompress(small.content) == bare.content
    assert len(small.content) < len(bare.content) / 5
    assert small["Content-Length"] == str(len(small.content))
    assert small["ETag"] == bare["ETag"] and small["ETag"].startswith('W/"'), (
        "one tag, weak: the bytes are not the same"
    )


@pytest.mark.parametrize("first", ["gzip", ""])
@pytest.mark.parametrize("then", ["gzip", ""])
@pytest.mark.parametrize("strengthened", [False, True])
def test_bulk__with_its_tag__is_304_packed_or_not(
    first: str, then: str, strengthened: bool, app: App
) -> None:
    tag = _bulk(app, first)["ETag"]
    again = _bulk(app, then, If_None_Match=tag.removeprefix("W/") if strengthened else tag)
    assert (again.status_code, again.content, again["ETag"], again["Vary"]) == (
        304,
        b"",
        tag,
        "Accept-Encoding",
    )
    assert "Content-Encoding" not in again


def _catalogue(key: str, headers: dict[str, str]) -> Any:
    return APIClient().get(
        "/api/v1/catalogue", headers={"Authorization": f"Bearer {key}"} | headers
    )


def _features(key: str, headers: dict[str, str]) -> Any:
    return APIClient().get(f"/api/features/{key}", headers=headers)


def test_document__is_packed_once__however_many_ask(
    many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packings: list[int] = []
    real = gzip.compress

    def counted(data: bytes, *args: Any, **named: Any) -> bytes:
        packings.append(len(data))
        return real(data, *args, **named)

    monkeypatch.setattr(serving_published.gzip, "compress", counted)
    assert growthbook.gzip.compress is counted
    key = many.key(Scope.SERVER)
    for ask in (_catalogue, _features):
        packings.clear()
        (tag,) = {ask(key, headers)["ETag"] for headers in (GZIP, {}, GZIP, GZIP)}
        assert len(packings) == 1
        for headers in (GZIP, {}):
            again = ask(key, headers | {"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert "Accept-Encoding" in again["Vary"]


OTHERS = [
    ("/api/v1/assignments", {"unit": "u1", "exposure": "none"}, True),
    ("/api/eval/{client}", {"attributes": {"id": "u1"}}, True),
    ("/api/v1/assignments", {"unit": "u1", "experiments": ["flag_1"], "exposure": "none"}, False),
]


def test_other_answers__are_packed_when_they_are_long(many: Any) -> None:
    client, server = many.key(Scope.CLIENT), many.key(Scope.SERVER)
    for path, body, long in OTHERS:
        bare, packed = (
            APIClient().post(
                path.format(client=client),
                body,
                headers={"Authorization": f"Bearer {server}"} | headers,
            )
            for headers in ({}, GZIP)
        )
        assert bare.status_code == packed.status_code == 200
        assert (len(bare.content) >= WORTH, packed.has_header("Content-Encoding")) == (
            long,
            long,
        ), path
        assert (
            json.loads(gzip.decompress(packed.content) if long else packed.content).keys()
            == json.loads(bare.content).keys()
        )


@pytest.fixture
def admin(db: None) -> Client:
    person = User.objects.create_user("ada", password="x", is_staff=True)
    person.groups.add(Group.objects.get_or_create(name=Role.ADMIN.value)[0])
    made = Client(headers=GZIP)
    made.force_login(person)
    return made


def _shown(answer: HttpResponse) -> str:
    return (
        gzip.decompress(answer.content) if answer.has_header("Content-Encoding") else answer.content
    ).decode()


def test_page__is_packed__and_one_that_shows_a_key_is_not(admin: Client) -> None:
    usual = admin.get("/admin/experiments/experiment/")
    assert usual["Content-Encoding"] == "gzip"
    assert "</html>" in _shown(usual)
    owner = "ada"
    made = admin.post(
        "/admin/experiments/apikey/add/",
        {"name": "shop", "scope": "server", "environment": "production", "owner": owner},
        follow=True,
    )
    assert "assay_server_" in _shown(made), _shown(made)[:2000]
    assert "Content-Encoding" not in made
    assert "no-store" in made["Cache-Control"]
