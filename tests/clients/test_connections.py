"""How many connections to PostgreSQL the web processes hold, over bursts with pauses between
them.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from config.processes.services import Lease
from config.processes.stack import Web
from tests.live import installation

WORKERS, BURSTS, PAUSE = 2, 3, 35
"""Longer than any idle time-out of granian."""
CALLS, AT_ONCE = 400, 32
HELD = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def two_workers(services: Lease, redis_url):
    from django.conf import settings

    with installation(services, settings.DATABASE_URL, redis_url, workers=WORKERS) as live:
        yield live


@pytest.mark.node
def test_connections__over_three_bursts_35_s_apart__stay_as_many_as_the_pools_hold(two_workers):
    held = []
    for burst in range(BURSTS):
        time.sleep(PAUSE if burst else 0)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            assert set(pool.map(lambda _: _tell(two_workers), range(CALLS))) == {200}
        held.append(two_workers.sql(HELD)[0][0])
    assert held[0] > WORKERS, "the burst was too small to show anything"
    assert max(held) <= WORKERS * Web.threads, held


def _tell(live):
    """An event is answered after its commit."""
    event = {
        "event_id": uuid.uuid4().hex,
        "event_type": "clicked",
        "units": {"user": "u1"},
        "timestamp": datetime.now(UTC).isoformat(),
    }
    return live.post("/api/v1/events", {"events": [event]}).status
