"""The client for strangers' servers: what it reaches, and everything it does not."""

from __future__ import annotations

import time

import pytest

from experiments.core.errors import InvalidInput
from experiments.outgoing import https
from experiments.outgoing.https import Undelivered, post, route
from tests.experiments.outgoing.server import HOST, drip, flood, misbehaving


def test_post__to_a_proper_server__arrives_whole(stranger):
    assert post(stranger.url("/a?b=c"), b'{"x": 1}', {"Content-Type": "application/json"}) == 204
    (got,) = stranger.got
    assert (got.path, got.body) == ("/a?b=c", b'{"x": 1}')
    assert (got.headers["host"], got.headers["content-length"]) == (f"{HOST}:{stranger.port}", "8")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fe80::1%2",
        "8.8.8.8 10.0.0.1",
        "::ffff:127.0.0.1",
    ],
)
def test_route__a_name_with_any_address_that_is_not_public__is_refused(names, address):
    names[HOST] = [address]
    with pytest.raises(Undelivered, match="only public addresses"):
        route(f"https://{HOST}/secret-path")


def test_post__to_a_private_address__connects_to_nobody(stranger, names, monkeypatch):
    monkeypatch.setattr(https, "permitted", https.is_public)
    for url in (stranger.url(), f"https://127.0.0.1:{stranger.port}/"):
        names["127.0.0.1"] = ["127.0.0.1"]
        with pytest.raises(Undelivered, match="only public addresses"):
            post(url, b"{}", {})
    assert stranger.got == []


def test_post__a_name_that_changes_its_mind__is_asked_once_and_the_judged_address_called(
    stranger, names
):
    """Rebinding: public when it was judged, private a moment later."""
    names[HOST] = ["127.0.0.1", "10.0.0.1"]
    assert post(stranger.url(), b"{}", {}) == 204
    assert names[HOST] == ["10.0.0.1"]
    with pytest.raises(Undelivered, match=r"10\.0\.0\.1"):
        post(stranger.url(), b"{}", {})
    assert len(stranger.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_post__a_redirect__is_not_followed(stranger, names, status):
    stranger.answers = [(status, {"Location": stranger.url("/elsewhere")})]
    with pytest.raises(Undelivered, match="redirects are not followed"):
        post(stranger.url(), b"{}", {})
    assert [got.path for got in stranger.got] == ["/assay"]


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_post__any_other_status__is_not_delivered_and_the_path_is_not_told(stranger, status):
    stranger.answers = [(status, {})]
    with pytest.raises(Undelivered, match=f"answered {status}") as refusal:
        post(stranger.url("/services/T0/secret"), b"{}", {})
    assert "secret" not in str(refusal.value)


def test_post__certificate_for_another_name__is_refused(stranger, names):
    names["other.example.com"] = ["127.0.0.1"]
    with pytest.raises(Undelivered, match="certificate"):
        post(stranger.url(host="other.example.com"), b"{}", {})
    assert stranger.got == []


def test_post__certificate_that_nobody_vouches_for__is_refused(stranger, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Undelivered, match="certificate"):
        post(stranger.url(), b"{}", {})


def test_post__first_address_is_closed__the_next_judged_one_is_called(stranger, names, allow):
    allow("127.0.0.9")
    names[HOST] = ["127.0.0.9 127.0.0.1"]
    assert post(stranger.url(), b"{}", {}) == 204


def test_post__an_answer_that_drips__ends_at_the_time_limit(stranger, pair, monkeypatch):
    monkeypatch.setattr(https, "SECONDS", 0.6)
    began = time.monotonic()
    with misbehaving(*pair, drip) as port, pytest.raises(Undelivered):
        post(f"https://{HOST}:{port}/", b"{}", {})
    assert time.monotonic() - began < 3


def test_post__an_answer_without_an_end__is_read_so_far_and_no_farther(stranger, pair):
    with misbehaving(*pair, flood) as port, pytest.raises(Undelivered, match="head is over"):
        post(f"https://{HOST}:{port}/", b"{}", {})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"SSH-2.0-x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200", "closed before"),
        (b"HTTP/1.1 99999 x\r\n\r\n", "no HTTP"),
    ],
)
def test_post__nonsense__is_not_delivered(stranger, pair, said, why):
    with (
        misbehaving(*pair, lambda speaking: speaking.sendall(said)) as port,
        pytest.raises(Undelivered, match=why),
    ):
        post(f"https://{HOST}:{port}/", b"{}", {})


def test_post__interim_answers__are_passed_over(stranger, pair):
    said = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    with misbehaving(*pair, lambda speaking: speaking.sendall(said)) as port:
        assert post(f"https://{HOST}:{port}/", b"{}", {}) == 200


def test_post__too_much_to_send__or_a_header_with_a_line_break__is_refused(stranger):
    with pytest.raises(Undelivered, match="at most"):
        post(stranger.url(), b"x" * (https.LARGEST_BODY + 1), {})
    with pytest.raises(Undelivered, match="control character"):
        post(stranger.url(), b"{}", {"X": "a\r\nHost: inside"})
    assert stranger.got == []


def test_route__unresolvable_or_no_https__says_which(names):
    with pytest.raises(Undelivered, match="does not resolve"):
        route("https://nowhere.example/")
    with pytest.raises(InvalidInput, match="https is needed"):
        route(f"http://{HOST}/")
