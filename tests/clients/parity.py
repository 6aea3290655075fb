"""One question to every way of asking: twenty experiments, many units, and no two answers that
differ.

A *leg* is a way of asking: units in, an iterator of answers out, one mapping of flag to ``Answer``
for each unit in their order. ``core`` is the leg that the others are held against. To compare
another client, write a leg for it; if it speaks to a live installation, ``published`` lets that
serve the catalogue of this module.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from growthbook import FeatureResult, GrowthBook

from experiments.core.design.allocation import plan, plan_dark
from experiments.core.hashing import shuffled_buckets
from experiments.core.protocols import growthbook
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.serving.evaluation import Served
from experiments.core.types import Environment, Phase
from tests.clients import node
from tests.experiments.core.serving.catalogues import (
    document,
    experiment,
    flag,
    override,
    rollout,
    variant,
)
from tests.live import Live

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
OPEN_END = "2999-01-01T00:00:00+00:00"
"""For a live installation now is later than ``NOW``."""
RAMP = (10, 50, 200, 500)
"""Thousandths of all units at each step of the ramped experiments."""
RAMPED = ("ramped", "ramped_thirds", "ramped_tenants")
TENANTS = 20_000
TESTERS, STAFF = 200, 200


class Answer(NamedTuple):
    """The value served, and the arm under which an experiment would report the unit (``None``:
    under none).
    """

    value: Any
    arm: str | None


Leg = Callable[[Sequence["Unit"]], Iterable[Mapping[str, Answer]]]


# ---------------------------------------------------------------- who asks


@dataclass(frozen=True)
class Unit:
    """One request: its units, and what else is known of it."""

    units: dict[str, str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def growthbook(self) -> dict[str, Any]:
        """As GrowthBook's SDKs have it: one map."""
        names = {"user": "id", "tenant": "tenantId", "session": "sessionId"}
        return {names[unit_type]: text for unit_type, text in self.units.items()} | self.attributes


def units(count: int, first: int = 0) -> list[Unit]:
    """Integers, UUIDs, Cyrillic and emoji in turn; now and then a request without user, tenant or
    country.
    """
    return [_unit(index) for index in range(first, first + count)]


def user_id(index: int) -> str:
    forms = (
        str(index),
        str(uuid.uuid5(uuid.NAMESPACE_OID, str(index))),
        f"пользователь-{index}",
        f"🙂{index}🚀",
    )
    return forms[index % 4]


