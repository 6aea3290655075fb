"""Which threads answer which address: decisions share theirs with nothing that waits for a
database.
"""

from __future__ import annotations

import threading

import pytest
from django.urls import get_resolver

from config.web.threads import DECISIONS, WATCHES, Pool, Pools
from tests.experiments.api.test_every_door import ALL, PAGES, PLAIN, _address

WITHOUT_DATABASE = {"growthbook-features", "growthbook-eval", "ofrep-all", "ofrep-one"}
"""Doors in other tools' protocols that only decide."""


def _needs_database(pattern: object) -> bool:
    if pattern.name in PLAIN:
        return pattern.name not in WITHOUT_DATABASE
    return bool(pattern.callback.view_class.needs_database)


@pytest.mark.parametrize(("route", "pattern"), ALL, ids=[pattern.name for _, pattern in ALL])
def test_door__that_needs_the_database__never_has_a_thread_for_decisions(
    route: str, pattern: object
) -> None:
    address = PLAIN[pattern.name][2]("key")[0] if pattern.name in PLAIN else _address(route)
    assert address.startswith(DECISIONS) is not _needs_database(pattern)


def test_metrics_and_readiness__have_threads_of_their_own() -> None:
    assert all(get_resolver().resolve(path) and path.strip("/") in PAGES for path in WATCHES)


def test_pools__the_database_has_fewer_threads_than_decisions() -> None:
    before = {thread.name for thread in threading.enumerate()}
    pools = Pools.of(4)
    made = sorted(thread.name for thread in threading.enumerate() if thread.name not in before)
    assert made == [
        "answer-0",
        "answer-1",
        "answer-2",
        "decide-0",
        "decide-1",
        "decide-2",
        "decide-3",
        "watch-0",
        "watch-1",
    ]
    assert pools.for_request("/api/v1/assignments", b'{"unit": "u"}') is pools.decisions
    assert (
        pools.for_request("/api/v1/assignments", b'{"unit": "u", "exposure": "durable"}')
        is pools.others
    )
    assert pools.for_request("/api/v1/events", b"") is pools.others
    assert pools.for_request("/readyz", b"") is pools.watches


def test_pool__a_job_that_fails__takes_no_thread_along() -> None:
    pool, done = Pool("test", 1), threading.Event()
    pool.give(lambda: 1 / 0)
    pool.give(done.set)
    assert done.wait(5)
