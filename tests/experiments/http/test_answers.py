"""Answers made from a model are responses like any other, and none changes another."""

from __future__ import annotations

import pickle

from django.http import HttpResponse

from experiments.http.answers import served
from experiments.selectors.serving import ServingState

STATE = ServingState(version=7, stale=True)
ALSO = (("ETag", '"x"'), ("X-Own", "yes"))


def built(body: bytes) -> HttpResponse:
    headers = {
        "X-Assay-Catalogue": "7",
        "X-Assay-Stale": "true",
        **dict(ALSO),
        "Content-Length": str(len(body)),
    }
    return HttpResponse(body, content_type="application/json", headers=headers)


def said(answer: HttpResponse) -> dict[str, object]:
    """Everything that a response holds; the order of its headers means nothing."""
    return vars(answer) | {"headers": dict(answer.headers.items())}


def test_served__is_what_django_would_have_built() -> None:
    for body in (b"{}", "ж".encode() * 5000):
        answer = served(body, STATE, ALSO)
        assert said(answer) == said(built(body))
        assert (answer.content, answer.status_code, list(answer)) == (body, 200, [body])
        assert pickle.loads(pickle.dumps(answer)).content == body


def test_served__changed__leaves_the_next_one_as_it_was() -> None:
    first = served(b"{}", STATE, ALSO)
    first["X-Own"] = "no"
    first.set_cookie("a", "b")
    first.content = b"else"
    first._resource_closers.append(print)
    assert said(served(b"{}", STATE, ALSO)) == said(built(b"{}"))


def test_served__of_another_catalogue__says_so() -> None:
    assert served(b"{}", ServingState(version=8, stale=False))["X-Assay-Catalogue"] == "8"
    assert served(b"{}", ServingState(version=8, stale=False))["X-Assay-Stale"] == "false"
