"""A condition on a unit's name means the same unit at every door: random catalogues, asked in every
way there is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from growthbook import GrowthBook

from experiments.core.protocols import growthbook, growthbook_remote, ofrep
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.explaining import explain
from experiments.core.types import JSON, Environment
from experiments.core.units import UNIT_NAMES
from experiments.sdk import AssayClient
from tests.experiments.core.serving.catalogues import (
    SEED,
    catalogue,
    document,
    experiment,
    flag,
    rollout,
)

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
PRODUCTION = Environment.PRODUCTION
GROWTHBOOK = {"user": "id", "tenant": "tenantId", "session": "sessionId"}
OPENFEATURE = {"user": "targetingKey", "tenant": "tenantId", "session": "sessionId"}
IDS = ("acme", "u1", "7", "-3", "пользователь")


def values_by_door(
    built: Any, units: dict[str, str], attributes: dict[str, Any], key: str = "rank"
) -> dict[str, JSON]:
    """What each way of asking answers for one flag; each door spells the units in its own way."""
    context = {OPENFEATURE[kind]: text for kind, text in units.items()} | attributes
    known = {GROWTHBOOK[kind]: text for kind, text in units.items()} | attributes
    request = AssignmentRequest(flag=key, units=units, attributes=attributes)
    evaluate = built.evaluators(PRODUCTION)[key]
    return {
        "rest": assign(built, request, NOW).served.value,
        "explain": explain(built, request, NOW).value,
        "ofrep": evaluate(ofrep.asked_in(context).units, context, NOW).served.value,
        "growthbook remote": growthbook_remote.answers(
            built, PRODUCTION, growthbook_remote.asked_in(known), NOW, client=False
        )[key].served.value,
        "growthbook local": locally(built, known, key),
    }


def locally(built: Any, known: dict[str, Any], key: str) -> JSON:
    found = json.loads(
        catalogues.canonical(growthbook.payload(built, PRODUCTION, NOW, client=False).as_json())
    )
    assert key not in found["remoteOnly"], found["remoteOnly"]
    book = GrowthBook(features=found["features"], attributes=known)
    try:
        return book.get_feature_value(key, None)
    finally:
        book.destroy()


def random_rule(random: Random) -> list[dict[str, Any]]:
    name = random.choice(sorted(UNIT_NAMES))
    op = random.choice(["eq", "ne", "in", "not_in", "exists", "not_exists"])
    literals = [*IDS, 7, -3]
    value = {"exists": None, "not_exists": None}.get(op, random.choice(literals))
    if op in ("in", "not_in"):
        value = random.choice([random.sample(IDS, 2), [7, -3], [7]])
    return [{"attribute": name, "op": op, **({} if value is None else {"value": value})}]


def random_units(random: Random) -> dict[str, str]:
    return {kind: random.choice(IDS) for kind in GROWTHBOOK if random.random() < 0.7}


@pytest.mark.parametrize("seed", range(12))
def test_condition_on_a_unit__random_rules_and_units__is_answered_alike_everywhere(seed: int):
    random, values = Random(seed), set()
    for _ in range(12):
        rule, kind = random_rule(random), random.choice(["user", "tenant", "session"])
        serving = experiment(unit_type=kind, targeting=rule)
        audience = {
            "unit_type": kind,
            "targeting": random_rule(random),
            "seed": SEED,
            "buckets": None,
        }
        built = catalogue(
            flag(
                experiment=serving,
                rollout=rollout(audience=audience) if random.random() < 0.5 else None,
            )
        )
        for _ in range(6):
            units = random_units(random)
            named = random.choice(sorted(UNIT_NAMES))
            # An attribute under another spelling of a unit's name; doors that read their own
            # spelling make a unit of it.
            extra = (
                {}
                if random.random() < 0.6 or named in (*GROWTHBOOK.values(), *OPENFEATURE.values())
                else {named: random.choice(IDS)}
            )
            found = values_by_door(built, units, extra)
            assert len({json.dumps(value) for value in found.values()}) == 1, (
                rule,
                units,
                extra,
                found,
            )
            values.add(json.dumps(found["rest"]))
    assert len(values) > 1


@pytest.mark.parametrize("name", sorted(UNIT_NAMES))
@pytest.mark.parametrize(
    ("op", "value", "inside"),
    [("eq", "acme", True), ("ne", "acme", False), ("in", ["acme", "b"], True)],
)
def test_condition_on_a_unit__by_each_of_its_names__reaches_it_at_every_door(
    name, op, value, inside
):
    built = catalogue(
        flag(experiment=experiment(targeting=[{"attribute": name, "op": op, "value": value}]))
    )
    units = {"user": "u1", "tenant": "t1", "session": "s1"} | {UNIT_NAMES[name]: "acme"}
    found = values_by_door(built, units, {})
    assert {value != {"model": "default"} for value in found.values()} == {inside}, found


def test_sdk__condition_on_a_unit__decides_as_the_doors_do():
    serving = experiment(targeting=[{"attribute": "tenantId", "op": "eq", "value": "acme"}])
    body = {"schema": 1, "environment": "production", **document(flag(experiment=serving))}
    client = AssayClient.from_document(catalogues.canonical(body))
    assert client.variant("ranker", units={"user": "u1", "tenant": "acme"}) is not None
    assert client.variant("ranker", units={"user": "u1", "tenant": "other"}) is None


def test_unit__beats_an_attribute_of_its_name():
    built = catalogue(
        flag(
            experiment=experiment(
                targeting=[{"attribute": "tenantId", "op": "eq", "value": "acme"}]
            )
        )
    )
    request = AssignmentRequest(
        flag="rank", units={"user": "u1", "tenant": "other"}, attributes={"tenantId": "acme"}
    )
    assert assign(built, request, NOW).served.variant is None
    alone = AssignmentRequest(flag="rank", units={"user": "u1"}, attributes={"tenantId": "acme"})
    assert assign(built, alone, NOW).served.variant is not None
