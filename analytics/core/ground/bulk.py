"""Assigning millions of ids at once: the same buckets as serving gives, computed column by column
over whole arrays.

For notebooks and simulations. The hash is ``experiments.core.hashing``'s, FNV-1a 32 over UTF-16
code units applied twice; a test holds the two together on every kind of id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_OFFSET, _PRIME = np.uint32(0x811C9DC5), np.uint32(0x01000193)
_BETWEEN = "\n"
_AT_ONCE = 32_768
"""Ids hashed together: few enough for their columns to stay in the processor's cache."""
_POWERS = tuple(np.uint32(10**power) for power in range(9, 0, -1))

Hashes = NDArray[np.uint32]


def buckets_of(seed: str, ids: Sequence[str]) -> NDArray[np.int16]:
    """The bucket, 0 to 999, of each id under a layer's seed."""
    found = np.empty(len(ids), dtype=np.int16)
    start = _fnv(seed)
    for first in range(0, len(ids), _AT_ONCE):
        several = ids[first : first + _AT_ONCE]
        found[first : first + len(several)] = (
            _of_decimals(_of_texts(start, several)) % np.uint32(10_000) // np.uint32(10)
        )
    return found


def arms_of(seed: str, ids: Sequence[str], table: Sequence[str | None]) -> NDArray[np.object_]:
    """What each id gets: the entry of a table from bucket to arm (its 1,000 entries: an arm's key,
    or ``None`` for no variant).
    """
    if len(table) != 1000:
        raise ValueError(f"a table from bucket to arm has 1,000 entries; found {len(table):,}")
    arms = np.empty(len(table), dtype=np.object_)
    arms[:] = table
    return arms[buckets_of(seed, ids)]


def _fnv(text: str) -> np.uint32:
    """Of one text: where the hash of everything that begins with it goes on from."""
    value = int(_OFFSET)
    for unit in np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2").tolist():
        value = (value ^ unit) * int(_PRIME) & 0xFFFFFFFF
    return np.uint32(value)


def _of_texts(start: np.uint32, texts: Sequence[str]) -> Hashes:
    """The first hash of each text, going on from ``start``."""
    units, begins, lengths = _code_units(texts)
    value, shortest = np.full(len(texts), start, dtype=np.uint32), lengths.min()
    for at in range(lengths.max()):
        if at < shortest:
            value ^= units[begins + at]
            value *= _PRIME
        else:
            rows = np.flatnonzero(lengths > at)
            value[rows] = (value[rows] ^ units[begins[rows] + at]) * _PRIME
    return value


def _code_units(
    texts: Sequence[str],
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.intp], NDArray[np.intp]]:
    """All texts' code units in one array, where each text begins in it, and how long each is."""
    joined = _BETWEEN.join(texts)
    if joined.isascii():
        units: NDArray[np.unsignedinteger] = np.frombuffer(joined.encode(), dtype=np.uint8)
    else:
        units = np.frombuffer(joined.encode("utf-16-le", "surrogatepass"), dtype="<u2")
    ends = np.append(np.flatnonzero(units == ord(_BETWEEN)), len(units))
    if len(ends) != len(texts):  # a text holds what stands between texts
        lengths = np.array([len(text.encode("utf-16-le", "surrogatepass")) // 2 for text in texts])
        ends = np.cumsum(lengths + 1) - 1
    begins = np.concatenate(([0], ends[:-1] + 1))
    return units, begins, ends - begins


def _of_decimals(numbers: Hashes) -> Hashes:
    """The second hash: of each number written in decimal digits."""
    value = np.full(len(numbers), _OFFSET, dtype=np.uint32)
    for power in _POWERS:
        hashed = (value ^ (numbers // power % np.uint32(10) + np.uint32(48))) * _PRIME
        np.copyto(value, hashed, where=numbers >= power)
    return (value ^ (numbers % np.uint32(10) + np.uint32(48))) * _PRIME
