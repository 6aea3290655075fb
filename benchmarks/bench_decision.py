"""How long one decision takes, against the floor of hashing with SHA-256 and bisecting the weights.

Both are timed in turns within one run, so that a busy machine slows both alike; the ratio is the result.
Run with ``python -m benchmarks.bench_decision``.
"""

from __future__ import annotations

import hashlib
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from experiments.core.allocation import plan
from experiments.core.catalogue import Catalogue, parse
from experiments.core.hashing import bucket_of, new_seed, shuffled_buckets

WEIGHTS = [500, 500]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
UNITS = [f"user-{number}" for number in range(20_000)]
ROUNDS = 7
TARGETING = [{"attribute": "country", "op": "eq", "value": "KZ"}]
ATTRIBUTES = {"country": "KZ"}


def flag_document(number: int) -> dict[str, Any]:
    """An object flag with a running experiment of two arms over all units, in a layer of its own."""
    seed = new_seed(hashlib.sha256(b"%d" % number).digest())
    shares = plan(shuffled_buckets(seed), range(1000), WEIGHTS, 1000).added
    variants = [
        {
            "id": arm,
            "key": f"arm{arm}",
            "name": f"Arm {arm}",
            "is_control": arm == 0,
            "value": None,
            "config": {"k": arm},
            "main": list(share),
        }
        for arm, share in enumerate(shares)
    ]
    experiment = {
        "id": number, "key": f"experiment-{number}", "name": f"Experiment {number}", "iteration_id": number, "iteration": 1,
        "stage": "running", "unit_type": "user", "seed": seed, "targeting": TARGETING, "dark_mode": "shadow", "variants": variants,
    }  # fmt: skip
    return {"key": f"flag-{number}", "type": "object", "enabled": True, "default": {}, "client_visible": False, "experiment": experiment}


def catalogue_of(size: int) -> Catalogue:
    flags = [flag_document(number) for number in range(size)]
    return parse({"schema": 1, "version": 1, "built_at": NOW.isoformat(), "flags": flags})


def floor() -> Callable[[str], object]:
    """What a home-made split costs: SHA-256 of salt and id, then bisect over the cumulated weights."""
    edges = list(accumulate(WEIGHTS))

    def decide(unit: str) -> object:
        return bisect(edges, int.from_bytes(hashlib.sha256(f"salt:{unit}".encode()).digest()[:8]) % 1000)

    return decide


def deciding(catalogue: Catalogue, flag: str) -> Callable[[str], object]:
    evaluators = catalogue.evaluators()
    return lambda unit: evaluators[flag]({"user": unit}, ATTRIBUTES, NOW)


def microseconds(contenders: dict[str, Callable[[str], object]], units: Sequence[str]) -> dict[str, float]:
    """The best of some rounds for each contender, taken in turns, in microseconds a call."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, decide in contenders.items():
            started = time.perf_counter()
            for unit in units:
                decide(unit)
            best[name] = min(best[name], (time.perf_counter() - started) / len(units) * 1e6)
    return best


def main() -> None:
    """Print each contender's time and its ratio to the floor."""
    contenders = {
        "sha256 + bisect": floor(),
        "bucket_of": lambda unit: bucket_of("5eed00c0ffee", unit),
        "assign, 1 experiment": deciding(catalogue_of(1), "flag-0"),
        "assign, 50 experiments": deciding(catalogue_of(50), "flag-49"),
    }
    times = microseconds(contenders, UNITS)
    for name, taken in times.items():
        print(f"{name:<24} {taken:6.2f} µs  × {taken / times['sha256 + bisect']:.2f}")


if __name__ == "__main__":
    main()
