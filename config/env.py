"""Settings from the environment, read through typed helpers that fail loudly."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str) -> str:
    """The variable as it stands, or the default when it is unset."""
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    """A yes/no variable; anything but the usual spellings is refused."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    word = raw.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ImproperlyConfigured(
        f"{name}: wanted one of 1/0, true/false, yes/no, on/off; found {raw!r}"
    )


def integer(name: str, default: int) -> int:
    """A whole number."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    try:
        return int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}: wanted a whole number; found {raw!r}") from None


def words(name: str, default: tuple[str, ...]) -> list[str]:
    """A comma-separated list, blanks dropped."""
    raw = os.environ.get(name)
    if raw is None:
        return list(default)
    return [part.strip() for part in raw.split(",") if part.strip()]


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """A comma-separated list of addresses and networks (``10.0.0.0/8``); empty when the variable is
    unset.
    """
    try:
        return tuple(ip_network(word) for word in words(name, ()))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: wanted addresses or networks such as 10.0.0.0/8; {error}"
        ) from None


def folder(name: str, default: Path) -> Path:
    """A folder's absolute path; it need not exist yet."""
    return Path(os.environ.get(name) or default).expanduser().resolve()
