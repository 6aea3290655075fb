"""Builds ``assay-sdk``: the SDK and what it needs of the pure core, as one package that imports
nothing else.

A build backend (PEP 517) of the standard library alone, so that ``pip install ./sdk`` needs no
other package. In the platform's tree the modules are ``experiments.sdk`` and ``experiments.core``;
in the wheel they are ``assay_sdk`` and ``assay_sdk.core``, since an application may have an
``experiments`` of its own.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent
PACKAGE = "assay_sdk"
ENTRY = "experiments.sdk"
_PACKAGES = (ENTRY, "experiments.core")
_OURS = re.compile(r"experiments\.(sdk|core)\b")
_RENAMED = (
    (re.compile(r"\bexperiments\.sdk\b"), PACKAGE),
    (re.compile(r"\bexperiments\.core\b"), f"{PACKAGE}.core"),
)
_EPOCH = (2020, 1, 1, 0, 0, 0)
"""One moment for all files: the same sources make the same bytes."""


# ---------------------------------------------------------------- what pip calls


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel; its name."""
    project = _project()
    name = f"{PACKAGE}-{project['version']}"
    info = f"{name}.dist-info"
    files = {
        **package_files(),
        f"{info}/METADATA": _metadata(project),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: assay\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    wheel = f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), text.encode(), zipfile.ZIP_DEFLATED)
    return wheel


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """Write the source archive: this folder beside the modules that the wheel is made of; its
    name.
    """
    name = f"{PACKAGE}-{_project()['version']}"
    sources = {str(path.relative_to(SOURCE)): path.read_bytes() for path in _modules().values()}
    own = {
        path: (HERE / path).read_bytes() for path in ("pyproject.toml", "backend.py", "README.md")
    }
    with tarfile.open(Path(sdist_directory) / f"{name}.tar.gz", "w:gz") as archive:
        for path, data in {**own, **sources, "PKG-INFO": _metadata(_project()).encode()}.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return f"{name}.tar.gz"


# ---------------------------------------------------------------- which modules, under which names


def package_files() -> Mapping[str, str]:
    """Path in the wheel → text."""
    files = {
        _path_in_wheel(module, path): _renamed(path.read_text())
        for module, path in _modules().items()
    }
    return {**files, f"{PACKAGE}/py.typed": ""}


def _modules() -> Mapping[str, Path]:
    """Every module of the SDK, and of the core what these import, directly or through others."""
    root = (
        SOURCE if (SOURCE / "experiments").is_dir() else HERE
    )  # an unpacked source archive holds them itself
    found: dict[str, Path] = {}
    wanted = [
        *_PACKAGES,
        *(
            f"{ENTRY}.{path.stem}"
            for path in sorted((root / "experiments/sdk").glob("*.py"))
            if path.stem != "__init__"
        ),
    ]
    while wanted:
        module = wanted.pop()
        if module in found:
            continue
        found[module] = _file_of(root, module)
        wanted += sorted(_imported(root, found[module]))
    return dict(sorted(found.items()))


def _imported(root: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and _OURS.match(node.module):
            yield from _with_parents(node.module)
            yield from (
                name for alias in node.names if _exists(root, name := f"{node.module}.{alias.name}")
            )


def _with_parents(module: str) -> Iterator[str]:
    """The module and the packages it lies in, of ours."""
    while _OURS.match(module):
        yield module
        module = module.rpartition(".")[0]


def _file_of(root: Path, module: str) -> Path:
    path = root / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _exists(root: Path, module: str) -> bool:
    return _file_of(root, module).exists()


def _path_in_wheel(module: str, source: Path) -> str:
    inside = _renamed(module).replace(".", "/")
    return f"{inside}/__init__.py" if source.name == "__init__.py" else f"{inside}.py"


def _renamed(text: str) -> str:
    for pattern, name in _RENAMED:
        text = pattern.sub(name, text)
    return text


# ---------------------------------------------------------------- what a wheel says of itself


def _project() -> Mapping[str, object]:
    project: Mapping[str, object] = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    return project


def _metadata(project: Mapping[str, object]) -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Classifier: {classifier}" for classifier in project["classifiers"]),
        "Description-Content-Type: text/markdown",
    ]
    for extra, requirements in project["optional-dependencies"].items():
        lines += [
            f"Provides-Extra: {extra}",
            *(f'Requires-Dist: {needed}; extra == "{extra}"' for needed in requirements),
        ]
    return "\n".join(lines) + "\n\n" + (HERE / str(project["readme"])).read_text()


def _record(files: Mapping[str, str], own: str) -> str:
    def digest(text: str) -> str:
        return (
            base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        )

    return (
        "".join(
            f"{path},sha256={digest(text)},{len(text.encode())}\n" for path, text in files.items()
        )
        + f"{own},,\n"
    )
