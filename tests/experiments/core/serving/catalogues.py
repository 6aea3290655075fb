"""Catalogue documents for tests, built as the changing service builds them: by plans over shuffled
buckets.
"""

from __future__ import annotations

from typing import Any

from experiments.core.design.allocation import plan, plan_dark
from experiments.core.hashing import shuffled_buckets
from experiments.core.serving.catalogue_parsing import Catalogue, parse

SEED = "5eed00c0ffee"
BUILT = "2026-05-01T09:00:00+00:00"
LATER = "2026-06-01T00:00:00+00:00"
EARLIER = "2026-04-01T00:00:00+00:00"


def variant(
    number: int, key: str, control: bool = False, value: Any = None, **buckets: list[int]
) -> dict[str, Any]:
    config = {"model": key}
    return {
        "id": number,
        "key": key,
        "name": key.title(),
        "is_control": control,
        "value": value,
        "config": config,
        **buckets,
    }


def experiment(key: str = "ranker", **changes: Any) -> dict[str, Any]:
    """Control and treatment, half of all units each, running."""
    seed = changes.get("seed", SEED)
    traffic, weights = changes.pop("traffic", 1000), changes.pop("weights", [500, 500])
    shares = plan(shuffled_buckets(seed), range(1000), weights, traffic).added
    names = ["control", "treatment", "other"][: len(weights)]
    base = {
        "id": 7, "key": key, "name": f"The {key} experiment", "iteration_id": 70, "iteration": 1, "stage": "running", "unit_type": "user",
        "seed": seed, "targeting": [], "dark_mode": "shadow",
        "variants": [variant(71 + i, n, i == 0, main=list(b)) for i, (n, b) in enumerate(zip(names, shares, strict=True))],
    }  # fmt: skip
    return base | changes


def dark_experiment(mode: str, **changes: Any) -> dict[str, Any]:
    dark = plan_dark(shuffled_buckets(SEED), range(1000), [500, 500], 0)
    arms = [
        variant(71, "control", True, twin=list(dark.twins)),
        variant(72, "treatment", dark=list(dark.dark[1])),
    ]
    return experiment(stage="dark_launch", dark_mode=mode, variants=arms, **changes)


def arm_stopped(experiment: dict[str, Any], key: str = "treatment") -> dict[str, Any]:
    """The same with one arm switched off: what it held stands under ``stopped``."""
    return experiment | {
        "variants": [_stopped(arm) if arm["key"] == key else arm for arm in experiment["variants"]]
    }


def _stopped(arm: dict[str, Any]) -> dict[str, Any]:
    held = sorted([*arm.get("main", []), *arm.get("dark", [])])
    return {name: value for name, value in arm.items() if name not in ("main", "dark")} | {
        "stopped": held
    }


def rollout(**changes: Any) -> dict[str, Any]:
    base = {
        "experiment_id": 6, "experiment": "old", "experiment_name": "The old experiment", "iteration_id": 60, "iteration": 1,
        "variant": variant(62, "winner"), "control": variant(61, "loser", True),
        "audience": {"unit_type": "user", "targeting": [], "seed": SEED, "buckets": None}, "holdback": [], "holdback_until": None,
    }  # fmt: skip
    return base | changes


def flag(key: str = "rank", **changes: Any) -> dict[str, Any]:
    base = {
        "key": key, "type": "object", "enabled": True, "default": {"model": "default"}, "client_visible": False, "experiment": None,
        "previews": [], "rollout": None, "overrides": [],
    }  # fmt: skip
    return base | changes


def override(unit_id: str = "tester", **changes: Any) -> dict[str, Any]:
    base = {
        "experiment": "ranker",
        "unit_type": "user",
        "unit_id": unit_id,
        "variant": "treatment",
        "until": LATER,
    }
    return base | changes


def document(*flags: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "version": 3,
        "built_at": BUILT,
        "exclusions": [],
        "holdout": None,
        "flags": list(flags),
    } | changes


def catalogue(*flags: dict[str, Any], **changes: Any) -> Catalogue:
    return parse(document(*flags, **changes))
