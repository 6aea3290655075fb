"""Clients that send half of what they announce, and then nothing: however many there are,
assignments are answered.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields

import pytest
from granian.http import HTTP1Settings

from config.processes.services import Lease
from tests.live import Live, installation

pytestmark = pytest.mark.slow
PIECE = b'{"unit": "u1", "attri'
ASKED = 50
SECONDS = 3
"""For a body to arrive, in this installation."""


def with_length(live: Live, key: str) -> bytes:
    return _head(live, key, f"Content-Length: {len(PIECE) * 2}") + PIECE


def in_chunks(live: Live, key: str) -> bytes:
    return _head(live, key, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(PIECE), PIECE)


def without_a_key(live: Live, key: str) -> bytes:
    return _head(live, "", "Content-Length: 1000000") + PIECE


def half_a_head(live: Live, key: str) -> bytes:
    return _head(live, key, "Content-Length: 40")[:60]


def _head(live: Live, key: str, length: str) -> bytes:
    lines = [
        "POST /api/v1/assignments HTTP/1.1",
        f"Host: {live.host}",
        "Content-Type: application/json",
        length,
    ]
    lines += [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.fixture(scope="module")
def patient(services: Lease, redis_url: str) -> Iterator[Live]:
    from django.conf import settings

    with installation(
        services, settings.DATABASE_URL, redis_url, ASSAY_BODY_SECONDS=str(SECONDS)
    ) as live:
        live.experiment("slow_clients")
        live.settle()
        yield live


@contextmanager
def stuck(live: Live, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that have sent this and stay."""
    connections = [
        socket.create_connection((live.host, live.port), timeout=30) for _ in range(count)
    ]
    try:
        for connection in connections:
            connection.sendall(sent)
        time.sleep(0.5)
        yield connections
    finally:
        for connection in connections:
            connection.close()


@contextmanager
def stuck_at_once(live: Live, sent: bytes) -> Iterator[socket.socket]:
    """A single connection, without a pause after what it sends."""
    with socket.create_connection((live.host, live.port), timeout=30) as connection:
        connection.sendall(sent)
        yield connection


def answered(live: Live) -> int:
    body = {"unit": "u1", "experiments": ["slow_clients"]}
    return sum(live.post("/api/v1/assignments", body).status == 200 for _ in range(ASKED))


@pytest.mark.parametrize(
    "sent", [with_length, in_chunks, without_a_key, half_a_head], ids=lambda made: made.__name__
)
@pytest.mark.parametrize("count", [8, 200])
def test_slow_senders__cost_no_assignment(
    count: int, sent: Callable[[Live, str], bytes], patient: Live
) -> None:
    with stuck(patient, count, sent(patient, patient.keys["client"])):
        assert answered(patient) == ASKED


@pytest.mark.parametrize(
    "path", ["/api/v1/events", "/admin/login/", "/track?client_key=none", "/readyz"]
)
def test_slow_senders__at_other_doors__cost_no_assignment_either(path: str, patient: Live) -> None:
    sent = with_length(patient, patient.keys["ingest"]).replace(
        b"/api/v1/assignments", path.encode()
    )
    with stuck(patient, 60, sent):
        assert answered(patient) == ASKED
        assert patient.get("/readyz", key=None).status == 200


def test_slow_sender__is_told_in_time_that_its_body_is_late(patient: Live) -> None:
    with stuck(patient, 1, with_length(patient, patient.keys["server"])) as (connection,):
        status, body = read(connection)
    assert status == 408
    assert body["error"]["code"] == "body_late"


def test_sender_that_stops_early__hears_it_and_not_that_we_broke(patient: Live) -> None:
    with stuck(patient, 1, with_length(patient, patient.keys["server"])) as (connection,):
        connection.shutdown(socket.SHUT_WR)
        status, body = read(connection)
    assert (status, body["error"]["code"]) == (400, "body_cut")


def test_sender_that_closes_its_half_after_a_whole_request__costs_no_assignment_and_no_error(
    patient: Live,
) -> None:
    """granian drops such a connection before it answers, whatever the application does, and has no
    option for it.
    """
    whole = with_length(patient, patient.keys["server"]).replace(
        PIECE, b'{"unit": "u1", "experiments": ["slow_clients"]}'
    )
    whole = whole.replace(f"Length: {len(PIECE) * 2}".encode(), b"Length: 47")
    printed = len(patient.log())
    for _ in range(20):
        with stuck_at_once(patient, whole) as connection, suppress(ConnectionError):
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert answered(patient) == ASKED
    assert "Traceback" not in patient.log()[printed:]


@pytest.mark.parametrize("name", [field.name for field in fields(HTTP1Settings)])
def test_granian__has_no_option_for_half_closed_connections(name: str) -> None:
    """hyper calls it ``half_close``; where granian offers it, turn it on and let the test above
    expect an answer.
    """
    assert "half" not in name


def test_sender_without_a_key__is_refused_before_its_body_arrives(patient: Live) -> None:
    began = time.monotonic()
    with stuck(patient, 1, without_a_key(patient, "")) as (connection,):
        status, body = read(connection)
    assert (status, body["error"]["code"]) == (401, "not_authenticated")
    assert time.monotonic() - began < SECONDS


def test_sender_of_too_much__is_refused_before_its_body_arrives(patient: Live) -> None:
    sent = with_length(patient, patient.keys["server"]).replace(
        f"Length: {len(PIECE) * 2}".encode(), b"Length: 9000000"
    )
    began = time.monotonic()
    with stuck(patient, 1, sent) as (connection,):
        assert read(connection)[0] == 413
    assert time.monotonic() - began < SECONDS


def test_sender_of_too_much__who_sends_it_all_first__sees_the_reason(patient: Live) -> None:
    assert (
        patient.post("/api/v1/assignments", b'{"unit": "' + b"x" * 3_000_000 + b'"}').status == 413
    )
    assert (
        patient.post(
            "/api/v1/assignments", b'{"unit": "' + b"x" * 3_000_000 + b'"}', key=None
        ).status
        == 401
    )


def test_slow_readers__cost_no_assignment(patient: Live) -> None:
    head = f"GET /admin/login/ HTTP/1.1\r\nHost: {patient.host}\r\n\r\n".encode()
    with stuck(patient, 100, head * 20):
        assert answered(patient) == ASKED


def read(connection: socket.socket) -> tuple[int, dict]:
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
