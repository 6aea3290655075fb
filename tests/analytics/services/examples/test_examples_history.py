"""The written past is the same in every installation, whatever seed its layer was dealt by."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from analytics.services.examples.history import Author, ExampleDay, Stretch
from analytics.services.examples.plans import MODELS
from experiments.core.hashing import bucket_of, new_seed
from tests.analytics.stores.observed import START

ARMS = {bucket: "gpt4" if bucket % 2 else "claude" for bucket in range(300)}


def _written(seed: str) -> tuple[ExampleDay, list[str]]:
    day = Author(MODELS, seed).day(Stretch(START, START + timedelta(days=1), 200, ARMS))
    return day, [ARMS[bucket_of(seed, item["units"]["user"])] for item in day.exposures]


def test_author__two_seeds__other_units_and_the_same_totals() -> None:
    (one, arms), (other, again) = _written(new_seed(b"first!")), _written(new_seed(b"second"))
    assert {item["units"]["user"] for item in one.exposures} != {
        item["units"]["user"] for item in other.exposures
    }
    assert arms == again and set(Counter(arms)) == {"gpt4", "claude"}
    costs = [
        [(cost["tokens_in"], cost["tokens_out"]) for cost in day.arrived["costs"]]
        for day in (one, other)
    ]
    assert costs[0] == costs[1] and len(costs[0]) == 200
    values = [[item["value"] for item in day.arrived["observations"]] for day in (one, other)]
    assert values[0] == values[1] and values[0]


def test_author__units__are_new_each_day_and_lie_in_the_buckets_served() -> None:
    seed = new_seed(b"third!")
    author = Author(MODELS, seed)
    seen = [
        item["units"]["user"]
        for n in range(3)
        for item in author.day(
            Stretch(START + timedelta(days=n), START + timedelta(days=n + 1), 50, ARMS)
        ).exposures
    ]
    assert len(set(seen)) == len(seen) == 150
    assert all(bucket_of(seed, unit) in ARMS for unit in seen)
