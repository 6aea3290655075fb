"""Who knocks: API keys, checked in memory against the keyring; deny by default.

``opened`` is the only lock. Every door turns it, wherever its protocol has the key and whatever its
view is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from experiments.core.errors import Forbidden, NotAuthenticated
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.http.errors import CHALLENGE
from experiments.selectors import keys

SCHEME = "bearer"
NO_KEY = "a key is needed at this address"
NO_HEADER = "a key is needed: Authorization: Bearer <key>, or X-API-Key"


def opened(raw: str, *scopes: Scope, without: str = NO_KEY) -> KeyIdentity:
    """Whose key this is; refuses none (with the words ``without``), unknown ones, and those of
    another scope.
    """
    if not raw:
        raise NotAuthenticated(without)
    return _in_scope(keys.authenticate(raw), scopes)


def opened_by_header(
    meta: Mapping[str, Any], *scopes: Scope
) -> KeyIdentity:  # Any: a request's META, or an environ
    """The same, where the key is in ``Authorization`` or ``X-API-Key``."""
    return opened(
        raw_key(meta.get("HTTP_AUTHORIZATION", ""), meta.get("HTTP_X_API_KEY", "")),
        *scopes,
        without=NO_HEADER,
    )


def raw_key(authorization: str, api_key: str) -> str:
    """The key that two headers hold; empty when neither does. Two different ones are refused."""
    scheme, _, token = authorization.strip().partition(" ")
    bearer = token.strip() if scheme.lower() == SCHEME else ""
    other = api_key.strip()
    if bearer and other and bearer != other:
        raise NotAuthenticated("Authorization and X-API-Key hold different keys; send one")
    return bearer or other


def _in_scope(identity: KeyIdentity, wanted: tuple[Scope, ...]) -> KeyIdentity:
    if identity.scope in wanted:
        return identity
    names = " or ".join(sorted(scope.value for scope in wanted)) or "no"
    message = (
        f"key {identity.name}: its scope is {identity.scope.value}; this door wants a {names} key"
    )
    raise Forbidden(message, code="wrong_scope")


@dataclass(frozen=True)
class KeyUser:
    """What Django REST framework wants to see as a user; the key's identity is in
    ``request.auth``.
    """

    name: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def __str__(self) -> str:
        return self.name


class KeyAuthentication(BaseAuthentication):
    """The lock as Django REST framework has it: only keys of these scopes authenticate."""

    def __init__(self, scopes: tuple[Scope, ...] = ()) -> None:
        self.scopes = scopes

    def authenticate(self, request: Request) -> tuple[KeyUser, KeyIdentity]:
        identity = opened_by_header(request.META, *self.scopes)
        return KeyUser(identity.name), identity

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
