"""What leaves gzipped: long answers to those who take it, never one that shows a secret."""

from __future__ import annotations

import gzip

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from experiments.http.packing import WORTH, PackingMiddleware, accepts_gzip, packed, showing_secret

LONG = b'{"a":"' + b"x" * WORTH + b'"}'


def _asked(accepts: str | None = "gzip", path: str = "/api/v1/x") -> HttpRequest:
    return RequestFactory().get(
        path, headers={} if accepts is None else {"Accept-Encoding": accepts}
    )


def _json(body: bytes = LONG, **headers: str) -> HttpResponse:
    return HttpResponse(
        body,
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize(
    ("accepts", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("*, gzip;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip; q=0.0", False),
        ("identity", False),
        (None, False),
    ],
)
def test_accepts_gzip__what_is_said_of_gzip_counts_before_what_is_said_of_all(
    accepts: str | None, takes: bool
) -> None:
    assert accepts_gzip(_asked(accepts)) is takes


def test_packed__long_json__is_the_same_document_with_its_new_length_and_a_weak_tag() -> None:
    answer = packed(_asked(), _json(ETag='"strong"', Content_Length="1"))
    assert isinstance(answer, HttpResponse)
    assert (answer["Content-Encoding"], answer["Vary"], answer["ETag"]) == (
        "gzip",
        "Accept-Encoding",
        'W/"strong"',
    )
    assert answer["Content-Length"] == str(len(answer.content))
    assert gzip.decompress(answer.content) == LONG


def test_packed__long_json_for_who_takes_no_gzip__is_bare_and_varies() -> None:
    answer = packed(_asked(None), _json(ETag='"strong"', Vary="Origin"))
    assert isinstance(answer, HttpResponse)
    assert answer.content == LONG
    assert (answer["Vary"], answer["ETag"]) == ("Origin, Accept-Encoding", '"strong"')


@pytest.mark.parametrize(
    "answer",
    [
        _json(b"{}"),
        _json(Cache_Control="private, no-store"),
        _json(Content_Encoding="gzip"),
        HttpResponse(LONG, content_type="text/html"),
        showing_secret(_json()),
    ],
)
def test_packed__short_secret_packed_or_no_json__is_left_as_it_is(answer: HttpResponse) -> None:
    before = answer.content
    packed(_asked(), answer)
    assert answer.content == before


def _page(answer: HttpResponse) -> HttpResponseBase:
    return PackingMiddleware(lambda _: answer)(_asked(path="/admin/x"))


def test_page__has_a_random_length() -> None:
    found = [_page(HttpResponse(b"<p>" * 2000)) for _ in range(30)]
    assert {answer["Content-Encoding"] for answer in found} == {"gzip"}
    assert len({answer["Content-Length"] for answer in found}) > 1


def test_json_of_a_page__has_a_random_length_too() -> None:
    assert len({_page(_json())["Content-Length"] for _ in range(30)}) > 1


def test_page_with_a_secret__is_not_packed_and_kept_nowhere() -> None:
    answer = _page(showing_secret(HttpResponse(b"<p>" * 2000)))
    assert "Content-Encoding" not in answer
    assert answer["Cache-Control"] == "no-store"
