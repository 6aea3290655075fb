"""Answers leave in one piece: a body sent after its headers waits 40 ms for the client's
acknowledgement.
"""

from __future__ import annotations

import json
import socket
import time

import pytest


def ask_often(live, path, body, times=25):
    """Seconds of each of several requests on one kept connection, and in how many pieces the
    largest number arrived.
    """
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {live.host}\r\nAuthorization: Bearer {live.keys['server']}\r\n"
        f"Content-Length: {len(sent)}\r\n\r\n"
    )
    took = []
    with socket.create_connection((live.host, live.port)) as connection:
        for _ in range(times):
            began = time.perf_counter()
            connection.sendall(head.encode() + sent)
            received = connection.recv(1 << 20)
            headers, _, content = received.partition(b"\r\n\r\n")
            lines = dict(line.split(b": ", 1) for line in headers.lower().split(b"\r\n")[1:])
            assert headers.startswith(b"HTTP/1.1 200"), headers
            assert len(content) == int(lines[b"content-length"]), "the body came after its headers"
            took.append(time.perf_counter() - began)
    return took


@pytest.mark.parametrize(
    "path",
    ["/ofrep/v1/evaluate/flags/one_piece", "/ofrep/v1/evaluate/flags", "/api/v1/assignments"],
)
def test_answers__arrive_with_their_headers(live, path):
    if not live.sql("SELECT 1 FROM experiments WHERE key = 'one_piece'"):
        live.experiment("one_piece")
        live.settle()
    body = {"unit": "u1"} if path.startswith("/api") else {"context": {"targetingKey": "u1"}}
    assert sorted(ask_often(live, path, body))[5] < 0.03
