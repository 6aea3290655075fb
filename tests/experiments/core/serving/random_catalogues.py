"""Random catalogues and requests that meet every step of the evaluation order, from a seed."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from experiments.core.serving.assignment import AssignmentRequest
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.types import Environment
from tests.experiments.core.serving.catalogues import (
    EARLIER,
    LATER,
    SEED,
    arm_stopped,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
)

MOMENTS = (datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
"""Before and after everything that ends at LATER."""
_RULES: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"attribute": "a", "op": "lt", "value": 3}],
    [{"attribute": "app", "op": "eq", "value": "2.0.0"}],
    [{"attribute": "app", "op": "semver_gte", "value": "2.0.0-rc.1"}],
    [{"op": "in_segment", "value": "beta"}],
    [{"op": "not_in_segment", "value": "beta"}, {"attribute": "a", "op": "ne", "value": 5}],
    [{"attribute": "tenantId", "op": "eq", "value": "u1"}],
    [{"attribute": "tenant", "op": "ne", "value": "u2"}],
    [{"attribute": "targetingKey", "op": "in", "value": ["u1", "u2"]}],
    [{"attribute": "id", "op": "not_in", "value": ["u1", "7"]}],
    [
        {"attribute": "user_id", "op": "in", "value": [7, 8]},
        {"attribute": "session_id", "op": "not_exists"},
    ],
    [{"op": "in_segment", "value": "named"}],
)
_BETA = {
    "key": "beta",
    "ids": {"tenant": ["u2"], "visitor": ["x1", "u3"]},
    "rules": [[{"attribute": "a", "op": "eq", "value": 1}]],
}
_NAMED = {
    "key": "named",
    "ids": {},
    "rules": [[{"attribute": "sessionId", "op": "starts_with", "value": "u"}]],
}
_UNIT_TYPES = ("user", "tenant", "visitor", "session")


def random_catalogue(seed: int) -> Catalogue:
    """Up to four flags ``f0…`` with experiments ``e0…``, previews ``p00…``, rollouts (``old``),
    overrides, and global rules.
    """
    random = Random(seed)
    changes: dict[str, Any] = {"segments": [_BETA, _NAMED]}
    if random.random() < 0.4:
        changes["exclusions"] = [
            {
                "key": "staff",
                "ids": {"user": ["u3"]},
                "rules": [[{"attribute": "b", "op": "exists"}], []],
            },
            {"key": "testers", "ids": {"session": ["u1"]}, "rules": [random.choice(_RULES)]},
        ]
    if random.random() < 0.4:
        until = random.choice([None, LATER])
        unit_type = random.choice(["user", "tenant", "visitor"])
        changes["holdout"] = {
            "unit_type": unit_type,
            "seed": "401d00000000",
            "buckets": list(range(300)),
            "until": until,
        }
    return catalogue(*(_flag(random, number) for number in range(random.randint(1, 4))), **changes)


def random_request(random: Random, book: Catalogue) -> AssignmentRequest:
    """By flag, or by an experiment's key or name; some of it unknown, missing or empty."""
    units = {
        t: random.choice(["u1", "u2", "u3", "7", f"x{random.randint(0, 99)}", ""])
        for t in _UNIT_TYPES
        if t != "visitor" and random.random() < 0.6
    }
    found = {
        "a": random.choice([1, 5, "1", None]),
        "b": 1,
        "app": random.choice(["1.9.0", "2.0.0", "2.0"]),
    }
    attributes = {
        name: value
        for name, value in found.items()
        if random.random() < (0.1 if name == "b" else 0.6)
    }
    asked = (
        {"flag": random.choice([*book.flags, "gone"])}
        if random.random() < 0.5
        else {"experiment": random.choice(_names(book))}
    )
    return AssignmentRequest(
        units=units,
        attributes=attributes,
        environment=random.choice(list(Environment)),
        client=random.random() < 0.3,
        **asked,
    )


def _names(book: Catalogue) -> list[str]:
    """Keys and names of what the catalogue's flags have, and of what nobody has."""
    found = ["gone"]
    for one in book.flags.values():
        found += [
            text for experiment in one.experiments() for text in (experiment.key, experiment.name)
        ]
        found += [text for rested in one.resting for text in rested]
        found += [one.rollout.experiment] if one.rollout is not None else []
    return found


def _flag(random: Random, number: int) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if random.random() < 0.7:
        changes["experiment"] = _experiment(random, f"e{number}")
    if random.random() < 0.4:
        changes["previews"] = [
            experiment(
                f"p{number}{one}", stage="draft", iteration_id=None, targeting=random.choice(_RULES)
            )
            for one in range(random.randint(1, 2))
        ]
    if random.random() < 0.2 and "experiment" in changes:
        launching = experiment(f"e{number}", stage="dark_launch", iteration_id=None)
        changes["previews"] = [launching, *changes.get("previews", [])]
    if random.random() < 0.5:
        changes["rollout"] = _rollout(random)
    if random.random() < 0.4:
        changes["overrides"] = [_override(random, number, unit) for unit in ("u1", "u2", "u1")]
    if random.random() < 0.3:
        changes["resting"] = [{"key": f"r{number}", "name": f"R {number}"}]
    return flag(
        f"f{number}", enabled=random.random() < 0.9, client_visible=random.random() < 0.5, **changes
    )


def _experiment(random: Random, key: str) -> dict[str, Any]:
    targeting, unit_type = random.choice(_RULES), random.choice(_UNIT_TYPES)
    if random.random() < 0.3:
        return dark_experiment(random.choice(["shadow", "visible"]), key=key, targeting=targeting)
    running = experiment(
        key, targeting=targeting, unit_type=unit_type, traffic=random.choice([100, 500, 1000])
    )
    return (
        arm_stopped(running, random.choice(["treatment", "control"]))
        if random.random() < 0.3
        else running
    )


def _rollout(random: Random) -> dict[str, Any]:
    audience = {
        "unit_type": random.choice(_UNIT_TYPES),
        "targeting": random.choice(_RULES),
        "seed": SEED,
        "buckets": random.choice([None, list(range(500))]),
    }
    held = {"holdback": list(range(300)), "holdback_until": random.choice([None, LATER])}
    return rollout(
        **random.choice([{}, held, {"audience": audience}, {"audience": audience, **held}])
    )


def _override(random: Random, number: int, unit: str) -> dict[str, Any]:
    return override(
        unit,
        unit_type=random.choice(["user", "visitor", "tenant"]),
        experiment=random.choice([f"e{number}", f"p{number}0"]),
        variant=random.choice(["treatment", "control", "gone"]),
        until=random.choice([LATER, EARLIER]),
    )
