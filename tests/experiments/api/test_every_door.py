"""Every address but the pages': closed without a key and to keys of another scope, and wrong
methods answered in JSON.
"""

from __future__ import annotations

import base64
import re

import pytest
from django.db import OperationalError
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient
from rest_framework.views import APIView

from experiments.api import experiments as resolving
from experiments.core.clock import utc_now
from experiments.core.errors import Forbidden
from experiments.core.types import Scope
from experiments.http import auth
from experiments.http.doors import Door
from experiments.selectors import serving

OPEN = {"schema", "docs"}
PAGES = ("admin/", "livez", "readyz", "metrics", "favicon.ico")
"""Of people and of machines that look after us; each is open, or has a lock of its own."""
METHODS = ("get", "post", "put", "patch", "delete")


def _walk(patterns, prefix=""):
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route and not route.startswith(PAGES):
            yield route, pattern


def _bearer(key):
    return {"Authorization": f"Bearer {key}"} if key else {}


def _basic(key):
    return (
        {"Authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"} if key else {}
    )


APPS = (Scope.SERVER, Scope.CLIENT)
PLAIN = {
    "growthbook-features": (APPS, "get", lambda key: (f"/api/features/{key or '-'}", {})),
    "growthbook-eval": (APPS, "post", lambda key: (f"/api/eval/{key or '-'}", {})),
    "growthbook-track": (APPS, "post", lambda key: (f"/track?client_key={key}", {})),
    "growthbook-events": (APPS, "post", lambda key: (f"/events?client_key={key}", {})),
    "segment-batch": ((Scope.INGEST,), "post", lambda key: ("/v1/batch", _basic(key))),
    "segment-page": ((Scope.INGEST, Scope.CLIENT), "post", lambda key: ("/v1/t", _basic(key))),
    "ofrep-all": (APPS, "post", lambda key: ("/ofrep/v1/evaluate/flags", _bearer(key))),
    "ofrep-one": (APPS, "post", lambda key: ("/ofrep/v1/evaluate/flags/rank", _bearer(key))),
}
"""Doors in other tools' protocols: who may knock, how, and where their keys are."""
ALL = [
    (route, pattern)
    for route, pattern in _walk(get_resolver().url_patterns)
    if pattern.name not in OPEN
]
DOORS = [(route, pattern) for route, pattern in ALL if pattern.name not in PLAIN]


def _address(route):
    return "/" + re.sub(r"\(\?P<\w+>[^)]*\)", "1", route).replace("^", "").replace(
        "/?$", ""
    ).replace("$", "")


def _methods(pattern):
    return [method for method in METHODS if hasattr(pattern.callback.view_class, method)]


def _closed(response, status, codes):
    assert response.status_code == status, (response.request["PATH_INFO"], response.content)
    error = response.json()["error"]
    assert set(error) == {"code", "message", "field", "problems"}
    assert error["code"] in codes


def test_walk__finds_the_doors_that_there_are():
    assert {"assignments", "experiments", "experiment", "exposures", "events"} <= {
        pattern.name for _, pattern in DOORS
    }
    assert PLAIN.keys() <= {pattern.name for _, pattern in ALL}


def _knock(name, key, method=None):
    _, usual, where = PLAIN[name]
    address, headers = where(key)
    return getattr(APIClient(), method or usual)(address, {}, headers=headers)


@pytest.mark.django_db
@pytest.mark.parametrize("name", PLAIN)
def test_plain_door__without_a_key_or_with_a_wrong_one__is_closed(name, doors):
    doors.client()
    for key in ("", "assay_server_000000000000_" + "0" * 48):
        response = _knock(name, key)
        assert response.status_code == 401, response.content
        assert response["WWW-Authenticate"].split()[0] in {"Bearer", "Basic"}
        assert response.json()


@pytest.mark.parametrize("name", PLAIN)
def test_plain_door__with_a_key_of_another_scope__is_closed(name, doors):
    for scope in set(Scope) - set(PLAIN[name][0]):
        response = _knock(name, doors.key(scope))
        assert response.status_code == 403, response.content
        assert "scope" in response.content.decode()


@pytest.mark.parametrize("name", PLAIN)
def test_plain_door__with_a_method_it_has_not__says_so_in_json(name, doors):
    response = _knock(name, doors.key(PLAIN[name][0][0]), method="delete")
    assert response.status_code == 405
    assert PLAIN[name][1].upper() in response["Allow"]
    assert response.json()


