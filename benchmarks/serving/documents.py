"""Catalogues of any size as documents: object flags, each with a running experiment of two arms
over all units and one targeting rule.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from experiments.core.design.allocation import plan
from experiments.core.hashing import new_seed, shuffled_buckets
from experiments.core.serving.catalogue_parsing import Catalogue, parse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WEIGHTS = [500, 500]
TARGETING = [{"attribute": "country", "op": "eq", "value": "KZ"}]
ATTRIBUTES = {"country": "KZ"}
ARMS = ("control", "treatment")


def experiment_key(number: int) -> str:
    return f"experiment-{number}"


def variant_id(number: int, arm: int) -> int:
    return number * len(ARMS) + arm + 1


def flag_document(number: int) -> dict[str, Any]:
    """Flag and experiment of this number; their rows' ids follow from it."""
    seed = new_seed(hashlib.sha256(b"%d" % number).digest())
    shares = plan(shuffled_buckets(seed), range(1000), WEIGHTS, 1000).added
    variants = [
        {
            "id": variant_id(number, arm), "key": name, "name": name.title(), "is_control": arm == 0, "value": None,
            "config": {"model": f"ranker-{arm}", "top_k": 20 + arm}, "main": list(shares[arm]),
        }
        for arm, name in enumerate(ARMS)
    ]  # fmt: skip
    experiment = {
        "id": number + 1, "key": experiment_key(number), "name": f"Experiment {number}", "iteration_id": number + 1, "iteration": 1,
        "stage": "running", "unit_type": "user", "seed": seed, "targeting": TARGETING, "dark_mode": "shadow", "variants": variants,
    }  # fmt: skip
    return {
        "key": f"flag-{number}",
        "type": "object",
        "enabled": True,
        "default": {},
        "client_visible": False,
        "experiment": experiment,
    }


def document_of(size: int, version: int = 1) -> dict[str, Any]:
    return {
        "schema": 1,
        "version": version,
        "built_at": NOW.isoformat(),
        "flags": [flag_document(number) for number in range(size)],
    }


def catalogue_of(size: int) -> Catalogue:
    return parse(document_of(size))
