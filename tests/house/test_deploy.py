"""What is deployed names only what exists: metrics, commands, roles, files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from analytics.selectors.exposition import ArmNumbers, HealthFinding, MaturedArm
from config.roles import ProcessRole
from config.web.exposition import Spool, _families, _health_families, _matured_families, _underway
from experiments.core.clock import utc_now
from experiments.selectors.subscriptions import Underway
from tests.places import ROOT

DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
METRIC = re.compile(r"\b(?:assay|experiment|request|llm|http|user)_[a-z_]+\b(?=[{\[ )]|$)")
LABELS = re.compile(r"\{[^}]*\}|\((?:[a-z]+, ?)*[a-z]+\)")


def known_metrics() -> set[str]:
    own = {sample for family in REGISTRY.collect() for sample in _names(family.name, family.type)}
    stored = [
        *_families([ArmNumbers("e", "v", True, 1, 0.5, {"o": 1})]),
        *_matured_families([MaturedArm("e", "v", "m", "primary", 1, 0.5)]),
        *_health_families([HealthFinding("e", "srm", "red", True)]),
    ]
    told = [*stored, *Spool().collect(), *_underway(Underway(0, 0, 0, None), utc_now())]
    return (
        own
        | {sample for family in told for sample in _names(family.name, family.type)}
        | {
            "assay_program_ended_total",
            "assay_program_resting",
            "assay_stored_totals_up",
            "assay_beat_lag_seconds",
            "up",
        }
    )


def _names(name: str, kind: str) -> set[str]:
    ends = {"counter": {"_total"}, "histogram": {"_bucket", "_sum", "_count"}}.get(kind, {""})
    return {name + end for end in ends}


def expressions() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (
                (f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"]
            )
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]:
        yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in group["rules"])


def unknown_in(expression: str) -> set[str]:
    return set(METRIC.findall(LABELS.sub("", expression))) - known_metrics()


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expression__names_only_metrics_that_exist(where: str, expression: str) -> None:
    import analytics.metrics  # registers itself

    assert analytics.metrics and unknown_in(expression) == set(), where


def test_expression__a_metric_that_does_not_exist__is_found() -> None:
    assert unknown_in("sum(rate(experiment_sample_sizes{variant='a'}[5m]))") == {
        "experiment_sample_sizes"
    }


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose__commands_and_roles_are_ours() -> None:
    from config.management.commands.runstack import Command

    parser = Command().create_parser("manage.py", "runstack")
    for name, service in compose()["services"].items():
        command = service.get("command", [])
        if command[1:3] == ["manage.py", "runstack"]:
            parser.parse_args(command[3:])
        role = service.get("environment", {}).get("ASSAY_ROLE")
        assert role is None or ProcessRole(role), name
    last = (DEPLOY / "Dockerfile").read_text().strip().splitlines()[-1]
    parser.parse_args(json.loads(last.removeprefix("CMD "))[3:])


def test_compose__files_it_mounts_are_there() -> None:
    mounts = [
        volume
        for service in compose()["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounts and all((DEPLOY / mount.split(":")[0]).exists() for mount in mounts)


def test_compose__variables_it_needs_are_in_the_example() -> None:
    wanted = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    given = {
        line.split("=")[0]
        for line in (DEPLOY / ".env.example").read_text().splitlines()
        if "=" in line
    }
    assert wanted == given


def test_prometheus__accepts_configuration_and_rules(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    copied, token = (
        shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus") / "prometheus.yml",
        tmp_path / "token",
    )
    token.write_text("scrape")
    copied.write_text(copied.read_text().replace("/run/secrets/metrics_token", str(token)))
    done = subprocess.run(
        [promtool, "check", "config", str(copied)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
