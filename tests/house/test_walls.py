"""Every wall of the house stands: the tree as it is passes, and one planted violation per wall is
caught.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT

PACKAGES = ("config", "experiments", "analytics")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Violation:
    """A line planted into a module, and the name of the contract that must break (or ruff's
    rule).
    """

    module: str
    line: str
    wall: str


LAYERS = "Imports run one way, and shells never import each other"
PLANNED = "What we plan knows nothing of what we observe"
PURE = "The cores are pure"
STANDARD = "Assigning needs the standard library"
ALONE = "The SDK needs the pure core"
LIGHT = "Serving and planning need neither"
DOORLESS = "Services know no HTTP and never enqueue"

IMPORT_VIOLATIONS = [
    Violation("experiments/services/planted.py", "import experiments.api", LAYERS),
    Violation("experiments/api/planted.py", "import experiments.admin", LAYERS),
    Violation("analytics/api/planted.py", "import experiments.api", LAYERS),
    Violation("experiments/management/commands/planted.py", "import experiments.api", LAYERS),
    Violation("experiments/http/planted.py", "import experiments.api", LAYERS),
    Violation("experiments/selectors/planted.py", "import experiments.services", LAYERS),
    Violation("experiments/models/planted.py", "import experiments.selectors", LAYERS),
    Violation("experiments/core/planted.py", "import experiments.models", LAYERS),
    Violation("experiments/sdk/planted.py", "import experiments.models", LAYERS),
    Violation("experiments/outgoing/planted.py", "import experiments.models", LAYERS),
    Violation("analytics/services/planted.py", "import experiments.http", LAYERS),
    Violation("analytics/selectors/planted.py", "import analytics.services", LAYERS),
    Violation("analytics/stores/planted.py", "import analytics.selectors", LAYERS),
    Violation("analytics/models/planted.py", "import analytics.stores", LAYERS),
    Violation("analytics/core/planted.py", "import experiments.models", LAYERS),
    Violation("analytics/core/planted.py", "import analytics.models", LAYERS),
    Violation("experiments/core/planted.py", "import analytics.core", PLANNED),
    Violation("experiments/services/planted.py", "import config.celery_settings", LAYERS),
    Violation("experiments/services/planted.py", "import analytics.core", PLANNED),
    Violation("experiments/api/planted.py", "import analytics.selectors", PLANNED),
    Violation("experiments/admin/planted.py", "import analytics.stores", PLANNED),
    Violation("experiments/admin/planted.py", "import analytics.models", PLANNED),
    Violation("experiments/core/planted.py", "import django.utils.timezone", PURE),
    Violation("experiments/core/planted.py", "import redis", PURE),
    Violation("analytics/core/planted.py", "import django.db", PURE),
    Violation("analytics/core/planted.py", "import psycopg", PURE),
    Violation("analytics/core/planted.py", "import celery", PURE),
    Violation("experiments/core/planted.py", "import msgspec", STANDARD),
    Violation("experiments/core/planted.py", "import numpy", STANDARD),
    Violation("experiments/sdk/planted.py", "import django.utils.timezone", ALONE),
    Violation("experiments/sdk/planted.py", "import structlog", ALONE),
    Violation("experiments/sdk/planted.py", "import msgspec", ALONE),
    Violation("experiments/selectors/planted.py", "import numpy", LIGHT),
    Violation("experiments/api/planted.py", "import scipy.stats", LIGHT),
    Violation("experiments/admin/planted.py", "import ibis", LIGHT),
    Violation("experiments/services/planted.py", "import rest_framework.response", DOORLESS),
    Violation("experiments/outgoing/planted.py", "import rest_framework", DOORLESS),
    Violation("analytics/services/planted.py", "import celery", DOORLESS),
    Violation("analytics/stores/planted.py", "import rest_framework", DOORLESS),
]

STYLE_VIOLATIONS = [
    Violation("experiments/services/planted.py", "from django.http import HttpRequest", "TID251"),
    Violation("experiments/services/planted.py", "from django import http", "TID251"),
    Violation("analytics/selectors/planted.py", "from django.shortcuts import render", "TID251"),
    Violation("analytics/models/planted.py", "from django.contrib import admin", "TID251"),
    Violation("experiments/selectors/planted.py", "from unfold.admin import ModelAdmin", "TID251"),
    Violation(
        "experiments/models/planted.py", "from django.db.models.signals import post_save", "TID251"
    ),
    Violation("analytics/services/planted.py", "from django.dispatch import receiver", "TID251"),
    Violation("experiments/services/planted.py", "from celery import shared_task", "TID251"),
    Violation(
        "experiments/services/planted.py", "from rest_framework import serializers", "TID251"
    ),
    Violation("experiments/core/planted.py", "from ...config import env", "TID252"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their rules."""
    copy = tmp_path_factory.mktemp("tree")
    shutil.copy(PROJECT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(
            PROJECT / package,
            copy / package,
            ignore=shutil.ignore_patterns("__pycache__", "migrations"),
        )
    return copy


def contracts_broken(tree: Path) -> list[str]:
    """Names of the contracts import-linter finds broken, wrapped lines joined."""
    done = run(tree, str(BIN / "lint-imports"), "--no-cache")
    text = " ".join(done.stdout.split())
    assert "Contracts:" in text, done.stdout + done.stderr
    names = [contract["name"] for contract in rules()["contracts"]]
    assert (done.returncode != 0) == any(f"{name} BROKEN" in text for name in names)
    return [name for name in names if f"{name} BROKEN" in text]


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def rules() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]


