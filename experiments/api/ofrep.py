"""OpenFeature's remote evaluation (OFREP 0.3): one flag for servers, all flags with a tag for
browsers.

Plain views on prewritten answers: what is left for a request is its key, its context, the decision
and two pieces of bytes to join. Browsers come from any origin, since keys and never cookies open
these doors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt

from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput, NotAuthenticated
from experiments.core.protocols.ofrep import (
    EXPOSURE_ATTRIBUTE,
    Book,
    ErrorCode,
    asked_in,
    context_of,
    etag,
    failing,
    failure,
    flag_not_found,
    tail,
)
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import JSON, Environment, Scope
from experiments.http.answers import served
from experiments.http.asked import in_context
from experiments.http.auth import opened_by_header
from experiments.http.client_caps import admission
from experiments.http.cors import OPENED, preflight
from experiments.http.doors import raw_body, take_the_rest
from experiments.http.errors import CHALLENGE, RETRY_SECONDS, UNAVAILABLE, status_of
from experiments.http.parsing import ONE_BODY, parse_json
from experiments.metrics import count_answers
from experiments.selectors import serving
from experiments.selectors.serving import ServingState
from experiments.services.serving import watching
from experiments.services.serving.exposures import Recording, expose

PREFIX = "/ofrep/"
_JSON = "application/json"
_METHODS = "POST, OPTIONS"
_PACKABLE = (*OPENED, ("Vary", "Accept-Encoding"))
_BAD_REQUEST, _METHOD_NOT_ALLOWED = 400, 405


View = Callable[[HttpRequest, str], HttpResponse]


def _post(answer: View) -> Callable[..., HttpResponse]:
    """A view of the one method there is, whose refusals are the protocol's."""

    def view(request: HttpRequest, key: str = "") -> HttpResponse:
        if request.method != "POST":
            return _not_asked(request, key)
        try:
            return answer(request, key)
        except AssayError as error:
            return _refusal(request, key, error, status_of(error))

    return csrf_exempt(wraps(answer)(view))


def not_answered(request: HttpRequest, status: int, details: str) -> HttpResponse:
    """Django's own refusals below ``/ofrep/``, in the protocol's shape."""
    match = request.resolver_match
    key = str(match.kwargs.get("key", "")) if match is not None else ""
    return _refusal(request, key, AssayError(details), status)


def _not_asked(request: HttpRequest, key: str) -> HttpResponse:
    """To a browser that asks whether it may ask, and to every other method."""
    if request.method == "OPTIONS":
        answer = preflight(request, _METHODS)
        answer["Allow"] = _METHODS
        return answer
    refusal = _refusal(
        request,
        key,
        AssayError(f"{request.method} is not answered here; send POST"),
        _METHOD_NOT_ALLOWED,
    )
    refusal["Allow"] = _METHODS
    return refusal


# ---------------------------------------------------------------- the two questions


@_post
def one_flag(request: HttpRequest, key: str) -> HttpResponse:
    """``POST /ofrep/v1/evaluate/flags/{key}``: the flag's value for a context; queued as an
    exposure unless the context says otherwise.
    """
    identity = _identity(request)
    context = _context(request)
    asked = asked_in(context)
    recording = _recording(context)
    state, now = _state(), utc_now()
    evaluate = state.catalogue.evaluators(identity.environment, identity.scope is Scope.CLIENT).get(
        key
    )
    if evaluate is None:
        raise flag_not_found(key)
    answer = evaluate(asked.units, asked.attributes, now)
    written = _book(state, identity.environment).written(answer.served)
    failed = failing(written, asked)
    if failed is not None:
        return _response(failed, _headers(state), _BAD_REQUEST)
    count_answers((answer.served,))
    expose(
        (answer,),
        now,
        environment=identity.environment,
        how=recording,
        units=asked.units,
        admit=admission(request, identity),
    )
    return served(written.head + tail(asked, state.stale), state, OPENED)


