"""One safe request to a stranger's server: https, public addresses only, pinned, bounded, never
redirected.

The name is resolved once; every address it has must be public, and the connection goes to the very
address that was judged, so a name that changes its mind in between gains nothing. The certificate
must name the host. Proxies of the environment are not asked.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.core.messages.destinations import Destination, destination, is_public

SECONDS = 10.0
"""For connecting, shaking hands, sending and hearing the status, together."""
LARGEST_HEAD = 16_384
LARGEST_BODY = 262_144
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]")

permitted: Callable[[str], bool] = is_public
"""The address policy; a test that runs a server of its own replaces it."""


class Undelivered(Exception):
    """It did not arrive, or nobody said that it did. The message names the host, never path or
    query.
    """


@dataclass(frozen=True)
class Route:
    """Where a request goes: the destination, and the addresses that were judged for it, in the
    resolver's order.
    """

    destination: Destination
    addresses: tuple[tuple[socket.AddressFamily, str], ...]


def route(url: str) -> Route:
    """Judge an address as it is now; ``InvalidInput`` for its spelling, ``Undelivered`` for what it
    resolves to.
    """
    to = destination(url)
    try:
        found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Undelivered(f"{to.host}: the name does not resolve ({error})") from error
    addresses = tuple((family, str(place[0])) for family, _, _, _, place in found)
    barred = sorted({address for _, address in addresses if not permitted(address)})
    if barred or not addresses:
        raise Undelivered(
            f"{to.host}: is at {', '.join(barred) or 'no address'}; only public addresses are called"
        )
    return Route(to, addresses)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """POST and hear the status, which is 2xx; anything else is ``Undelivered``. What else is
    answered is not read.
    """
    if len(body) > LARGEST_BODY:
        raise Undelivered(f"the message has {len(body):,} bytes; at most {LARGEST_BODY:,} are sent")
    way = route(url)
    until = time.monotonic() + SECONDS
    try:
        with _connected(way, until) as connection:
            connection.settimeout(_left(until))
            connection.sendall(_request(way.destination, body, headers))
            status = _status(connection, until)
    except (OSError, ValueError) as error:
        raise Undelivered(f"{way.destination.host}: {error!s:.200}") from error
    if 300 <= status < 400:
        raise Undelivered(
            f"{way.destination.host}: answered {status}; redirects are not followed, enter the address it leads to"
        )
    if not 200 <= status < 300:
        raise Undelivered(f"{way.destination.host}: answered {status}; 2xx says that it arrived")
    return status


def _connected(way: Route, until: float) -> ssl.SSLSocket:
    """A verified connection to a judged address itself; the name is not resolved again."""
    plain = _reached(way, until)
    try:
        plain.settimeout(_left(until))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=way.destination.host)
    except BaseException:
        plain.close()
        raise


def _reached(way: Route, until: float) -> socket.socket:
    """The first of the judged addresses that takes a connection."""
    refusal = OSError("no address")
    for family, address in way.addresses:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(_left(until))
            plain.connect((address, way.destination.port))
        except OSError as error:
            plain.close()
            refusal = error
        else:
            return plain
    raise refusal


def _request(to: Destination, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {
        "Host": to.authority,
        "User-Agent": "assay",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    head = [f"POST {to.target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
    if any(not line.isprintable() for line in head):
        raise ValueError("a header holds a control character")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def _status(connection: ssl.SSLSocket, until: float) -> int:
    """The final status of the answer; interim ones (1xx) are passed over."""
    head = b""
    while True:
        while b"\r\n\r\n" not in head:
            if len(head) > LARGEST_HEAD:
                raise ValueError(f"the answer's head is over {LARGEST_HEAD:,} bytes")
            connection.settimeout(_left(until))
            chunk = connection.recv(4096)
            if not chunk:
                raise ValueError("the connection closed before an answer")
            head += chunk
        match = _STATUS.match(head)
        if match is None:
            raise ValueError("the answer is no HTTP")
        if match[1][:1] != b"1":
            return int(match[1])
        head = head.partition(b"\r\n\r\n")[2]


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no answer within {SECONDS:g} seconds")
    return left
