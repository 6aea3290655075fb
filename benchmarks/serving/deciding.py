"""Decisions inside one process: against the least that a split can cost, and against what one would
use instead.

Everybody decides for an object flag with two arms and one targeting rule that holds, among as many
experiments as said, and tells nobody of it. They take turns, and a turn is measured in processor
time, so that a busy machine slows all alike; the best turn counts.
"""

from __future__ import annotations

import hashlib
import json
import time
from bisect import bisect
from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import accumulate

import eppo_client
from growthbook.common_types import (
    EvaluationContext,
    Feature,
    GlobalContext,
    Options,
    StackContext,
    UserContext,
)
from growthbook.core import eval_feature

from analytics.core.ground.bulk import buckets_of
from benchmarks.serving.documents import ARMS, ATTRIBUTES, NOW, WEIGHTS, catalogue_of
from benchmarks.serving.floors import Floor
from experiments.core.hashing import ascii_hash

UNITS = [f"user-{number}" for number in range(5_000)]
MANY = [f"user-{number}" for number in range(1_000_000)]
SOME = MANY[:: len(MANY) // 100_000]
ROUNDS = 25
CONFIGS = [{"model": f"ranker-{arm}", "top_k": 20 + arm} for arm in range(len(ARMS))]

Decide = Callable[[str], object]


def measured() -> list[Floor]:
    """Every ratio of one process."""
    contenders = {
        "sha256 + bisect": split(),
        "assay, 1 experiment": assay(1),
        "assay, 50 experiments": assay(50),
        "assay, 500 experiments": assay(500),
        "eppo-server-sdk": eppo(50),
        "growthbook": growthbook(50),
    }
    agree(contenders)
    times = turns(contenders)
    for name, taken in times.items():
        print(f"  {name:<24}{taken * 1e6:8.3f} µs a decision")
    print(f"  our hash: {ascii_hash.__name__} of {ascii_hash.__module__ or 'a C module'}")
    ours = times["assay, 50 experiments"]
    return [
        Floor(
            "decision among 50 experiments, to sha256 + bisect",
            ours / times["sha256 + bisect"],
            1.2,
            least=False,
            form="{:.2f} ×",
        ),
        Floor(
            "the same, growthbook's eval_feature to ours",
            times["growthbook"] / ours,
            12,
            form="{:.1f} ×",
        ),
        Floor(
            "the same, eppo-server-sdk to ours", times["eppo-server-sdk"] / ours, 1, form="{:.2f} ×"
        ),
        Floor(
            "500 experiments, to 1",
            times["assay, 500 experiments"] / times["assay, 1 experiment"],
            1.2,
            least=False,
            form="{:.2f} ×",
        ),
        bulk(contenders["sha256 + bisect"]),
    ]


def turns(contenders: Mapping[str, Decide]) -> dict[str, float]:
    """Each one's best turn, in seconds of processor time a decision."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, decide in contenders.items():
            started = time.process_time()
            for unit in UNITS:
                decide(unit)
            best[name] = min(best[name], (time.process_time() - started) / len(UNITS))
    return best


def agree(contenders: Mapping[str, Decide]) -> None:
    """Stops when somebody does not split units in two halves: then it does not do the work that is
    measured.
    """
    for name, decide in contenders.items():
        found = Counter(repr(decide(unit)) for unit in UNITS)
        if len(found) != len(ARMS) or min(found.values()) < 0.45 * len(UNITS):
            raise SystemExit(f"{name} does not halve the units: {found.most_common(5)}")


def bulk(split: Decide) -> Floor:
    """A million ids at once against a loop over a tenth of them with a home-made split, in turns;
    the best turn of each counts.
    """
    at_once, loop = float("inf"), float("inf")
    for _ in range(5):
        at_once = min(at_once, _seconds(lambda: buckets_of("5eed00c0ffee", MANY)) / len(MANY))
        loop = min(loop, _seconds(lambda: deque(map(split, SOME), maxlen=0)) / len(SOME))
    return Floor(
        "1 M ids at once, to a loop of sha256 + bisect",
        loop / at_once,
        4,
        form="{:.1f} ×",
        note=f"{1e-6 / at_once:.1f} M a second",
    )


def _seconds(act: Callable[[], object]) -> float:
    """Of processor time."""
    started = time.process_time()
    act()
    return time.process_time() - started


# ---------------------------------------------------------------- contenders


def split() -> Decide:
    """What a home-made split costs: SHA-256 of salt and id, then bisect over the cumulated
    weights.
    """
    edges = list(accumulate(WEIGHTS))

    def decide(unit: str) -> object:
        return CONFIGS[
            bisect(
                edges, int.from_bytes(hashlib.sha256(f"salt:{unit}".encode()).digest()[:8]) % 1000
            )
        ]

    return decide


def assay(size: int) -> Decide:
    evaluators, flag = catalogue_of(size).evaluators(), f"flag-{size - 1}"
    return lambda unit: evaluators[flag]({"user": unit}, ATTRIBUTES, NOW).served.value


def growthbook(size: int) -> Decide:
    """As its own tool would write the rule; a context is built a call, since it holds the unit."""
    features = {
        f"flag-{number}": Feature(defaultValue={}, rules=[_growthbook_rule(number)])
        for number in range(size)
    }
    everywhere, flag = GlobalContext(options=Options(), features=features), f"flag-{size - 1}"

    def decide(unit: str) -> object:
        user = UserContext(attributes={"id": unit, **ATTRIBUTES})
        return eval_feature(
            flag, EvaluationContext(user=user, global_ctx=everywhere, stack=StackContext())
        ).value

    return decide


def _growthbook_rule(number: int) -> dict[str, object]:
    return {
        "key": f"experiment-{number}", "seed": f"salt-{number}", "hashAttribute": "id", "hashVersion": 2, "coverage": 1,
        "weights": [0.5, 0.5], "variations": CONFIGS, "condition": dict(ATTRIBUTES),
    }  # fmt: skip


class _Deaf(eppo_client.AssignmentLogger):
    def log_assignment(self, event: object) -> None:
        pass


def eppo(size: int) -> Decide:
    """From a local configuration, never polled for, with its logging off."""
    flags = {f"flag-{number}": _eppo_flag(number) for number in range(size)}
    document = {
        "createdAt": NOW.isoformat(),
        "format": "SERVER",
        "environment": {"name": "production"},
        "flags": flags,
    }
    configuration = eppo_client.Configuration(flags_configuration=json.dumps(document).encode())
    client = eppo_client.init(
        eppo_client.ClientConfig(
            api_key="none",
            base_url="http://127.0.0.1:1",
            assignment_logger=_Deaf(),
            poll_interval_seconds=None,
            initial_configuration=configuration,
        )
    )
    flag = f"flag-{size - 1}"
    return lambda unit: client.get_json_assignment(flag, unit, ATTRIBUTES, None)


def _eppo_flag(number: int) -> dict[str, object]:
    halves = zip(ARMS, (0, 5000), strict=True)
    splits = [
        {
            "variationKey": arm,
            "shards": [
                {"salt": f"salt-{number}", "ranges": [{"start": start, "end": start + 5000}]}
            ],
        }
        for arm, start in halves
    ]
    rules = [
        {
            "conditions": [
                {"attribute": name, "operator": "ONE_OF", "value": [value]}
                for name, value in ATTRIBUTES.items()
            ]
        }
    ]
    return {
        "key": f"flag-{number}", "enabled": True, "variationType": "JSON", "totalShards": 10_000,
        "variations": {arm: {"key": arm, "value": json.dumps(config)} for arm, config in zip(ARMS, CONFIGS, strict=True)},
        "allocations": [{"key": "both", "rules": rules, "splits": splits, "startAt": None, "endAt": None, "doLog": False}],
    }  # fmt: skip
