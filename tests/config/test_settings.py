import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection

from config import secret
from config.processes import background
from config.processes.background import Reader
from config.web import health
from experiments.selectors import concerns


@pytest.mark.django_db
def test_readyz__services_up__answers_ok(client, monkeypatch):
    monkeypatch.setattr(concerns, "_known", None)  # another test's installation
    answer = client.get("/readyz")
    assert answer.status_code == 200
    state = answer.json()
    assert (state.pop("postgresql"), state.pop("redis")) == ("ok", "ok")
    assert set(state.pop("seconds_ago")) == {"postgresql", "redis"}
    # Tests run as the owner of the tables.
    assert [one[:44] for one in state.pop("concerns")] == [
        "the application's database role may erase th"
    ]
    assert state == {}


@pytest.fixture
def hanging(monkeypatch):
    """PostgreSQL has answered once and hangs since; a function that says how readyz answers now."""
    over, ended, states = (
        threading.Event(),
        threading.Event(),
        iter([health.ServerState(health.OK)]),
    )

    def read():
        for state in states:
            return state
        over.wait(30)
        ended.set()
        return health.ServerState(health.OK)

    monkeypatch.setattr(health, "postgresql", Reader(read))
    yield
    over.set()
    assert ended.wait(30)


def test_readyz__while_postgresql_hangs__answers_soon_with_the_last_reading_and_its_age(
    hanging, client, monkeypatch
):
    assert client.get("/readyz").json()["postgresql"] == "ok"
    began = time.monotonic()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["postgresql"]) == (200, "ok")
    assert 0 < answer.json()["seconds_ago"]["postgresql"] < 15
    monkeypatch.setattr(background, "LATE", 0.0)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["postgresql"]) == (503, "no answer")
    assert time.monotonic() - began < 15  # two half seconds, on a busy machine


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed")])
def test_readyz__while_postgresql_refuses__names_the_error(error, client, monkeypatch):
    def refuse():
        raise error

    monkeypatch.setattr(health.connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["postgresql"]) == (503, type(error).__name__)


@pytest.mark.parametrize(
    "text",
    ["short", "k7" * 40, "x" * 100, "fifty-characters-are-wanted-this-has-forty-nine-abc"[:49]],
)
def test_secret_key__that_can_be_guessed__starts_nothing(text):
    with pytest.raises(
        ImproperlyConfigured, match="ASSAY_SECRET_KEY: wanted at least 50 characters"
    ):
        secret.given(text)


def test_secret_key__long_and_varied__is_taken():
    assert secret.given("k7" * 40 + "!aBcDeFgHiJ") == "k7" * 40 + "!aBcDeFgHiJ"


def test_unknown_api_path__answers_json_error(client):
    answer = client.get("/api/v1/nothing-here")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_livez__asks_nobody(client):
    assert client.get("/livez").status_code == 200


def test_schema__names_the_doors_keys_and_bodies(client):
    answer = client.get("/api/schema", {"format": "json"})
    assert answer.status_code == 200
    schema = answer.json()
    assert schema["components"]["securitySchemes"]["bearerKey"] == {
        "type": "http",
        "scheme": "bearer",
    }
    body = schema["paths"]["/api/v1/assignments"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]
    assert body == {"$ref": "#/components/schemas/AssignmentBody"}
    assert "Subject" in schema["components"]["schemas"]


@pytest.mark.django_db
def test_concerns__commits_that_a_crash_may_lose__are_named():
    assert not any("may lose" in one for one in concerns.found())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    (found,) = [one for one in concerns.found() if "may lose" in one]
    assert found.startswith("PostgreSQL has synchronous_commit off")
