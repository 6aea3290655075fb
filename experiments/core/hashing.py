"""From a unit's id to one of 1,000 buckets: GrowthBook's second hash, so that its SDKs agree
exactly.

``bucket = (fnv1a32(str(fnv1a32(seed + unit_id))) % 10000) // 10`` over UTF-16 code units, as
JavaScript's ``charCodeAt`` sees them: a code unit above 255 is XORed in whole, not byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.core.types import BUCKETS

_OFFSET = 0x811C9DC5
_PRIME = 0x01000193
_MASK = 0xFFFFFFFF
_SEED_BYTES = 6


def _over_bytes(data: bytes) -> int:
    """FNV-1a 32 over bytes, in plain Python: what the C function computes."""
    value = _OFFSET
    for byte in data:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def _fast_over_bytes() -> Callable[[bytes], int]:
    """The C function where it is installed (.04 µs an id), else the plain one."""
    try:
        from fnv_hash_fast import fnv1a_32
    except ImportError:
        return _over_bytes
    return fnv1a_32


ascii_hash = _fast_over_bytes()
"""FNV-1a 32 over bytes, the fastest at hand."""


def _over_code_units(text: str) -> int:
    """FNV-1a 32 over UTF-16 code units; a lone surrogate is one unit, as in JavaScript."""
    data = text.encode("utf-16-le", "surrogatepass")
    value = _OFFSET
    for low, high in zip(data[::2], data[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * _PRIME) & _MASK
    return value


def fnv1a32(text: str) -> int:
    """FNV-1a 32 of a text over its UTF-16 code units; for ASCII these are its bytes."""
    return ascii_hash(text.encode("ascii")) if text.isascii() else _over_code_units(text)


def bucket_of(seed: str, unit_id: str) -> int:
    """The bucket (0 to 999) that a unit falls into under a layer's seed."""
    text = seed + unit_id
    inner = (
        ascii_hash(text.encode()) if text.isascii() else _over_code_units(text)
    )  # fnv1a32, without a call of its own
    return ascii_hash(b"%d" % inner) % 10000 // 10


def buckets_under(seeds: Sequence[bytes], unit_id: str) -> list[int]:
    """``bucket_of`` one unit under each of many seeds, which are ASCII: the id is looked at once
    for all of them.
    """
    if not unit_id.isascii():
        return [bucket_of(seed.decode("ascii"), unit_id) for seed in seeds]
    hashed, identity = ascii_hash, unit_id.encode()
    return [hashed(b"%d" % hashed(seed + identity)) % 10000 // 10 for seed in seeds]


def shuffled_buckets(seed: str) -> tuple[int, ...]:
    """The order in which a layer hands out its buckets, repeatable in any language.

    Bucket i's rank is ``fnv1a32(str(fnv1a32(seed + "/order/" + i)))``; lowest rank first, equal
    ranks by index. The word between keeps the order apart from the hashes of units.
    """
    return tuple(sorted(range(BUCKETS), key=lambda index: (_order_rank(seed, index), index)))


def _order_rank(seed: str, index: int) -> int:
    return fnv1a32(str(fnv1a32(f"{seed}/order/{index}")))


def new_seed(token: bytes) -> str:
    """A layer's seed, 12 hex characters, from at least 6 bytes of the caller's entropy."""
    if len(token) < _SEED_BYTES:
        raise ValueError(f"a seed needs {_SEED_BYTES} bytes of entropy, got {len(token)}")
    return token[:_SEED_BYTES].hex()
