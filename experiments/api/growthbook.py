"""What GrowthBook's SDKs fetch: the features to evaluate locally, or their attributes evaluated
here.

The key stands in the path, as these SDKs send it. A client key sees the flags that are visible to
clients and no unit ids; a server key, for SDKs that run on servers, sees every flag.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from experiments.core.clock import utc_now
from experiments.core.protocols import growthbook_remote
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.http.asked import in_attributes
from experiments.http.auth import opened
from experiments.http.doors import raw_body
from experiments.http.parsing import ONE_BODY, convert, parse_json
from experiments.http.plain import plain
from experiments.http.tagging import tagged
from experiments.metrics import count_answers
from experiments.selectors import growthbook, serving
from experiments.selectors.growthbook import Document
from experiments.selectors.serving import ServingState
from experiments.services.serving import watching

_SCOPES = (Scope.CLIENT, Scope.SERVER)


class EvalBody(msgspec.Struct):
    """What an SDK sends beside it (forced features, its URL) is for itself; overrides are how Assay
    forces a variant.
    """

    attributes: dict[
        str, Any
    ] = {}  # Any: whatever applications know of a request; targeting compares what it can


def _features(request: HttpRequest, client_key: str) -> HttpResponse:
    key, state = opened(client_key, *_SCOPES), serving.current()
    found = growthbook.features(state.catalogue, key.environment, utc_now(), client=_client(key))
    return _document(request, found, state)


def _evaluate(request: HttpRequest, client_key: str) -> HttpResponse:
    key, state = opened(client_key, *_SCOPES), serving.current()
    body = convert(
        parse_json(
            raw_body(request, max_bytes=ONE_BODY), max_bytes=ONE_BODY, forgiving=in_attributes
        ),
        EvalBody,
    )
    now, asked = utc_now(), growthbook_remote.asked_in(body.attributes)
    found, answers = growthbook.evaluated(
        state.catalogue, key.environment, asked, now, client=_client(key)
    )
    watching.note(answers, now, environment=key.environment, units=asked.units)
    count_answers(answer.served for answer in answers)
    return _document(request, found, state)


def _client(key: KeyIdentity) -> bool:
    return key.scope is Scope.CLIENT


def _document(request: HttpRequest, found: Document, state: ServingState) -> HttpResponse:
    headers = {
        "Vary": "Accept-Encoding",
        "X-Assay-Catalogue": str(state.version),
        "X-Assay-Stale": "true" if state.stale else "false",
    }
    return tagged(request, found.etag, found.body, found.packed, headers)


features = plain(GET=_features)
evaluate = plain(POST=_evaluate)