def planted(tree: Path, violations: list[Violation]) -> list[Path]:
    """Each violation in a module of its own."""
    files = []
    for number, violation in enumerate(violations):
        file = tree / violation.module.replace("planted", f"planted{number}")
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(f'"""Planted."""\n\n{violation.line}\n')
        files.append(file)
    return files


def test_the_tree_as_it_is__keeps_every_contract(tree: Path) -> None:
    assert contracts_broken(tree) == []


@pytest.mark.parametrize("wall", [LAYERS, PLANNED, PURE, STANDARD, ALONE, LIGHT, DOORLESS])
def test_planted_imports__each_is_named_by_its_contract(tree: Path, wall: str) -> None:
    violations = [violation for violation in IMPORT_VIOLATIONS if violation.wall == wall]
    files = planted(tree, violations)
    try:
        done = run(tree, str(BIN / "lint-imports"), "--no-cache", "--contract", contract_id(wall))
    finally:
        for file in files:
            file.unlink()
    assert done.returncode != 0
    missed = [
        violation
        for violation, file in zip(violations, files, strict=True)
        if ".".join(file.relative_to(tree).with_suffix("").parts) not in done.stdout
    ]
    assert not missed, done.stdout


def contract_id(wall: str) -> str:
    return next(
        contract["id"] for contract in rules()["contracts"] if contract["name"].startswith(wall)
    )


def test_every_contract__has_a_violation_that_proves_it() -> None:
    proven = {contract_id(violation.wall) for violation in IMPORT_VIOLATIONS}
    assert proven == {contract["id"] for contract in rules()["contracts"]}


def test_planted_http_admin_and_signals_outside_the_doors__ruff_names_each(tree: Path) -> None:
    files = planted(tree, STYLE_VIOLATIONS)
    try:
        done = run(
            tree,
            str(BIN / "ruff"),
            "check",
            "--no-cache",
            "--select",
            "TID",
            "--output-format",
            "concise",
            ".",
        )
    finally:
        for file in files:
            file.unlink()
    missed = [
        violation
        for violation, file in zip(STYLE_VIOLATIONS, files, strict=True)
        if not any(
            str(file.relative_to(tree)) in line and violation.wall in line
            for line in done.stdout.splitlines()
        )
    ]
    assert not missed, done.stdout


def test_the_same_imports_inside_the_doors__pass(tree: Path) -> None:
    inside = [
        Violation("experiments/api/planted.py", "from django.http import HttpRequest", ""),
        Violation("experiments/http/planted.py", "from rest_framework import serializers", ""),
        Violation("analytics/admin/planted.py", "from django.contrib import admin", ""),
    ]
    files = planted(tree, inside)
    try:
        done = run(
            tree,
            str(BIN / "ruff"),
            "check",
            "--no-cache",
            "--select",
            "TID",
            "--output-format",
            "concise",
            ".",
        )
    finally:
        for file in files:
            file.unlink()
    assert done.returncode == 0, done.stdout


def test_every_module_of_the_apps__has_a_place_in_the_layers() -> None:
    layered = " ".join(rules()["contracts"][0]["layers"])
    for package in ("experiments", "analytics"):
        for path in (PROJECT / package).iterdir():
            name = path.stem
            if (
                name.startswith("_")
                or name in {"apps", "migrations"}
                or not (path.suffix == ".py" or (path / "__init__.py").exists())
            ):
                continue
            assert f"{package}.{name}" in layered, (
                f"{package}.{name} stands in no layer of pyproject.toml"
            )