@_post
def all_flags(request: HttpRequest, _key: str) -> HttpResponse:
    """``POST /ofrep/v1/evaluate/flags``: every flag that the key may see; nothing counts as met,
    since nobody has looked yet.
    """
    identity = _identity(request)
    context = _context(request)
    asked = asked_in(context)
    state, now = _state(), utc_now()
    found = state.catalogue.all_flags(identity.environment, identity.scope is Scope.CLIENT)(
        asked.units, asked.attributes, now
    )
    watching.note(found, now, environment=identity.environment, units=asked.units)
    count_answers(found.served)
    written = list(map(_book(state, identity.environment).written, found.served))
    tag = etag(written, asked)
    if _holds(request, tag):
        return HttpResponse(
            status=304, headers=_headers(state) | {"ETag": tag, "Vary": "Accept-Encoding"}
        )
    end = tail(asked, state.stale)
    flags = b",".join([failing(one, asked) or one.head + end for one in written])
    about = b'{"flagSetId":"%s","version":"%d"' % (
        identity.environment.value.encode(),
        state.version,
    )
    answer = served(b'{"flags":[' + flags + b'],"metadata":' + about + end, state, _PACKABLE)
    answer["ETag"] = tag
    return answer


def _identity(request: HttpRequest) -> KeyIdentity:
    return opened_by_header(request.META, Scope.SERVER, Scope.CLIENT)


def _context(request: HttpRequest) -> dict[str, JSON]:
    return context_of(
        parse_json(raw_body(request, max_bytes=ONE_BODY), max_bytes=ONE_BODY, forgiving=in_context)
    )


def _recording(context: Mapping[str, JSON]) -> Recording:
    wanted = context.get(EXPOSURE_ATTRIBUTE)
    if wanted is None:
        return Recording.QUEUED
    found = next((how for how in Recording if how == wanted), None)
    if found is None:
        path = f"context.{EXPOSURE_ATTRIBUTE}"
        raise InvalidInput(
            f"{path}: expected one of {', '.join(Recording)}", path, code=ErrorCode.INVALID_CONTEXT
        )
    return found


def _state() -> ServingState:
    """What to serve; a process that has never read a catalogue does not say of every flag that
    there is none.
    """
    state = serving.current()
    if state.version == 0 and state.stale:
        raise AssayError(
            "no catalogue has been read yet, since the database does not answer; try again",
            code="not_available",
        )
    return state


_books: dict[Environment, Book] = {}


def _book(state: ServingState, environment: Environment) -> Book:
    """The answers of this catalogue; a new catalogue begins a new book."""
    found = _books.get(environment)
    if found is None or found.catalogue is not state.catalogue:
        found = _books[environment] = Book(state.catalogue, environment)
    return found


def _holds(request: HttpRequest, tag: str) -> bool:
    """Whether the asker has this answer already; a tag that a proxy weakened on its way names the
    same answer.
    """
    sent = request.META.get("HTTP_IF_NONE_MATCH")
    return sent is not None and tag.removeprefix("W/") in {
        one.removeprefix("W/") for one in parse_etags(sent)
    }


# ---------------------------------------------------------------- answers


def _headers(state: ServingState) -> dict[str, str]:
    return dict(OPENED) | {
        "X-Assay-Catalogue": str(state.version),
        "X-Assay-Stale": "true" if state.stale else "false",
    }


def _response(body: bytes, headers: Mapping[str, str], status: int = 200) -> HttpResponse:
    """With its length, so that head and body leave in one piece."""
    return HttpResponse(
        body,
        status=status,
        content_type=_JSON,
        headers={**headers, "Content-Length": str(len(body))},
    )


def _refusal(request: HttpRequest, key: str, error: AssayError, status: int) -> HttpResponse:
    take_the_rest(request)
    answer = _response(msgspec.json.encode(failure(key, error)), dict(OPENED), status)
    if status == UNAVAILABLE:
        answer["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, NotAuthenticated):
        answer["WWW-Authenticate"] = CHALLENGE
    return answer
