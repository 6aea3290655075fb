"""A stranger's server that our client takes for a public one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.core.messages import destinations
from experiments.outgoing import https
from tests.experiments.outgoing.server import HOST, Stranger, certificate, listening


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Which addresses a name has; each look-up takes the first of several answers, the last one
    stays.
    """
    known: dict[str, list[str]] = {HOST: ["127.0.0.1"]}
    monkeypatch.setattr(
        destinations, "PORTS", range(1, 65_536)
    )  # the stranger listens where there is room

    def look_up(host: str, port: int, **_: object) -> list[tuple]:
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        families = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in found.split()]
        return [
            (family, socket.SOCK_STREAM, 6, "", (one, port))
            for family, one in zip(families, found.split(), strict=True)
        ]

    monkeypatch.setattr(https.socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Count an address as public."""

    def as_well(address: str) -> None:
        before = https.permitted
        monkeypatch.setattr(https, "permitted", lambda one: one == address or before(one))

    return as_well


@pytest.fixture
def stranger(
    pair: tuple[Path, Path],
    names: dict[str, list[str]],
    allow: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stranger]:
    """A server at hooks.example.com, whose certificate is trusted and whose address counts as
    public.
    """
    allow("127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    with listening(*pair) as server:
        yield server
