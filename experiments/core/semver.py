"""Versions in order, by the precedence rules of Semantic Versioning 2.0.0 (semver.org, section 11)."""

from __future__ import annotations

import re
from typing import TypeAlias

MAX_VERSION = 256
"""Longer text is no version."""
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

Precedence: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: object) -> Precedence | None:
    """What orders a version among others; ``None`` for what is no version.

    A release stands above its pre-releases, numeric identifiers stand below others and in numeric
    order, and build metadata counts for nothing: ``1.0.0+a`` and ``1.0.0+b`` are equal here.
    """
    found = _VERSION.fullmatch(version) if isinstance(version, str) and len(version) <= MAX_VERSION else None
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    identifiers = () if before is None else tuple(map(_identifier, before.split(".")))
    return int(major), int(minor), int(patch), before is None, identifiers


def _identifier(text: str) -> tuple[bool, int, str]:
    return (False, int(text), "") if text.isdigit() else (True, 0, text)
