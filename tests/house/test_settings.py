import pytest

from experiments.selectors import concerns


@pytest.mark.django_db
def test_readyz__services_up__answers_ok(client, monkeypatch):
    monkeypatch.setattr(concerns, "_known", None)  # another test's installation
    answer = client.get("/readyz")
    assert answer.status_code == 200
    state = answer.json()
    assert (state.pop("postgresql"), state.pop("redis")) == ("ok", "ok")
    # Tests run as the owner of the tables.
    assert [one[:44] for one in state.pop("concerns")] == ["the application's database role may erase th"]
    assert state == {}


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
    assert schema["components"]["securitySchemes"]["bearerKey"] == {"type": "http", "scheme": "bearer"}
    body = schema["paths"]["/api/v1/assignments"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/AssignmentBody"}
    assert "Subject" in schema["components"]["schemas"]
