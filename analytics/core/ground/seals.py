"""The chain of seals over the audit: what each one covers, and what a broken chain looks like. No
database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

VERSION = 2
"""Raise it when a sealed table gets another column; older seals go on covering the columns of their
version.
"""
_FIRST: Mapping[str, tuple[str, ...]] = {
    "changelog": (
        *(
            "id",
            "at",
            "actor_kind",
            "actor_label",
            "actor_id",
            "action",
            "object_type",
            "object_id",
            "object_label",
        ),
        *("experiment_id", "reason", "before", "after"),
    ),
    "decisions": (
        *(
            "id",
            "iteration_id",
            "look_id",
            "verdict",
            "outcome",
            "variant_id",
            "arms",
            "rule",
            "facts",
            "versions",
            "made_at",
        ),
    ),
    "experiment_sign_offs": (
        *(
            "id",
            "experiment_id",
            "item",
            "verdict",
            "comment",
            "evidence",
            "judged",
            "judged_sha256",
        ),
        *("signed_by_id", "requested_by_id", "signed_at"),
    ),
}
COLUMNS: Mapping[int, Mapping[str, tuple[str, ...]]] = {
    1: _FIRST,
    2: {**_FIRST, "experiment_sign_offs": (*_FIRST["experiment_sign_offs"], "key_made_by_id")},
}
SOURCES = tuple(COLUMNS[VERSION])
START = "0" * 64
"""What the first seal stands on."""


@dataclass(frozen=True)
class Seal:
    """A stored seal, beside the digest that its row has now (``None``: the row is gone)."""

    number: int
    source: str
    row_id: int
    version: int
    row_sha256: str
    sha256: str
    found: str | None = None


def chained(before: str, source: str, row_id: int, row_sha256: str) -> str:
    """The digest of a seal that follows another one."""
    return hashlib.sha256(f"{before}\n{source}\n{row_id}\n{row_sha256}".encode()).hexdigest()


def breaks(seals: Iterable[Seal]) -> Iterator[str]:
    """What is wrong with a chain, one sentence each; nothing when it is whole."""
    before, expected = START, 1
    for seal in seals:
        where = f"{seal.source} row {seal.row_id} (seal {seal.number})"
        if seal.number != expected:
            yield f"seals {expected} to {seal.number - 1} are missing"
        elif seal.sha256 != chained(before, seal.source, seal.row_id, seal.row_sha256):
            yield f"{where}: the seal does not follow from the one before it"
        if seal.found is None:
            yield f"{where}: the row is gone"
        elif seal.found != seal.row_sha256:
            yield f"{where}: the row was changed after it was sealed"
        before, expected = seal.sha256, seal.number + 1