def _unit(index: int) -> Unit:
    tenant = f"арендатор {index % TENANTS}" if index % 2 else f"tenant-{index % TENANTS}"
    ids = {"user": user_id(index), "tenant": tenant, "session": f"s{index}"}
    attributes = {
        "country": ("DE", "FR", "US", "Ελλάδα")[index // 4 % 4],
        "beta": index % 3 == 0,
        "seats": index % 7,
        "plan": "free",
    }
    if index % 50 == 7:
        del ids["tenant"]
    if index % 70 == 3:
        del ids["user"]
    if index % 40 == 9:
        del attributes["country"]
    if index % 60 == 11:
        attributes["plan"] = "internal"
    return Unit(ids, attributes)


# ---------------------------------------------------------------- what they are asked about


def parity_document(step: int = len(RAMP) - 1) -> dict[str, Any]:
    """Twenty experiments, with the ramped ones at this step; a holdout of 2 % of users, staff and a
    plan excluded.
    """
    share = RAMP[step]
    flags = [
        _flag("halves", _experiment("halves", 1)),
        _flag("thirds", _experiment("thirds", 2, weights=(200, 300, 500), traffic=400)),
        *_layer(3),
        _flag("targeted", _experiment("targeted", 6, targeting=TARGETING)),
        _flag("overridden", _experiment("overridden", 7), overrides=_overrides()),
        _flag("promoted", rollout=_rollout("promoted", 8, tested=None)),
        _flag("promoted_in_part", rollout=_rollout("promoted_in_part", 9, tested=600)),
        _flag("ramped", _experiment("ramped", 10, traffic=share)),
        _flag(
            "ramped_thirds",
            _experiment("ramped_thirds", 11, weights=(334, 333, 333), traffic=share),
        ),
        _flag("tenants", _experiment("tenants", 12, unit_type="tenant")),
        _flag(
            "ramped_tenants",
            _experiment(
                "ramped_tenants", 13, unit_type="tenant", traffic=share, targeting=TARGETING[:1]
            ),
        ),
        _flag("shadow", _dark("shadow", 14)),
        _flag("visible", _dark("visible", 15)),
        *(
            _flag(key, _experiment(key, 16 + place, targeting=rule))
            for place, (key, rule) in enumerate(NAMED_UNITS.items())
        ),
    ]
    staff = {
        "key": "staff",
        "ids": {"user": [user_id(4 * n + 1) for n in range(STAFF)]},
        "rules": [INTERNAL],
    }
    holdout = {
        "unit_type": "user",
        "seed": "401d0071aaaa",
        "buckets": list(range(3, 1000, 50)),
        "until": OPEN_END,
    }
    return document(*flags, exclusions=[staff], holdout=holdout, version=1)


INTERNAL = [{"attribute": "plan", "op": "eq", "value": "internal"}]
TARGETING = [
    {"attribute": "country", "op": "not_in", "value": ["US", "GB"]},
    {"attribute": "beta", "op": "eq", "value": False},
    {"attribute": "seats", "op": "in", "value": [0, 1, 2, 3]},
    {"attribute": "plan", "op": "ne", "value": "enterprise"},
    {"attribute": "plan", "op": "exists"},
    {"attribute": "churned", "op": "not_exists"},
]

_TENANTS, _USERS = [f"tenant-{n}" for n in range(0, 1600, 2)], [user_id(n) for n in range(800)]
NAMED_UNITS: dict[str, list[dict[str, Any]]] = {
    "tenant_in": [
        {"attribute": "tenantId", "op": "in", "value": _TENANTS},
        {"attribute": "tenant_id", "op": "ne", "value": "tenant-8"},
    ],
    "tenant_not": [{"attribute": "tenant", "op": "not_in", "value": _TENANTS}],
    "user_in": [
        {"attribute": "targetingKey", "op": "in", "value": _USERS},
        {"attribute": "id", "op": "not_in", "value": _USERS[:40]},
    ],
    "user_not": [
        {"attribute": "userId", "op": "not_in", "value": _USERS},
        {"attribute": "user_id", "op": "exists"},
    ],
    "session_in": [{"attribute": "sessionId", "op": "in", "value": [f"s{n}" for n in range(800)]}],
}
"""Targetings on units, each under another of their names."""
FLAGS = 20


def _seed(number: int) -> str:
    return hashlib.sha256(f"parity {number}".encode()).hexdigest()[:12]


def _flag(key: str, serving: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return flag(
        key,
        type="string",
        default=f"{key}: default",
        client_visible=True,
        experiment=serving,
        **changes,
    )


def _arms(
    key: str, number: int, buckets: Sequence[Mapping[str, Sequence[int]]]
) -> list[dict[str, Any]]:
    names = ("control", "treatment", "other")
    held = ({role: list(indexes) for role, indexes in own.items()} for own in buckets)
    return [
        variant(100 * number + i, names[i], i == 0, f"{key}: {names[i]}", **own)
        for i, own in enumerate(held)
    ]


def _experiment(
    key: str,
    number: int,
    *,
    weights: Sequence[int] = (500, 500),
    traffic: int = 1000,
    **changes: Any,
) -> dict[str, Any]:
    seed = _seed(number)
    added = plan(shuffled_buckets(seed), range(1000), weights, traffic).added
    arms = _arms(key, number, [{"main": own} for own in added])
    return experiment(key, id=number, iteration_id=10 * number, seed=seed, variants=arms, **changes)


def _layer(number: int) -> list[dict[str, Any]]:
    """Three experiments that share a layer, each with the buckets that the ones before it have
    left.
    """
    seed, free, flags = _seed(number), set(range(1000)), []
    for offset, name in enumerate(("layer_a", "layer_b", "layer_c")):
        added = plan(shuffled_buckets(seed), free, (500, 500), 300).added
        free -= {index for own in added for index in own}
        arms = _arms(name, number + offset, [{"main": own} for own in added])
        flags.append(_flag(name, experiment(name, id=number + offset, seed=seed, variants=arms)))
    return flags


def _overrides() -> list[dict[str, Any]]:
    named = {"experiment": "overridden", "until": OPEN_END}
    made = [
        override(user_id(5 * n), variant="control" if n % 3 else "treatment", **named)
        for n in range(TESTERS)
    ]
    over = override(user_id(1), experiment="overridden", until="2026-05-01T12:00:00+00:00")
    return [over, *made, override("tenant-8", unit_type="tenant", **named)]


def _rollout(key: str, number: int, tested: int | None) -> dict[str, Any]:
    seed = _seed(number)
    order = shuffled_buckets(seed)
    control, winner = _arms(key, number, [{}, {}])
    audience = {
        "unit_type": "user",
        "targeting": TARGETING[:2],
        "seed": seed,
        "buckets": None if tested is None else list(order[:tested]),
    }
    names = {
        "experiment_id": number,
        "experiment": key,
        "experiment_name": key,
        "iteration_id": 10 * number,
    }
    return rollout(
        control=control,
        variant=winner,
        audience=audience,
        holdback=list(order[:50]),
        holdback_until=OPEN_END,
        **names,
    )


def _dark(mode: str, number: int) -> dict[str, Any]:
    seed = _seed(number)
    dark = plan_dark(shuffled_buckets(seed), range(1000), (400, 300, 300), 0)
    arms = _arms(
        mode, number, [{"twin": dark.twins}, {"dark": dark.dark[1]}, {"dark": dark.dark[2]}]
    )
    return experiment(
        mode, id=number, seed=seed, stage="dark_launch", dark_mode=mode, variants=arms
    )


def parity_catalogue(step: int = len(RAMP) - 1) -> Catalogue:
    return catalogues.parse(parity_document(step))


def payload(catalogue: Catalogue, *, client: bool = False) -> dict[str, Any]:
    """The document that GrowthBook's SDKs would fetch, through JSON as they read it."""
    found = growthbook.payload(catalogue, Environment.PRODUCTION, NOW, client=client)
    return json.loads(catalogues.canonical(found.as_json()))


@contextmanager
def published(live: Live, content: Mapping[str, Any]) -> Iterator[None]:
    """Let a live installation serve this catalogue for a while."""
    version = live.sql(
        "SELECT coalesce(max(version), 0) + 1 FROM serving_documents WHERE kind = 'catalogue'"
    )[0][0]
    body = catalogues.canonical({**content, "version": version})
    digest = hashlib.sha256(body).hexdigest()
    insert = "INSERT INTO serving_documents (kind, version, sha256, body, built_at) VALUES ('catalogue', %s, %s, %s, now())"
    live.sql(insert, version, digest, body.decode())
    live.settle()
    try:
        yield
    finally:
        live.sql("DELETE FROM serving_documents WHERE kind = 'catalogue' AND version = %s", version)
        # The next catalogue may be given this number again, and must not be taken for this one.
        live.until_served(lambda served: served != version)


# ---------------------------------------------------------------- ways of asking


def core(catalogue: Catalogue, flags: Iterable[str] | None = None, *, client: bool = False) -> Leg:
    """Our own decision, in this process."""
    known = catalogue.evaluators(Environment.PRODUCTION, client)
    evaluators = {key: known[key] for key in (flags if flags is not None else known)}

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        for unit in asking:
            attributes = unit.growthbook()
            yield {
                key: _answer(evaluate(unit.units, attributes, NOW).served)
                for key, evaluate in evaluators.items()
            }

    return ask


def _answer(served: Served) -> Answer:
    """In a shadow the arm that owns the bucket is named in the metadata; control is what is
    served.
    """
    reported = served.role in (Phase.MAIN, Phase.DARK, Phase.TWIN)
    return Answer(
        served.value, str(served.metadata.get("treatment") or served.variant) if reported else None
    )


def growthbook_python(document: Mapping[str, Any], flags: Iterable[str] | None = None) -> Leg:
    """GrowthBook's Python SDK on a payload."""
    wanted = list(flags if flags is not None else document["features"])

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        book = GrowthBook(features=document["features"], saved_groups=document["savedGroups"])
        try:
            for unit in asking:
                book.set_attributes(unit.growthbook())
                yield {key: _reported(book.eval_feature(key)) for key in wanted}
        finally:
            book.destroy()

    return ask


def growthbook_python_each(documents: Sequence[Mapping[str, Any]]) -> Leg:
    """The same with a payload for each unit: remote evaluation, where the exposure comes with the
    rule.
    """

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        for unit, sent in zip(asking, documents, strict=True):
            met: dict[str, str] = {}
            book = GrowthBook(
                attributes=unit.growthbook(),
                features=sent["features"],
                on_experiment_viewed=lambda experiment, result, user_context, met=met: met.update(
                    {result.featureId: result.key}
                ),
            )
            values = {key: book.get_feature_value(key, None) for key in sent["features"]}
            book.destroy()
            yield {key: Answer(value, met.get(key)) for key, value in values.items()}

    return ask


def _reported(result: FeatureResult[Any]) -> Answer:
    return Answer(result.value, result.experimentResult.key if result.experimentResult else None)


def growthbook_js(document: Mapping[str, Any], folder: Path) -> Leg:
    """GrowthBook's JavaScript SDK on a payload, in Node; files in ``folder`` carry questions and
    answers.
    """

    def ask(asking: Sequence[Unit]) -> Iterator[Mapping[str, Answer]]:
        given, asked, answered = (
            folder / "payload.json",
            folder / "units.jsonl",
            folder / "answers.jsonl",
        )
        given.write_text(json.dumps(document), encoding="utf-8")
        asked.write_text(
            "".join(json.dumps(unit.growthbook()) + "\n" for unit in asking), encoding="utf-8"
        )
        node.run("parity.mjs", str(given), str(asked), str(answered))
        with answered.open(encoding="utf-8") as lines:
            for line in lines:
                yield {key: Answer(*found) for key, found in json.loads(line).items()}

    return ask


# ---------------------------------------------------------------- whether they agree


class Disagreement(NamedTuple):
    """Two legs that answered one unit differently."""

    unit: Unit
    flag: str
    one: Answer | None
    other: Answer | None


def disagreements(
    one: Leg, other: Leg, asking: Sequence[Unit], *, flags: Iterable[str] | None = None
) -> list[Disagreement]:
    """Where two legs differ, over these flags (default: all that either answers); empty when they
    are one and the same.
    """
    answers = zip(asking, one(asking), other(asking), strict=True)
    return [
        Disagreement(unit, key, left.get(key), right.get(key))
        for unit, left, right in answers
        for key in (flags if flags is not None else left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def tally(leg: Leg, asking: Sequence[Unit]) -> dict[str, dict[str, int]]:
    """How often each value was answered, by flag: a comparison of nothing with nothing would agree
    as well.
    """
    counts: dict[str, dict[str, int]] = {}
    for answers in leg(asking):
        for key, answer in answers.items():
            of_flag = counts.setdefault(key, {})
            of_flag[answer.value] = of_flag.get(answer.value, 0) + 1
    return counts


def movers(
    before: Leg, after: Leg, asking: Sequence[Unit], flags: Iterable[str]
) -> list[Disagreement]:
    """Units that had an arm before and have another one, or none, after."""
    return [
        gone
        for gone in disagreements(before, after, asking, flags=flags)
        if gone.one is not None and gone.one.arm is not None
    ]


def first(found: Iterable[Disagreement], count: int = 3) -> str:
    """A few of them, for a failing test's message."""
    return "\n".join(map(str, islice(found, count)))
