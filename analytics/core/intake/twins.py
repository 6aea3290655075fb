"""Ids whose letters are the same and whose code points are not: "é" as one character (NFC), or as
"e" with an accent (NFD).

Ids are never altered, since local SDKs hash them as they are. So such twins are two units, which
may meet two variants.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

TWINS: Final = "twin_ids"
"""The outcome of a new unit whose twin has met the same iteration, and the code of the finding."""


def twins_of(identity: str) -> frozenset[str]:
    """How else the id may be written; nothing for one of ASCII, which is most of them."""
    if identity.isascii():
        return frozenset()
    return frozenset(unicodedata.normalize(form, identity) for form in ("NFC", "NFD")) - {identity}


def count_twins(identities: Iterable[str]) -> int:
    """How many of these ids are another one of them, written otherwise."""
    seen = {identity for identity in identities if not identity.isascii()}
    return sum(
        1
        for identity in seen
        if not unicodedata.is_normalized("NFC", identity) and twins_of(identity) & seen
    )
