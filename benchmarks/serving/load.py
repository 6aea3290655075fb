"""A load generator on bare sockets: keep-alive, ready-made requests, a few microseconds each, in a
process of its own.

Two ways to ask. ``saturate``: every connection sends its next request as soon as it has its answer;
how many a second come back. ``pace``: requests leave on a fixed timetable whether or not answers
are back; how long each answer took, counted from when its request should have left.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

CONNECTIONS = 48
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "
_PIECE = 262_144


@dataclass(frozen=True)
class Target:
    """Where to knock, and the requests to knock with, in turns."""

    port: int
    requests: Sequence[bytes]


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST as it travels."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END_OF_HEAD + body


def saturate(target: Target, seconds: float) -> float:
    """Answers a second with every connection busy; raises when one of them is no 200."""
    return _apart(_saturate, target, seconds)


def pace(target: Target, a_second: float, seconds: float) -> list[float]:
    """Seconds from each request's due time to its answer, sorted."""
    return _apart(_pace, target, a_second, seconds)


def answer_to(target: Target) -> bytes:
    """The body of the first request's answer, to look at before anything is measured."""
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as connection:
        connection.sendall(target.requests[0])
        return _whole(connection).partition(_END_OF_HEAD)[2]


def _apart(act: Callable[..., object], *arguments: object) -> object:
    """In a process that shares neither lock nor memory with whoever measures."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(act, arguments)


def _saturate(target: Target, seconds: float) -> float:
    with _connected(target.port) as (poller, connections):
        requests = cycle(target.requests)
        for connection in connections.values():
            connection.send(next(requests))
        started = now = time.perf_counter()
        answered, end = 0, started + seconds
        while now < end:
            for number, _ in poller.poll(1.0):
                connection = connections[number]
                _read(connection)
                connection.send(next(requests))
                answered += 1
            now = time.perf_counter()
        return answered / (now - started)


def _pace(target: Target, a_second: float, seconds: float) -> list[float]:
    # Whoever asks from another machine cuts in on nobody here; the default would, each time an
    # answer arrives.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with _connected(target.port) as (_, connections):
        requests, idle, due_of = cycle(target.requests), deque(connections), dict[int, float]()
        started, sent, total, taken = time.perf_counter(), 0, int(a_second * seconds), list[float]()
        while len(taken) < total:
            now = time.perf_counter()
            while idle and sent < total and started + sent / a_second <= now:
                number = idle.popleft()
                due_of[number] = started + sent / a_second
                connections[number].send(next(requests))
                sent += 1
            pause = (
                max(0.0, started + sent / a_second - time.perf_counter())
                if idle and sent < total
                else 1.0
            )
            # Not epoll, whose shortest pause of a millisecond is longer than most answers take.
            for number in select.select(list(due_of), [], [], pause)[0]:
                _read(connections[number])
                taken.append(time.perf_counter() - due_of.pop(number))
                idle.append(number)
        return sorted(taken)


def _read(connection: socket.socket) -> None:
    answer = connection.recv(_PIECE)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"wanted a 200, found {answer[:500]!r}")
    missing = _length(answer) - len(answer)
    while missing > 0:
        missing -= len(connection.recv(_PIECE))


def _length(answer: bytes) -> int:
    """Of head and body together, from the head."""
    head = answer.index(_END_OF_HEAD)
    at = answer.find(_LENGTH, 0, head)
    if at < 0:
        at = answer.lower().index(_LENGTH, 0, head)
    at += len(_LENGTH)
    return head + len(_END_OF_HEAD) + int(answer[at : answer.index(b"\r\n", at)])


def _whole(connection: socket.socket) -> bytes:
    answer = connection.recv(_PIECE)
    head, _, body = answer.partition(_END_OF_HEAD)
    length = _length(answer) - len(head) - len(_END_OF_HEAD)
    while len(body) < length:
        body += connection.recv(_PIECE)
    return head + _END_OF_HEAD + body


@contextmanager
def _connected(port: int) -> Iterator[tuple[select.epoll, dict[int, socket.socket]]]:
    poller = select.epoll()
    connections = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connection.fileno()] = connection
        poller.register(connection.fileno(), select.EPOLLIN)
    try:
        yield poller, connections
    finally:
        poller.close()
        for connection in connections.values():
            connection.close()
