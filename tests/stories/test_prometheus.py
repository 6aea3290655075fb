"""A real Prometheus scrapes a real server and answers the queries that the sources print."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, live  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
NAME = "prompt_story"
MINE = f'{{experiment="{NAME}"}}'
QUERIES = {
    "latency": f"avg by (variant) (rate(request_latency_seconds_sum{MINE}[1m]) / rate(request_latency_seconds_count{MINE}[1m]))",
    "cost": f"sum by (variant) (rate(llm_cost_dollars_total{MINE}[1m])) * 3600",
    "errors": f"sum by (variant) (rate(http_errors_total{MINE}[1m])) / "
    f"sum by (variant) (rate(request_latency_seconds_count{MINE}[1m])) * 100",
    "satisfaction": f'sum by (variant) (rate(user_feedback_total{{sentiment="positive",experiment="{NAME}"}}[1m])) / '
    f"sum by (variant) (rate(user_feedback_total{MINE}[1m])) * 100",
    "assigned": f"sum by (variant) (experiment_variant_assigned_total{MINE})",
}
EXPECTED = {"latency": 1.5, "errors": 50.0, "satisfaction": 100.0}


@pytest.fixture
def prometheus(live: Live, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """A Prometheus that scrapes ``live`` every second; skips where none is installed."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "assay", "static_configs": [{"targets": [f"{live.host}:{live.port}"]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    command = [
        binary,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def asked(url: str, query: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=5) as answer:
        found = json.load(answer)["data"]["result"]
    return {series["metric"]["variant"]: float(series["value"][1]) for series in found}


def traffic(live: Live, tick: int) -> None:  # noqa: F811
    """Each variant answers twice in a second and a half, one of them a failure; everybody is content."""
    events, feedback = [], []
    for variant in ("control", "treatment"):
        stamp = {"experiment": NAME, "variant": variant, "user_id": f"{variant}-{tick}"}
        event: dict[str, Any] = {"latency_ms": 1500, "cost_micro": 10_000, **stamp}
        events += [{"event_id": f"{NAME}-{variant}-{tick}-{kind}", "event_type": kind, **event} for kind in ("ai_answer", "http_5xx")]
        feedback.append({"event_id": f"{NAME}-{variant}-{tick}-f", "label": "useful", **stamp})
    assert live.post("/api/v1/events", {"events": events}).status < 300
    assert live.post("/api/v1/feedback", {"feedback": feedback}).status < 300
    assert live.post("/api/v1/assignments", {"unit": f"u{tick}", "experiments": [NAME]}).status == 200


def test_queries_of_the_sources__return_data_by_variant(live: Live, prometheus: str) -> None:  # noqa: F811
    live.experiment(NAME)
    live.settle()
    found: dict[str, dict[str, float]] = {}
    end = time.monotonic() + 60
    for tick in range(1000):
        traffic(live, tick)
        try:
            found = {name: asked(prometheus, query) for name, query in QUERIES.items()}
        except urllib.error.URLError:
            found = {}  # it is still starting
        if found and all(set(answer) == {"control", "treatment"} for answer in found.values()):
            break
        assert time.monotonic() < end, found
        time.sleep(0.5)
    for name, expected in EXPECTED.items():
        assert found[name] == pytest.approx({"control": expected, "treatment": expected}, rel=0.2), name
    assert min(found["cost"].values()) > 0
