"""The SDK does not say True for what the platform would refuse: results of a unit that the
experiment does not randomise.
"""

from __future__ import annotations

import pytest

from experiments.core.serving import catalogue_parsing as catalogues
from experiments.sdk import AssayClient
from experiments.sdk.outbox import Collected
from tests.experiments.core.serving.catalogues import document, experiment, flag


def client_of(unit_type: str) -> AssayClient:
    body = catalogues.canonical(
        {"environment": "production", **document(flag(experiment=experiment(unit_type=unit_type)))}
    )
    return AssayClient.from_document(body, outbox=Collected())


@pytest.mark.parametrize(("unit_type", "units", "told"), [
    ("user", {"session": "s1"}, False), ("user", {"user": "u1"}, True), ("visitor", {"session": "s1"}, True),
    ("visitor", {"user": "u1"}, True), ("tenant", {"user": "u1"}, False),
])  # fmt: skip
def test_observe__of_another_type_of_unit__is_false_and_sends_nothing(unit_type, units, told):
    client = client_of(unit_type)
    assert client.observe("score", 1.0, units=units, experiment="ranker") is told
    assert client.track("seen", units=units, experiment="ranker") is told
    assert len(client.outbox.items) == (2 if told else 0)


def test_observe__without_an_experiment_or_of_an_unknown_one__is_told():
    client = client_of("tenant")
    assert client.observe("score", 1.0, "u1") and client.observe(
        "score", 1.0, "u1", experiment="another"
    )
