"""From which address a request came. ``X-Forwarded-For`` counts only as far as proxies that we
trust have written it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
UNKNOWN = "unknown"
"""The address of a request over a socket file, or through a server that names no peer."""
_HOPS = 16
"""More proxies than anybody has in a row; what a sender writes before that is not read."""
_HOUSEHOLD = 64
"""One subscriber usually has a whole IPv6 network of this prefix length."""


def client_address(request: HttpRequest) -> str:
    """The address of the sender, in one spelling.

    The peer of the connection, unless ``ASSAY_TRUSTED_PROXIES`` names it. Then the header is read
    from its right end, where the nearest proxy wrote, to the first address that is no trusted
    proxy.
    """
    peer = _parsed(request.META.get("REMOTE_ADDR", ""))
    if peer is None:
        return UNKNOWN
    for before in _hops(request.META.get("HTTP_X_FORWARDED_FOR", "")):
        if not _trusted(peer):
            break
        if before is None:  # a trusted proxy passed on something that is no address
            break
        peer = before
    return str(peer)


def sender_of(address: str) -> str:
    """What a limit per address counts: the address, or its network when it is an IPv6 one."""
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _HOUSEHOLD), strict=False))
    return UNKNOWN if found is None else str(found)


def _hops(header: str) -> Iterator[Address | None]:
    """What the header names, the nearest hop first."""
    parts = header.rsplit(",", _HOPS)
    yield from (_parsed(part) for part in reversed(parts) if part.strip())


def _trusted(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    """An address with or without its port; an IPv4 one that is written as IPv6 in its own
    spelling.
    """
    text = text.strip()[:64]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
