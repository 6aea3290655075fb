"""``/metrics`` of a whole installation: the catalogue's version is that of web alone, and whoever
died says nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.processes.dead_processes import forget_dead
from tests.live import Live, live  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
# What a worker or beat does with metrics: it imports them; and it publishes, which reads the
# catalogue.
BYSTANDER = """
import time, django
django.setup()
from experiments.core.clock import utc_now
from experiments.selectors import serving
serving.refresh(utc_now())
print("ready", flush=True)
time.sleep(600)
"""
# A process whose gauges say that it serves version 0 and is stale, killed before it can take
# anything back.
STALE = """
import os, signal, django
django.setup()
from experiments.metrics import tell_catalogue
tell_catalogue(0, stale=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def gauges(of: Live) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(of.get("/metrics", key=None).body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found


def folder(of: Live) -> Path:
    return of.state / "prometheus"


@pytest.fixture
def bystander(live: Live) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **live.environment, "PROMETHEUS_MULTIPROC_DIR": str(folder(live))}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BYSTANDER],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"
        try:
            yield process
        finally:
            process.kill()


def test_catalogue_version__beside_other_programs_and_dead_ones__is_webs(
    live: Live, bystander: subprocess.Popen[str]
) -> None:
    live.flag("version_of_web")
    live.settle()
    environment = {**os.environ, **live.environment, "PROMETHEUS_MULTIPROC_DIR": str(folder(live))}
    died = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STALE], env=environment, check=False
    )
    assert died.returncode == -signal.SIGKILL
    served = int(live.post("/api/v1/assignments", {"unit": "u"}).headers["x-assay-catalogue"])
    end = time.monotonic() + 10
    while gauges(live)["assay_catalogue_version"] != [served] and time.monotonic() < end:
        time.sleep(0.2)
    found = gauges(live)
    assert (found["assay_catalogue_version"], found["assay_catalogue_stale"]) == ([served], [0.0])


def test_forget_dead__a_number_that_is_used_again__does_not_keep_the_old_file(
    tmp_path: Path,
) -> None:
    own, counters = tmp_path / f"gauge_livemax_{os.getpid()}.db", tmp_path / "counter_999999.db"
    old = tmp_path / f"gauge_livemax_{os.getppid()}.db"
    gone = tmp_path / "gauge_livemin_999999999.db"
    for file in (own, counters, old, gone):
        file.write_bytes(b"")
    os.utime(old, (0, 0))
    forget_dead(str(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([own.name, counters.name])
