"""What all doors have in common: key authentication, strict bodies, one error shape, a path with or without slash."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django.urls import URLPattern, re_path
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from experiments.core.errors import AssayError, TooLarge
from experiments.core.keyring import KeyIdentity
from experiments.core.types import JSON, Scope
from experiments.http.auth import KeyAuthentication, require
from experiments.http.errors import DATABASE_AWAY
from experiments.http.parsing import BATCH_BODY, MAX_STRING, convert, parse_json
from experiments.selectors import serving

T = TypeVar("T")


class Door(APIView):
    """Opens to keys of ``scopes`` (of ``scopes_by_method`` where a method differs); to nobody by default.

    While PostgreSQL is known to be away, doors that need it refuse at once: waiting for it would
    use up the threads that answer assignments.
    """

    authentication_classes = [KeyAuthentication]
    needs_database = True
    scopes: tuple[Scope, ...] = ()
    scopes_by_method: dict[str, tuple[Scope, ...]] = {}

    def get_permissions(self) -> list[BasePermission]:
        method = (self.request.method or "").upper()
        return [require(*self.scopes_by_method.get(method, self.scopes))()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # Any: as the framework passes them
        super().initial(request, *args, **kwargs)
        if self.needs_database and serving.current().unreachable:
            raise AssayError(DATABASE_AWAY, code="not_available")


def identity(request: Request) -> KeyIdentity:
    """The key that passed this door."""
    return cast("KeyIdentity", request.auth)


def raw_body(request: Request, *, max_bytes: int = BATCH_BODY) -> bytes:
    """The body, refused by its announced length before it is read."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge(f"the body has {int(announced):,} bytes; at most {max_bytes:,} are taken here")
    body: bytes = request.body
    return body


def json_body(request: Request, *, max_bytes: int = BATCH_BODY, max_string: int = MAX_STRING) -> JSON:
    """The body through the strict parser."""
    return parse_json(raw_body(request, max_bytes=max_bytes), max_bytes=max_bytes, max_string=max_string)


def read(request: Request, wanted: type[T], *, max_bytes: int = BATCH_BODY, max_string: int = MAX_STRING) -> T:
    """The body as a struct."""
    return convert(json_body(request, max_bytes=max_bytes, max_string=max_string), wanted)


def door(route: str, view: type[APIView], name: str) -> URLPattern:
    """A route (a regular expression without ends) that answers with and without a trailing slash."""
    return re_path(rf"^{route}/?$", view.as_view(), name=name)
