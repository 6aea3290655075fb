"""Millions of ids at once get the buckets that serving gives each of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.core.ground import bulk
from analytics.core.ground.bulk import arms_of, buckets_of
from experiments.core.hashing import bucket_of
from tests.places import VECTORS

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


@given(seed=ANY_TEXT, ids=st.lists(ANY_TEXT, max_size=40))
@example(seed="s", ids=["", "a", "жизнь", "😀", "a\nb", "\ud83d", "x" * 256])
@example(seed="s", ids=["\n"])
def test_buckets_of__any_ids__are_servings(seed: str, ids: list[str]) -> None:
    assert buckets_of(seed, ids).tolist() == [bucket_of(seed, identity) for identity in ids]


@pytest.mark.parametrize("extra", [[], ["Ж"], ["a\nb"]])
def test_buckets_of__more_than_go_at_once__are_servings(extra: list[str]) -> None:
    ids = [f"user-{number}" for number in range(bulk._AT_ONCE + 5_000)] + extra
    assert buckets_of("5eed00c0ffee", ids).tolist() == [
        bucket_of("5eed00c0ffee", identity) for identity in ids
    ]


def test_buckets_of__pinned_vectors() -> None:
    vectors = json.loads((VECTORS / "hash_v2.json").read_text())
    ids, buckets = zip(*vectors["cases"], strict=True)
    assert buckets_of(vectors["seed"], ids).tolist() == list(buckets)


def test_arms_of__a_table__gives_each_id_its_buckets_entry() -> None:
    table = ["control"] * 500 + ["treatment"] * 400 + [None] * 100
    ids = [f"u{number}" for number in range(3000)]
    found = arms_of("s", ids, table)
    assert found.tolist() == [table[bucket_of("s", identity)] for identity in ids]
    assert set(found.tolist()) == {"control", "treatment", None}


def test_arms_of__a_table_of_another_length__is_refused() -> None:
    with pytest.raises(ValueError, match="found 3"):
        arms_of("s", ["u"], ["a", "b", "c"])


def test_buckets_of__nobody__is_empty() -> None:
    assert buckets_of("s", []).shape == (0,)
    assert buckets_of("s", []).dtype == np.int16
