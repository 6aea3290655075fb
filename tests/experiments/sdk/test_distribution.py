"""The wheel: small, alone, without Django, and of one mind with the platform."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT
from experiments.sdk import AssayClient
from tests.experiments.sdk.conftest import a_document
from tests.experiments.sdk.test_client import ids

PROGRAM = """
import json, sys
from assay_sdk import AssayClient
client = AssayClient.from_document(open(sys.argv[1], "rb").read())
units = json.load(open(sys.argv[2]))
answers = [client.variant("ranker", unit, expose=False).key for unit in units]
values = [client.get_string("word", "", unit) for unit in units[:10]]
foreign = sorted({name.partition(".")[0] for name in sys.modules} & {"django", "experiments", "analytics", "fnv_hash_fast", "msgspec"})
print(json.dumps({"answers": answers, "values": values, "foreign": foreign}))
"""


def _pip(*arguments, cwd=None):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-index", "--wheel-dir", str(folder), str(PROJECT / "sdk"))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    _pip("--python", str(interpreter), "install", "--no-index", str(wheel))
    return interpreter


def _run(python, tmp_path, program, *arguments):
    command = [str(python), "-I", "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel__in_an_empty_environment__decides_as_core_does(python, tmp_path):
    units = ids(2_000)
    (tmp_path / "catalogue.json").write_text(json.dumps(a_document()))
    (tmp_path / "units.json").write_text(json.dumps(units))
    found = json.loads(_run(python, tmp_path, PROGRAM, "catalogue.json", "units.json"))
    here = AssayClient.from_document(json.dumps(a_document()))
    assert found["foreign"] == []
    assert found["answers"] == [here.variant("ranker", unit, expose=False).key for unit in units]
    assert set(found["answers"]) == {"control", "treatment"}
    assert found["values"] == ["hello"] * 10


def test_wheel__call_styles__are_there_too(python, tmp_path):
    program = """
from assay_sdk import Experiment, ExperimentManager, Variant
manager = ExperimentManager()
manager.register_experiment(Experiment("e", variants=[Variant("a", 0.5), Variant("b", 0.5)])).start()
print(manager.get_variant("e", 1).name)
"""
    assert _run(python, tmp_path, program).strip() in {"a", "b"}


def test_wheel__without_openfeature__says_what_is_missing(python, tmp_path):
    program = """
try:
    import assay_sdk.openfeature
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert _run(python, tmp_path, program).strip() == "openfeature"


def test_wheel__ships_only_what_deciding_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    core = {Path(name).stem for name in names if name.startswith("assay_sdk/core/")}
    assert {"evaluation", "hashing", "predicates"} <= core
    assert not core & {"checklist", "gate", "permissions", "keyring", "lifecycle"}
    assert not any(name.startswith("assay_sdk/core/library/") for name in names)
    assert "assay_sdk/py.typed" in names
    assert not [name for name in names if not name.startswith("assay_sdk")]


def test_wheel__built_twice__is_the_same(wheel, tmp_path):
    _pip("wheel", "--no-deps", "--no-index", "--wheel-dir", str(tmp_path), str(PROJECT / "sdk"))
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_source_archive__makes_the_same_wheel(wheel, tmp_path):
    program = f"import sys; sys.path.insert(0, '.'); import backend; print(backend.build_sdist({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=PROJECT / "sdk",
        capture_output=True,
        text=True,
        check=True,
    )
    archive = done.stdout.strip()
    _pip("wheel", "--no-deps", "--no-index", "--wheel-dir", str(tmp_path), str(tmp_path / archive))
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_versions__of_platform_and_sdk__go_together():
    versions = [
        tomllib.loads((PROJECT / path).read_text())["project"]["version"]
        for path in ("pyproject.toml", "sdk/pyproject.toml")
    ]
    assert versions[0] == versions[1]
