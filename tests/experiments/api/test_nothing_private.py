"""No client key can read a unit's id or a private attribute's value, as text or as a hash: random
catalogues, searched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.core.protocols import growthbook
from experiments.core.types import Environment, Scope
from experiments.selectors import serving
from tests.clients.parity import NOW
from tests.experiments.core.serving.catalogues import (
    LATER,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
)

PUBLIC = ("country", "plan")
PRIVATE = ("email", "company", "age")
UNITS = ("id", "targetingKey", "tenantId", "session_id", "user_id")
FAR = "2999-01-01T00:00:00+00:00"


class Marked:
    """Draws rules, and remembers every literal that must not be seen."""

    def __init__(self, seed: int) -> None:
        self.random, self.secrets, self.shown = Random(seed), list[str](), list[str]()

    def literal(self, attribute: str) -> str:
        text = f"{attribute}-{self.random.getrandbits(48):012x}"
        (self.shown if attribute in PUBLIC else self.secrets).append(text)
        return text

    def ids(self, count: int = 2) -> list[str]:
        return [self.literal("unit") for _ in range(count)]

    def condition(self) -> dict[str, Any]:
        attribute = self.random.choice([*PUBLIC, *PUBLIC, *PRIVATE, *UNITS])
        op = self.random.choice(
            ["eq", "ne", "in", "not_in", "contains", "starts_with"]
            if attribute not in PUBLIC
            else ["eq", "ne", "in"]
        )
        value = (
            [self.literal(attribute), self.literal(attribute)]
            if op in ("in", "not_in")
            else self.literal(attribute)
        )
        return {"attribute": attribute, "op": op, "value": value}

    def rule(self) -> list[dict[str, Any]]:
        conditions = [self.condition() for _ in range(self.random.choice([0, 1, 1, 2]))]
        named = {
            "op": self.random.choice(["in_segment", "not_in_segment"]),
            "value": self.random.choice(["open", "closed"]),
        }
        return [*conditions, named] if self.random.random() < 0.2 else conditions

    def flag(self, number: int) -> dict[str, Any]:
        made = (
            dark_experiment("shadow", key=f"e{number}", targeting=self.rule())
            if self.random.random() < 0.2
            else None
        )
        serving_now = made or experiment(
            f"e{number}",
            targeting=self.rule(),
            unit_type=self.random.choice(["user", "tenant", "session"]),
        )
        changes: dict[str, Any] = {
            "experiment": serving_now if self.random.random() < 0.8 else None
        }
        if self.random.random() < 0.3:
            audience = {
                "unit_type": "user",
                "targeting": self.rule(),
                "seed": "5eed00c0ffee",
                "buckets": None,
            }
            changes["rollout"] = rollout(audience=audience, holdback=[1, 2], holdback_until=FAR)
        if changes["experiment"] is not None and self.random.random() < 0.2:
            changes["overrides"] = [
                override(self.literal("unit"), experiment=f"e{number}", until=FAR)
            ]
        return flag(f"f{number}", client_visible=True, **changes)

    def catalogue(self) -> Any:
        segments = [
            {
                "key": "open",
                "ids": {},
                "rules": [[{"attribute": "country", "op": "eq", "value": self.literal("country")}]],
            },
            {"key": "closed", "ids": {"user": self.ids()}, "rules": [[self.condition()]]},
        ]
        changes: dict[str, Any] = {"segments": segments, "public_attributes": list(PUBLIC)}
        if self.random.random() < 0.3:
            ids = {"tenant": self.ids()} if self.random.random() < 0.5 else {}
            changes["exclusions"] = [{"key": "staff", "ids": ids, "rules": [[self.condition()]]}]
        if self.random.random() < 0.3:
            changes["holdout"] = {
                "unit_type": "user",
                "seed": "401d00000000",
                "buckets": list(range(50)),
                "until": LATER,
            }
        return catalogue(
            *(self.flag(number) for number in range(self.random.randint(2, 5))), **changes
        )


def forms(secret: str) -> list[str]:
    """A literal as it could stand in an answer: itself, its last part, and what people take for
    hiding it.
    """
    data = secret.encode()
    hashes = [hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")]
    return [secret, secret.split("-", 1)[1], *hashes, base64.b64encode(data).decode().rstrip("=")]


@pytest.mark.parametrize("seed", range(40))
def test_client_key__whatever_it_asks__reads_no_id_and_no_private_value(doors, monkeypatch, seed):
    drawn = Marked(seed)
    key, built = doors.key(Scope.CLIENT), drawn.catalogue()
    state = replace(serving.current(), catalogue=built)
    monkeypatch.setattr(serving, "current", lambda: state)
    answers = everything_readable(key, built)
    text = "\n".join(answer.content.decode() for answer in answers)
    assert [secret for secret in drawn.secrets if any(form in text for form in forms(secret))] == []
    sent = json.loads(answers[0].content)
    assert sent["features"].keys() | sent["remoteOnly"].keys() == built.flags.keys()


def everything_readable(key: str, built: Any) -> list[Any]:
    """Every answer of every door that takes a client key, refusals included."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    me = {"id": "me", "targetingKey": "me", "tenantId": "mine", "sessionId": "now", "country": "DE"}
    units = {"user": "me", "tenant": "mine", "session": "now"}

    def post(where: str, body: object) -> Any:
        return client.post(where, json.dumps(body), content_type="application/json")

    one = [
        post(f"/ofrep/v1/evaluate/flags/{name}", {"context": me | {"assayExposure": "none"}})
        for name in [*built.flags, "gone"]
    ]
    return [
        client.get(f"/api/features/{key}"),
        post(f"/api/eval/{key}", {"attributes": me}),
        post(f"/api/eval/{key}", {"attributes": {}}),
        post("/ofrep/v1/evaluate/flags", {"context": me}),
        *one,
        post("/api/v1/assignments", {"units": units, "attributes": me}),
        post("/api/v1/assignments", {"unit": "me", "experiments": ["gone"]}),
        post("/api/v1/explain", {"unit": "me"}),
        post(
            f"/track?client_key={key}",
            [
                {
                    "event_name": "Experiment Viewed",
                    "properties_json": {"experimentId": "e0", "variationId": "x"},
                }
            ],
        ),
        client.get("/api/v1/catalogue"),
    ]


def test_random_catalogues__show_something_and_hide_something():
    shown, hidden = 0, 0
    for seed in range(40):
        drawn = Marked(seed)
        found = growthbook.payload(drawn.catalogue(), Environment.PRODUCTION, NOW, client=True)
        text = json.dumps(found.as_json())
        shown += sum(literal in text for literal in drawn.shown)
        hidden += len(found.remote_only)
    assert shown > 10 and hidden > 40
