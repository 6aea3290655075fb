"""Who knocks: API keys, checked in memory against the keyring; deny by default."""

from __future__ import annotations

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from experiments.core.errors import Forbidden, NotAuthenticated
from experiments.core.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.http.errors import CHALLENGE
from experiments.selectors import keys

SCHEME = "bearer"


@dataclass(frozen=True)
class KeyUser:
    """What Django REST framework wants to see as a user; the key's identity is in ``request.auth``."""

    name: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def __str__(self) -> str:
        return self.name


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>`` or ``X-API-Key: <key>``."""

    def authenticate(self, request: Request) -> tuple[KeyUser, KeyIdentity] | None:
        raw = raw_key(request.META.get("HTTP_AUTHORIZATION", ""), request.META.get("HTTP_X_API_KEY", ""))
        if not raw:
            return None
        identity = keys.authenticate(raw)
        return KeyUser(identity.name), identity

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def raw_key(authorization: str, api_key: str) -> str:
    """The key that two headers hold; empty when neither does. Two different ones are refused."""
    scheme, _, token = authorization.strip().partition(" ")
    bearer = token.strip() if scheme.lower() == SCHEME else ""
    other = api_key.strip()
    if bearer and other and bearer != other:
        raise NotAuthenticated("Authorization and X-API-Key hold different keys; send one")
    return bearer or other


def wrong_scope(identity: KeyIdentity, wanted: frozenset[Scope]) -> Forbidden:
    """This key is good for something else."""
    names = " or ".join(sorted(scope.value for scope in wanted)) or "no"
    message = f"key {identity.name}: its scope is {identity.scope.value}; this door wants a {names} key"
    return Forbidden(message, code="wrong_scope")


def require(*scopes: Scope) -> type[BasePermission]:
    """A permission that lets keys of these scopes pass, and nobody else."""
    wanted = frozenset(scopes)

    class KeyOfScope(BasePermission):
        scopes = wanted

        def has_permission(self, request: Request, view: APIView) -> bool:
            identity = request.auth
            if not isinstance(identity, KeyIdentity):
                return False
            if identity.scope not in wanted:
                raise wrong_scope(identity, wanted)
            return True

    return KeyOfScope
