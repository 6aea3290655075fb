"""The modules of the product, as the tests of its words, rooms and lines read them."""

from __future__ import annotations

from pathlib import Path

from tests.places import ROOT

PACKAGES = ("analytics", "config", "experiments")


def modules() -> list[Path]:
    """Every module but migrations, which Django writes, relative to the project."""
    found = (
        path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )
    return sorted(path for path in found if "migrations" not in path.parts)


def every_module() -> list[Path]:
    """The same, with tests, benchmarks, examples and the SDK's build; with their whole paths."""
    others = ("benchmarks", "examples", "sdk", "tests")
    found = (path for folder in others for path in (ROOT / folder).rglob("*.py"))
    return [*(ROOT / path for path in modules()), *sorted(found)]
