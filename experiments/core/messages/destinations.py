"""Where we may send: https to a public address at a port of web servers, however it is spelt.

A name is judged by what it resolves to, all of it; a number is judged as the number it is, and
only in its plain spelling. What other software would read as a number (octal, hexadecimal, one
big integer, shortened) is refused rather than interpreted.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from experiments.core.errors import InvalidInput

LONGEST = 2000
PORTS = frozenset({443, 8443})
"""Where web servers speak https. On other ports something else listens, and how it answers tells a
stranger what it is.
"""
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address behind a translator, in the last 32 bits."""
_SPECIAL: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv6Network("2001::/23"),
    ipaddress.IPv6Network("2001:db8::/32"),
    ipaddress.IPv6Network("2002::/16"),
    ipaddress.IPv6Network("3fff::/20"),
)
"""Relays, tunnels and documentation: global by their number, but leading elsewhere or nowhere."""


@dataclass(frozen=True)
class Destination:
    """An https address, taken apart: ``host`` is what the certificate must name, ``target`` the
    path with its query.
    """

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


def destination(url: str) -> Destination:
    """The address, or a refusal that says what is wrong; it never repeats path or query, which may
    hold secrets.
    """
    if (
        not url.isascii()
        or not url.isprintable()
        or " " in url
        or "\\" in url
        or len(url) > LONGEST
    ):
        raise _refused(
            f"printable ASCII without spaces and backslashes, at most {LONGEST} characters, is needed"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as broken:
        raise _refused("it cannot be read as an address") from broken
    if parts.scheme != "https":
        raise _refused(f"https is needed, found {parts.scheme[:20] or 'no scheme'!r}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("user names, passwords and fragments do not belong into it")
    if port is not None and port not in PORTS:
        raise _refused(f"port {port} is not called; use {' or '.join(map(str, sorted(PORTS)))}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(_host(parts.hostname or "", "[" in parts.netloc), port or 443, target)


def _host(host: str, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(
                ipaddress.IPv6Address(host.replace("%", " "))
            )  # a zone has no place in an address for others
        except ValueError as broken:
            raise _refused("what stands in brackets is no IPv6 address") from broken
    if not _HOST.match(host):
        raise _refused("it names no host; international names are written in their xn-- form")
    if _NUMERIC.match(host.rpartition(".")[2]):
        return _plain_number(host)
    return host


def _plain_number(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as broken:
        raise _refused(
            f"{host[:60]!r} is a number in an unusual spelling; write it as four decimal parts, or as a name"
        ) from broken


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet, and to nothing special in it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            return False
        if found in _TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)))
        if found not in _GLOBAL_V6:
            return False
    if any(found in network for network in _SPECIAL if network.version == found.version):
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"address: {why}; wanted something like https://hooks.example.com/assay", "address"
    )