@pytest.mark.parametrize("name", PLAIN)
def test_plain_door__asked_by_a_browser_of_another_origin__lets_it_in(name, doors):
    asked = _knock(name, "", method="options")
    assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (204, "*")
    assert PLAIN[name][1].upper() in asked["Access-Control-Allow-Methods"]
    allowed = {header.strip() for header in asked["Access-Control-Allow-Headers"].split(",")}
    assert {"Authorization", "X-API-Key", "Content-Type", "If-None-Match"} <= allowed
    assert "ETag" in _knock(name, "")["Access-Control-Expose-Headers"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("route", "pattern"), DOORS, ids=[pattern.name or route for route, pattern in DOORS]
)
def test_door__without_a_key_or_with_a_wrong_one__is_closed(route, pattern):
    assert issubclass(pattern.callback.view_class, Door)
    nobody, stranger = APIClient(), APIClient()
    stranger.credentials(HTTP_X_API_KEY="assay_server_000000000000_" + "0" * 48)
    for method in _methods(pattern):
        for client in (nobody, stranger):
            response = getattr(client, method)(_address(route), {})
            _closed(response, 401, {"not_authenticated"})
            assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("route", "pattern"), DOORS, ids=[pattern.name or route for route, pattern in DOORS]
)
def test_door__with_a_key_of_another_scope__is_closed(route, pattern, doors):
    view = pattern.callback.view_class
    for method in _methods(pattern):
        scopes = view.scopes_by_method.get(method.upper(), view.scopes)
        assert scopes, f"{route} {method} opens to nobody"
        for scope in set(Scope) - set(scopes):
            _closed(getattr(doors.client(scope), method)(_address(route), {}), 403, {"wrong_scope"})


@pytest.mark.parametrize(
    ("route", "pattern"), DOORS, ids=[pattern.name or route for route, pattern in DOORS]
)
def test_door__with_a_method_it_has_not__says_so_in_json(route, pattern, doors):
    scopes = pattern.callback.view_class.scopes
    missing = next(method for method in reversed(METHODS) if method not in _methods(pattern))
    response = getattr(doors.client(scopes[0]), missing)(_address(route), {})
    assert response.status_code == 405
    assert set(response.json()["error"]) == {"code", "message", "field", "problems"}


@pytest.mark.django_db
def test_nothing_there__is_a_404_in_json():
    _closed(APIClient().get("/api/v1/nonesuch"), 404, {"not_found"})


def _knocks(route, pattern, key):
    """One answer for each method of this address."""
    if pattern.name in PLAIN:
        yield _knock(pattern.name, key)
        return
    for method in _methods(pattern):
        yield getattr(APIClient(), method)(_address(route), {}, headers=_bearer(key))


@pytest.mark.parametrize(
    ("route", "pattern"), ALL, ids=[pattern.name or route for route, pattern in ALL]
)
def test_every_door__asks_the_one_lock(route, pattern, doors, monkeypatch):
    scopes, asked = (
        PLAIN[pattern.name][0] if pattern.name in PLAIN else pattern.callback.view_class.scopes,
        [],
    )

    def nobody(identity_scopes):
        asked.append(identity_scopes)
        raise Forbidden("the lock is shut", code="shut")

    key = doors.key(scopes[0])
    monkeypatch.setattr(auth, "_in_scope", lambda identity, wanted: nobody(wanted))
    answers = list(_knocks(route, pattern, key))
    assert answers
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert all(b"the lock is shut" in answer.content for answer in answers)
    assert len(asked) == len(answers)
    assert all(wanted for wanted in asked)


@pytest.mark.parametrize(
    ("route", "pattern"), DOORS, ids=[pattern.name or route for route, pattern in DOORS]
)
def test_door__has_no_lock_beside_it__which_a_view_without_the_framework_would_pass_by(
    route, pattern
):
    view = pattern.callback.view_class
    assert view.get_authenticators is Door.get_authenticators
    for name in (
        "permission_classes",
        "throttle_classes",
        "get_permissions",
        "get_throttles",
        "check_permissions",
        "check_throttles",
    ):
        assert getattr(view, name) == getattr(APIView, name), f"{view.__name__}.{name}"


@pytest.mark.django_db
def test_doors_with_a_key_in_a_header__refuse_in_the_same_words():
    said = {
        APIClient().post(address, {}).json()["error"]["message"]
        for address in ("/api/v1/assignments", "/api/v1/exposures")
    }
    assert said == {auth.NO_HEADER}
    assert APIClient().post("/ofrep/v1/evaluate/flags", {}).json()["errorDetails"] == auth.NO_HEADER


def test_two_different_keys__are_refused(doors):
    client = doors.client()
    _closed(
        client.post("/api/v1/assignments", {"unit": "u"}, headers={"X-API-Key": "another"}),
        401,
        {"not_authenticated"},
    )


def test_database_away__management_refuses_at_once_and_says_when_to_come_back(doors, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OperationalError("connection refused")

    client = doors.client(Scope.MANAGEMENT)
    monkeypatch.setattr(resolving, "resolve", refuse)
    broken_meanwhile = client.get("/api/v1/experiments/1")
    _closed(broken_meanwhile, 503, {"not_available"})
    monkeypatch.setattr(serving, "_newest", refuse)
    serving.refresh(utc_now())
    known = client.post("/api/v1/experiments", {"name": "x"})
    _closed(known, 503, {"not_available"})
    assert known["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [("/%00", 404, "not_found"), ("?experiment_type=%00", 400, "invalid")],
)
def test_nul_in_an_address__is_a_refusal_not_a_database_error(doors, address, status, code):
    _closed(doors.client(Scope.READ).get(f"/api/v1/experiments{address}"), status, {code})


def test_body_in_chunks__is_refused_since_it_would_read_as_empty(doors):
    answer = doors.client(Scope.MANAGEMENT).post(
        "/api/v1/experiments/1/stop", {"outcome": "worse"}, headers={"Transfer-Encoding": "chunked"}
    )
    _closed(answer, 400, {"length_missing"})
