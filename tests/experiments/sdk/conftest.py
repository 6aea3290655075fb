"""A platform to speak to, and clients that are closed when a test ends."""

from __future__ import annotations

import logging

import pytest

from experiments.sdk import AssayClient, guard
from tests.experiments.core.serving.catalogues import document, experiment, flag, rollout
from tests.experiments.sdk.platform import KEY, StandIn

FLAGS = (
    flag("rank", experiment=experiment("ranker")),
    flag("on", type="boolean", default=True),
    flag("word", type="string", default="hello"),
    flag("whole", type="integer", default=7),
    flag("part", type="float", default=0.5),
    flag("old", rollout=rollout()),
)


def a_document(**changes):
    return document(*FLAGS, environment="production", **changes)


@pytest.fixture
def platform():
    standing = StandIn(a_document())
    yield standing
    standing.stop()


@pytest.fixture
def connect(platform):
    """Clients of the stand-in that poll and send only when they are told to, unless asked
    otherwise.
    """
    made = []

    def _connect(**options):
        quiet = {"poll_seconds": 3600.0, "send_seconds": 3600.0, "timeout": 2.0}
        client = AssayClient(
            options.pop("url", platform.url), options.pop("key", KEY), **quiet | options
        )
        made.append(client)
        return client

    yield _connect
    for client in made:
        client.close()


@pytest.fixture(autouse=True)
def each_fault_is_new(caplog):
    guard._reported.clear()
    caplog.set_level(logging.DEBUG, "assay")
