"""GrowthBook's document is built once per catalogue and kind of key, and once more when something
in it runs out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest

from experiments.core.protocols import growthbook as payloads
from experiments.core.types import Environment
from experiments.selectors import growthbook
from tests.experiments.core.serving.catalogues import LATER, catalogue, experiment, flag, override

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def built(monkeypatch):
    """What was built, in order."""
    growthbook._kept.clear()
    calls = []
    real = payloads.payload
    monkeypatch.setattr(
        payloads,
        "payload",
        lambda *given, **named: calls.append((given[1], named["client"])) or real(*given, **named),
    )
    yield calls
    growthbook._kept.clear()


def features(found, now=NOW, client=False):
    return growthbook.features(found, Environment.PRODUCTION, now, client=client)


def test_document__of_one_catalogue_and_kind_of_key__is_built_once(built):
    found = catalogue(flag(client_visible=True))
    assert features(found) is features(found)
    assert features(found, client=True) is not features(found)
    assert built == [(Environment.PRODUCTION, False), (Environment.PRODUCTION, True)]
    assert features(catalogue(flag(enabled=False))) is not features(found)


def test_document__is_built_anew__when_an_override_runs_out(built):
    found = catalogue(flag(experiment=experiment(), overrides=[override("t1")]))
    end = datetime.fromisoformat(LATER)
    before, just = features(found), features(found, end - timedelta(seconds=1))
    after = features(found, end)
    assert before is just
    assert (b"t1" in before.body, b"t1" in after.body) == (True, False)
    assert after.etag != before.etag
    assert features(found, end + timedelta(days=1)) is after
    assert len(built) == 2


def test_document__asked_for_by_many_at_once__is_built_by_one(built):
    found, together, got = catalogue(flag(experiment=experiment())), Barrier(8), []

    def ask():
        together.wait()
        got.append(features(found))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(document) for document in got}) == 1
    assert len(built) == 1
