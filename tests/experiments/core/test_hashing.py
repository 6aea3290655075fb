"""Buckets: pinned, equal to GrowthBook's, uniform, and independent between layers."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from growthbook.core import gbhash
from hypothesis import given
from hypothesis import strategies as st

from experiments.core import hashing
from experiments.core.hashing import bucket_of, fnv1a32, new_seed, shuffled_buckets
from tests.places import VECTORS

VECTORS = json.loads((VECTORS / "hash_v2.json").read_text(encoding="utf-8"))
SEED: str = VECTORS["seed"]
CASES: list[tuple[str, int]] = [(case[0], case[1]) for case in VECTORS["cases"]]

any_text = st.text(alphabet=st.characters(codec=None), max_size=40)


def growthbook_bucket(seed: str, unit_id: str) -> int:
    fraction = gbhash(seed, unit_id, 2)
    assert fraction is not None
    return round(fraction * 10000) // 10


def test_vectors__cover_four_kinds_of_ids():
    ids = [unit_id for unit_id, _ in CASES]
    assert len(set(ids)) == 10_000
    assert sum(unit_id.isascii() for unit_id in ids) == 5_000
    assert sum(any(ord(c) > 0xFFFF for c in unit_id) for unit_id in ids) > 2_000


def test_bucket_of__ten_thousand_pinned_ids__as_javascript_computed_them():
    assert [(unit_id, bucket_of(SEED, unit_id)) for unit_id, _ in CASES] == CASES


def test_bucket_of__ten_thousand_pinned_ids__as_pypi_growthbook_computes_them():
    """All of them: growthbook 4 hashes UTF-16 code units too."""
    assert [(unit_id, growthbook_bucket(SEED, unit_id)) for unit_id, _ in CASES] == CASES


@given(seed=any_text, unit_id=any_text)
def test_bucket_of__any_text__agrees_with_growthbook(seed: str, unit_id: str):
    assert bucket_of(seed, unit_id) == growthbook_bucket(seed, unit_id)


def test_bucket_of__range_edges__fall_where_growthbook_ranges_put_them():
    """A bucket b is exactly the units whose GrowthBook fraction lies in [b/1000, (b+1)/1000)."""
    for unit_id, bucket in CASES[:2000]:
        fraction = gbhash(SEED, unit_id, 2)
        assert fraction is not None
        assert bucket / 1000 <= fraction < (bucket + 1) / 1000


@given(st.binary(max_size=300))
def test_plain_hash__any_bytes__agrees_with_the_c_function(data: bytes):
    assert hashing._over_bytes(data) == hashing.ascii_hash(data)


def test_bucket_of__without_the_c_function__gives_the_same_buckets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hashing, "ascii_hash", hashing._over_bytes)
    assert [(unit_id, bucket_of(SEED, unit_id)) for unit_id, _ in CASES[:500]] == CASES[:500]


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)]
)
def test_fnv1a32__published_values(text: str, expected: int):
    assert fnv1a32(text) == expected


def test_bucket_of__a_hundred_thousand_units__are_spread_evenly():
    seen = Counter(bucket_of("c0ffee123456", f"user-{i}") for i in range(100_000))
    chi_square = sum((seen[bucket] - 100) ** 2 / 100 for bucket in range(1000))
    # 999 degrees of freedom: 99.9 % of fair hashes lie within about 860 to 1,144.
    assert 860 < chi_square < 1144


def test_bucket_of__two_layers__are_independent():
    first = [bucket_of("aaaaaaaaaaaa", f"u{i}") // 100 for i in range(50_000)]
    second = [bucket_of("aaaaaaaaaaab", f"u{i}") // 100 for i in range(50_000)]
    cells = Counter(zip(first, second, strict=True))
    chi_square = sum((cells[a, b] - 500) ** 2 / 500 for a in range(10) for b in range(10))
    # 99 degrees of freedom around expected cells of 500: the 99.9 % bound is 149.
    assert chi_square < 149


def test_shuffled_buckets__every_bucket_once__in_an_order_of_the_seeds_own():
    order = shuffled_buckets(SEED)
    assert sorted(order) == list(range(1000))
    assert order == shuffled_buckets(SEED) != shuffled_buckets("5eed00c0ffef")


def test_shuffled_buckets__first_ten__are_pinned():
    """Spelled out by hand from the published rule, without the hash under test."""

    def rank(index: int) -> int:
        def fnv(text: str) -> int:
            value = 0x811C9DC5
            for byte in text.encode():
                value = (value ^ byte) * 0x01000193 % 2**32
            return value

        return fnv(str(fnv(f"{SEED}/order/{index}")))

    assert list(shuffled_buckets(SEED)[:10]) == sorted(range(1000), key=rank)[:10]


def test_shuffled_buckets__neighbours__are_not_handed_out_together():
    order = shuffled_buckets(SEED)
    distances = [abs(a - b) for a, b in pairwise(order)]
    # Two random buckets lie 333 apart on average.
    assert 300 < sum(distances) / len(distances) < 366


def test_new_seed__is_twelve_hex_characters_of_the_given_entropy():
    assert new_seed(bytes(range(16))) == "000102030405"
    with pytest.raises(ValueError, match="6 bytes"):
        new_seed(b"short")
