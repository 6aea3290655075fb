"""Beat is killed again and again: applications are served all the while, and beat comes back after
its rest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from django.conf import settings

from config.processes.embedded.process import wait_for
from config.processes.services import Lease
from tests.live import Live, installation

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def house(services: Lease, redis_url: str) -> Iterator[Live]:
    """An installation whose supervisor runs web and beat."""
    with installation(services, settings.DATABASE_URL, redis_url, LIVE_ALSO="beat") as live:
        yield live


def beats(live: Live) -> list[int]:
    """The process ids of beat below the installation's supervisor."""
    assert live.process is not None
    found = subprocess.run(
        ["pgrep", "-P", str(live.process.pid), "-f", "config[.]processes[.]beat"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(word) for word in found.stdout.split()]


def test_crash_loop_of_beat__leaves_serving_alone_and_raises_an_alert(house: Live) -> None:
    for _ in range(6):
        assert wait_for(lambda: bool(beats(house)), 30), house.log()
        killed = set(beats(house))
        for pid in killed:
            os.killpg(pid, signal.SIGKILL)
        assert house.post("/api/v1/assignments", {"unit": "u"}).status == 200
        assert wait_for(lambda gone=killed: not gone & set(beats(house)), 10)
        time.sleep(0.3)
    assert wait_for(lambda: "ALERT beat ended (signal 9)" in house.log(), 30), house.log()
    assert beats(house) == []
    shown = house.get("/metrics", key=None).body.decode()
    assert 'assay_program_resting{program="beat"} 1.0' in shown
    assert 'assay_program_resting{program="web"} 0.0' in shown
    assert house.process is not None and house.process.poll() is None
    assert house.post("/api/v1/assignments", {"unit": "u"}).status == 200
    assert wait_for(lambda: bool(beats(house)), 60), "beat is not tried again after its rest"
