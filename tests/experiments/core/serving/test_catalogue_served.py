"""What a key's holder is given of the catalogue answers as the doors do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.catalogue_parsing import parse
from experiments.core.serving.catalogue_served import served_document
from experiments.core.types import Environment
from tests.experiments.core.serving.catalogues import (
    dark_experiment,
    document,
    experiment,
    flag,
    override,
    rollout,
)

NOW = datetime(2026, 5, 2, 9, tzinfo=UTC)
DRAFT = experiment("draft", id=9, iteration_id=None, iteration=0, stage="draft")
DOCUMENT = document(
    flag("a", experiment=experiment("ranker"), overrides=[override()]),
    flag(
        "b",
        experiment=dark_experiment("shadow", key="dark"),
        previews=[dark_experiment("shadow", key="dark")],
    ),
    flag(
        "c",
        previews=[DRAFT],
        overrides=[override(experiment="draft")],
        resting=[{"key": "draft", "name": "The draft"}],
    ),
    flag(
        "d",
        previews=[experiment("hidden", stage="draft")],
        resting=[{"key": "hidden", "name": "Hidden"}],
    ),
    flag("e", rollout=rollout()),
)
ASKED = [{"flag": key} for key in "abcde"] + [
    {"experiment": key} for key in ("ranker", "dark", "draft", "The draft", "hidden", "old")
]


@pytest.mark.parametrize("environment", Environment)
def test_served_document__gives_every_answer_of_the_whole_one(environment):
    whole, given = parse(DOCUMENT), parse(served_document(DOCUMENT, environment))
    for asked in ASKED:
        for unit in ("tester", *(f"u{n}" for n in range(200))):
            request = AssignmentRequest(units={"user": unit}, environment=environment, **asked)
            assert assign(given, request, NOW) == assign(whole, request, NOW)


def test_served_document__to_production__holds_no_preview_s_allocation():
    flags = {
        entry["key"]: entry for entry in served_document(DOCUMENT, Environment.PRODUCTION)["flags"]
    }
    assert flags["b"]["previews"] == flags["d"]["previews"] == []
    assert [
        set(variant) & {"main", "dark", "twin"} for variant in flags["c"]["previews"][0]["variants"]
    ] == [set(), set()]
    assert [len(variant["main"]) for variant in DRAFT["variants"]] == [
        500,
        500,
    ]  # what was given is left alone
