"""What all doors have in common: key authentication, strict bodies, one error shape, a path with or
without slash.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, re_path
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from experiments.core.errors import AssayError, InvalidInput, NotFound, TooLarge
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import JSON, Scope
from experiments.http.auth import KeyAuthentication
from experiments.http.cors import opened_to_pages, preflight
from experiments.http.errors import DATABASE_AWAY
from experiments.http.limits import refuse_too_many
from experiments.http.parsing import BATCH_BODY, MAX_STRING, Spots, convert, parse_json
from experiments.http.unpacking import encoding_of, refuse_packed, unpacked
from experiments.selectors import serving
from experiments.services.ground.turns import TurnKind, turn

T = TypeVar("T")
_WORTH_TAKING = 16 * BATCH_BODY
"""Longer bodies are cut off: nobody sends them by accident."""
_PIECE = 64 * 1024


class Door(APIView):
    """Opens to keys of ``scopes`` (of ``scopes_by_method`` where a method differs); to nobody by
    default.

    Doors that need PostgreSQL take turns, and refuse at once while it is known to be away: waiting
    for it would use up the threads that answer assignments.
    """

    needs_database = True
    kind = TurnKind.MANAGE
    scopes: tuple[Scope, ...] = ()
    scopes_by_method: dict[str, tuple[Scope, ...]] = {}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The one lock. There are no permissions and no throttles beside it: a door that must be
        fast leaves the framework out.
        """
        method = (getattr(self.request, "method", None) or "").upper()
        return [KeyAuthentication(self.scopes_by_method.get(method, self.scopes))]

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:  # Any: as the framework passes them
        if self.is_for_browsers() and request.method == "OPTIONS":
            return preflight(request, ", ".join(self.allowed_methods))
        with ExitStack() as self._until_answered:
            answer = super().dispatch(request, *args, **kwargs)
        return opened_to_pages(answer) if self.is_for_browsers() else answer

    @classmethod
    def is_for_browsers(cls) -> bool:
        """A client key stands in a page, so what it opens answers pages of other origins."""
        return Scope.CLIENT in cls.scopes

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_nul(request)
        if self.needs_database:
            kind = self.kind_of(request)
            if kind is TurnKind.MANAGE and isinstance(request.auth, KeyIdentity):
                refuse_too_many(request.auth)
            if serving.current().unreachable:
                raise AssayError(DATABASE_AWAY, code="not_available")
            self._until_answered.enter_context(turn(kind))

    def kind_of(self, request: Request) -> TurnKind:
        """Whose turns this request takes."""
        return self.kind

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if answer.status_code >= 400:
            take_the_rest(request._request)
        return answer


def refuse_nul(request: Request | HttpRequest) -> None:
    """NUL in an address can be stored nowhere, so nothing goes by such a name."""
    if "\0" in request.path_info:
        raise NotFound("there is nothing of this name: it holds the character NUL")
    if not request.META.get("QUERY_STRING"):
        return
    found = next(
        (
            name
            for name, values in request.GET.lists()
            if any("\0" in text for text in (name, *values))
        ),
        None,
    )
    if found is not None:
        shown = found.replace("\0", "\\0")[:64]
        raise InvalidInput(f"{shown}: holds the character NUL, which cannot be stored", shown)


def take_the_rest(request: HttpRequest) -> None:
    """Read and forget a body that was refused unread: a sender still sending would meet a broken
    pipe, not the reason.
    """
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not announced.isdigit() or int(announced) > _WORTH_TAKING or hasattr(request, "_body"):
        return
    with suppress(OSError):  # the sender is gone, and with it whoever could read the answer
        while request.read(_PIECE):
            pass


def identity(request: Request) -> KeyIdentity:
    """The key that passed this door."""
    return cast("KeyIdentity", request.auth)


def raw_body(
    request: Request | HttpRequest, *, max_bytes: int = BATCH_BODY, packed: bool = False
) -> bytes:
    """The body, refused by its announced length before it is read; ``packed``: it may come as
    gzip.
    """
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        # It would be read as empty, and a verb's reason or outcome would be lost without a word.
        raise InvalidInput(
            "the body comes in chunks without a length; send it whole, with Content-Length",
            code="length_missing",
        )
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge(
            f"the body has {int(announced):,} bytes; at most {max_bytes:,} are taken here"
        )
    encoding = encoding_of(request)
    if encoding and not packed:
        refuse_packed(encoding)
    # A plain request is read as it comes: the framework's body would be kept for a second reader,
    # and nobody is.
    body: bytes = request.body if isinstance(request, Request) else request.read()
    return unpacked(body, encoding, max_bytes) if encoding else body


def json_body(
    request: Request,
    *,
    max_bytes: int = BATCH_BODY,
    max_string: int = MAX_STRING,
    forgiving: Spots | None = None,
    packed: bool = False,
) -> JSON:
    """The body through the strict parser."""
    return parse_json(
        raw_body(request, max_bytes=max_bytes, packed=packed),
        max_bytes=max_bytes,
        max_string=max_string,
        forgiving=forgiving,
    )


def read(
    request: Request,
    wanted: type[T],
    *,
    max_bytes: int = BATCH_BODY,
    max_string: int = MAX_STRING,
    forgiving: Spots | None = None,
) -> T:
    """The body as a struct."""
    return convert(
        json_body(request, max_bytes=max_bytes, max_string=max_string, forgiving=forgiving), wanted
    )


def door(route: str, view: type[APIView], name: str) -> URLPattern:
    """A route (a regular expression without ends) that answers with and without a trailing
    slash.
    """
    return re_path(rf"^{route}/?$", view.as_view(), name=name)
