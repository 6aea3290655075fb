"""A real Prometheus that scrapes an installation, and what the dashboards ask it."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live import Live
from tests.places import ROOT

DEPLOY = ROOT / "deploy"


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard: its queries, and what it says when none of them has an answer."""

    title: str
    queries: Sequence[str]
    says_when_empty: str

    def of(self, experiment: str) -> list[str]:
        """The queries as the dashboard asks them when this experiment is chosen."""
        return [query.replace("$experiment", experiment) for query in self.queries]


def panels() -> list[Panel]:
    """Every panel of every dashboard."""
    return [
        Panel(
            f"{path.stem}: {panel['title']}",
            [target["expr"] for target in panel["targets"]],
            panel["fieldConfig"]["defaults"].get("noValue", ""),
        )
        for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
    ]


def impatient_rules() -> str:
    """The rules that ship, without waiting: each fires at its first evaluation."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    return json.dumps(rules)


@contextmanager
def scraping(live: Live, folder: Path) -> Iterator[str]:
    """A Prometheus that scrapes ``live`` every second, with the rules that ship; skips where none
    is installed.
    """
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "rules.yml").write_text(impatient_rules())
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [
            {"job_name": "assay", "static_configs": [{"targets": [f"{live.host}:{live.port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """The series that answer a query."""
    with urllib.request.urlopen(
        f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=5
    ) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def says(url: str, queries: Sequence[str]) -> bool:
    """Whether there is something to see: at least one series of one query, with a number."""
    return any(
        math.isfinite(float(series["value"][1])) for query in queries for series in ask(url, query)
    )
