"""Versions in order, by the precedence rules of Semantic Versioning 2.0.0 (semver.org, section 11).

Applications also write ``v2.1.0`` and ``2.1``. Both are read: a ``v`` in front counts for nothing,
and missing numbers are 0.
"""

from __future__ import annotations

import re
from typing import TypeAlias

MAX_VERSION = 256
"""Longer text is no version."""
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"[vV]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

Precedence: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: object) -> Precedence | None:
    """What orders a version among others; ``None`` for what is no version.

    A release stands above its pre-releases, numeric identifiers stand below others and in numeric
    order, and build metadata counts for nothing: ``1.0.0+a`` and ``1.0.0+b`` are equal here.
    """
    found = (
        _VERSION.fullmatch(version)
        if isinstance(version, str) and len(version) <= MAX_VERSION
        else None
    )
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    identifiers = () if before is None else tuple(map(_identifier, before.split(".")))
    return int(major), int(minor or 0), int(patch or 0), before is None, identifiers


def full(version: str) -> str:
    """A version that ``precedence`` reads, with all three numbers and without a ``v``: every reader
    of SemVer 2.0 knows it.
    """
    rest = version[1:] if version[:1] in ("v", "V") else version
    end = min((place for mark in "-+" if (place := rest.find(mark)) >= 0), default=len(rest))
    numbers = rest[:end].split(".")
    return ".".join([*numbers, *["0"] * (3 - len(numbers))]) + rest[end:]


def _identifier(text: str) -> tuple[bool, int, str]:
    return (False, int(text), "") if text.isdigit() else (True, 0, text)
